"""One set of versions: pyproject.toml, the lock, environment.yml and what is installed here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from book._tools import environment

PROJECT = tomllib.loads((environment.ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]
LOCK = (environment.ROOT / "requirements.lock").read_text(encoding="utf-8")
D2L_LOCK = (environment.ROOT / "requirements-d2l.lock").read_text(encoding="utf-8")


def requirements():
    lists = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    return [Requirement(text) for names in lists for text in names]


def test_the_core_is_light():
    assert {Requirement(text).name for text in PROJECT["dependencies"]} == {
        "torch",
        "numpy",
        "matplotlib",
    }
    assert PROJECT["requires-python"] == ">=3.11,<3.14"


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_lock_satisfies_pyproject_on_every_python(python):
    versions = environment.locked_versions(python=python)
    for requirement in requirements():
        version = versions[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement


@pytest.mark.parametrize("text", [LOCK, D2L_LOCK], ids=["lock", "d2l"])
def test_every_locked_package_is_pinned_and_hashed(text):
    entries = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    for entry in entries:
        assert re.match(r"^[A-Za-z0-9._-]+==[^\s;]+", entry), entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]
        assert "://" not in entry


def test_the_lock_covers_other_platforms():
    assert "sys_platform == 'win32'" in LOCK
    assert "sys_platform == 'darwin'" in LOCK


def test_d2l_has_a_lock_of_its_own():
    assert not re.search(r"^d2l==", LOCK, flags=re.M)
    assert re.findall(r"^[a-z0-9]+==", D2L_LOCK, flags=re.M) == ["d2l=="]


def test_environment_yml_is_what_the_lock_says():
    text = (environment.ROOT / environment.FILE).read_text(encoding="utf-8")
    assert text == environment.environment_text()
    dependencies = yaml.safe_load(text)["dependencies"]
    pip = dependencies[-1]["pip"]
    assert dependencies[:2] == ["python=3.11", "pip"]
    assert {Requirement(line).name for line in pip} == environment.direct_dependencies()
    assert "d2l" not in text.split("pip:")[1]


def test_installed_versions_are_the_locked_ones():
    import importlib.metadata as metadata

    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    locked = environment.locked_versions(python=version)
    for name in sorted(environment.direct_dependencies()):
        installed = metadata.version(name).partition("+")[0]  # a CPU build of torch says +cpu
        assert installed == locked[name], name


def test_pip_check_reports_d2l_and_nothing_else():
    command = [sys.executable, "-m", "pip", "check", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    assert lines, "d2l's pins should be reported"
    assert [line for line in lines if not line.startswith("d2l 1.0.3 ")] == []


def test_binder_adds_d2l_and_this_project():
    text = (environment.ROOT / "postBuild").read_text(encoding="utf-8")
    assert "--no-deps --require-hashes -r requirements-d2l.lock" in text
    assert os.access(environment.ROOT / "postBuild", os.X_OK)


@pytest.mark.slow
def test_pip_resolves_environment_yml_as_one_set(request, tmp_path):
    """`--dry-run`: everything but the copying of 6.6 GB, which `make` itself has done from the lock."""
    if not request.config.getoption("--forbid-skips"):
        pytest.skip("asks the package index for every dependency; `make test CI=1` does it")
    text = (environment.ROOT / environment.FILE).read_text(encoding="utf-8")
    listed, report = tmp_path / "environment.txt", tmp_path / "report.json"
    pip = yaml.safe_load(text)["dependencies"][-1]["pip"]
    listed.write_text("\n".join(pip) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--dry-run", "--ignore-installed", "--report", str(report), "-r", str(listed)]
    subprocess.run(command, check=True)
    found = [entry["metadata"] for entry in json.loads(report.read_text())["install"]]
    chosen = {canonicalize_name(entry["name"]): entry["version"] for entry in found}
    locked = environment.locked_versions(python=f"{sys.version_info[0]}.{sys.version_info[1]}")
    assert environment.direct_dependencies() <= set(chosen) <= set(locked)
    for name in environment.direct_dependencies():
        assert chosen[name].partition("+")[0] == locked[name], name
