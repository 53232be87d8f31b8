"""environment.yml for conda and Binder: Python, pip and every direct dependency at the lock's version."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from book._tools.project import ROOT

PYTHON = "3.11"
FILE = "environment.yml"
HEAD = f"""\
# For conda and Binder; written by `make lock` from pyproject.toml and requirements.lock, compared by a test.
# d2l is not here: its own pins are ancient. postBuild adds it on Binder, `make setup PYTHON=python` elsewhere.
name: d2lcompanion
channels: [conda-forge, nodefaults]
dependencies:
  - python={PYTHON}
  - pip
  - pip:
"""
ENTRY = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)(?: ; (?P<marker>[^\\]+))?", re.M
)


def direct_dependencies(root: Path = ROOT) -> set[str]:
    """The names in pyproject.toml, core and extras."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    return {canonicalize_name(Requirement(text).name) for names in lists for text in names}


def locked_versions(root: Path = ROOT, python: str = PYTHON) -> dict[str, str]:
    """name → version in the lock, for one Python on Linux."""
    surroundings = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
    }
    versions = {}
    for entry in ENTRY.finditer((root / "requirements.lock").read_text(encoding="utf-8")):
        if entry["marker"] is None or Marker(entry["marker"].strip()).evaluate(surroundings):
            versions[canonicalize_name(entry["name"])] = entry["version"]
    return versions


def environment_text(root: Path = ROOT) -> str:
    """What environment.yml must be."""
    versions = locked_versions(root)
    lines = [f"    - {name}=={versions[name]}\n" for name in sorted(direct_dependencies(root))]
    return HEAD + "".join(lines)


def write_environment(root: Path = ROOT) -> None:
    """Write environment.yml."""
    (root / FILE).write_text(environment_text(root), encoding="utf-8")
