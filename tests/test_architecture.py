"""The direction of imports, read from the source, and what deleting a topic leaves behind."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from book._tools import project
from book._tools.project import LANGUAGES

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "d2lcompanion"
TOPICS = {
    "optimization": {"torch", "numpy"},
    "text": {"torch", "numpy", "scipy"},
    "vision": {"torch", "numpy"},
}
SUPPORT = {"data", "training", "plotting", "extras"}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "misc", "common"}


def python_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def module_name(path: Path, root: Path = ROOT) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(source: str) -> Iterator[str]:
    """Every name that a source imports, dotted; relative imports begin with a dot."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield from (f"{base}.{alias.name}" for alias in node.names)


def part(module: str) -> str:
    """The part of the package that a dotted name belongs to: "optimization", "data", "cli" …"""
    return [*module.split("."), ""][1]


def violations(module: str, source: str) -> list[str]:
    """What a module imports against the rules."""
    own, bad = part(module), []
    for name in imports(source):
        top, imported = name.split(".")[0], part(name)
        inside = top == PACKAGE
        if name.startswith("."):
            bad.append(f"{name}: relative")
        elif inside and imported == "cli":
            bad.append(f"{name}: nothing imports cli")
        elif own in TOPICS and inside and imported != own:
            bad.append(f"{name}: a topic imports neither support nor another topic")
        elif own in TOPICS and not inside and top not in TOPICS[own] | sys.stdlib_module_names:
            bad.append(f"{name}: a topic imports {sorted(TOPICS[own])} and the standard library")
        elif own in SUPPORT and inside and imported in {*TOPICS, "experiments"}:
            bad.append(f"{name}: support imports no topic and no experiment")
    return bad


MODULES = python_files(ROOT / PACKAGE)


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_point_the_right_way(path):
    assert violations(module_name(path), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("d2lcompanion.optimization.a", "from d2lcompanion.data.b import c"),
        ("d2lcompanion.optimization.a", "import d2lcompanion.plotting.figure"),
        ("d2lcompanion.optimization.a", "from d2lcompanion.text.b import c"),
        ("d2lcompanion.optimization.a", "def f():\n    import sklearn.datasets"),
        ("d2lcompanion.optimization.a", "from d2lcompanion import extras"),
        ("d2lcompanion.optimization.a", "from .objectives import beale"),
        ("d2lcompanion.data.a", "from d2lcompanion.optimization.b import c"),
        ("d2lcompanion.data.a", "from d2lcompanion import optimization"),
        ("d2lcompanion.plotting.a", "from d2lcompanion.experiments.b import c"),
        ("d2lcompanion.experiments.a", "from d2lcompanion.cli import main"),
        ("d2lcompanion.experiments.a", "from d2lcompanion import cli"),
    ],
)
def test_a_wrong_import_is_found(module, source):
    assert len(violations(module, source)) == 1


def test_right_imports_pass():
    source = "import math\nimport numpy as np\nfrom torch import Tensor\n"
    own = "from d2lcompanion.optimization.objectives import beale\n"
    assert violations("d2lcompanion.optimization.a", source + own) == []
    assert violations("d2lcompanion.text.a", "import scipy.sparse") == []
    both = own + "from d2lcompanion.data.diabetes import load_diabetes\n"
    assert violations("d2lcompanion.experiments.a", both) == []


@pytest.mark.parametrize("path", [p for p in MODULES if p.name == "__init__.py"], ids=module_name)
def test_init_files_hold_a_docstring_and_nothing_else(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    assert len(tree.body) == 1


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_every_folder_is_a_package_and_no_name_is_empty_of_meaning(path):
    assert (path.parent / "__init__.py").exists()
    assert path.stem not in FORBIDDEN_NAMES


# -------------------------------------------------------------------------------- deleting a topic

NOT_SOURCE = (".*", "__pycache__", "_build", "site", "notebooks", "*.egg-info")
CHECK = """
import importlib, pkgutil, sys
import pytest

from book._tools import project
from book._tools.project import LANGUAGES
import d2lcompanion
assert d2lcompanion.__file__.startswith(sys.argv[1]), d2lcompanion.__file__
for module in pkgutil.walk_packages(d2lcompanion.__path__, "d2lcompanion."):
    importlib.import_module(module.name)
fast = "not nbval and not book and not browser and not slow"
options = ["-q", "-p", "no:cacheprovider", "-m", fast]
if pytest.main([*options, "-qq", "--collect-only", "tests"]):
    sys.exit("a test no longer imports")
sys.exit(pytest.main([*options, *sys.argv[2:]]))
"""
#: Tests of what composes topics by name. The others need what they import and nothing else: collection imports it.
COMPOSED = (
    "tests/book",
    "tests/experiments/test_catalog.py",
    "tests/test_cli.py",
    "tests/test_extras.py",
)


def dependents(root: Path, deleted: set[str]) -> set[Path]:
    """Experiments and tests that import a deleted module, directly or through one another."""
    found: set[Path] = set()
    candidates = python_files(root / PACKAGE / "experiments") + python_files(root / "tests")
    while True:
        new = {
            path
            for path in candidates
            if path not in found
            and any(
                name == gone or name.startswith(gone + ".")
                for name in imports(path.read_text(encoding="utf-8"))
                for gone in deleted
            )
        }
        if not new:
            return found
        found |= new
        deleted = deleted | {module_name(path, root) for path in new}


def delete_pages(root: Path, modules: set[str]) -> None:
    """Delete the chapters that import a deleted module, with their references, faults and toc lines."""
    for page in project.chapters(root):
        texts = [page.path(language, root).read_text(encoding="utf-8") for language in LANGUAGES]
        if not any(module in text for module in modules for text in texts):
            continue
        for language in LANGUAGES:
            page.path(language, root).unlink()
        (root / "tests/book/references" / f"{page.slug}.ipynb").unlink()
        (root / "tests/book/faults" / f"{page.slug}.toml").unlink()
        toc = root / "_toc.yml"
        lines = toc.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not line.rstrip().endswith(f"book/zh/{page.slug}")]
        toc.write_text("".join(kept), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("topic", [t for t in TOPICS if (ROOT / PACKAGE / t).is_dir()])
def test_deleting_a_topic_leaves_the_rest_green(topic, tmp_path):
    """Without the topic, its tests, experiments and pages, everything imports, every test is collected, and the
    fast tests of the book's tools, the catalog and the command line pass."""
    copy = tmp_path / "copy"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_SOURCE))
    shutil.rmtree(copy / PACKAGE / topic)
    shutil.rmtree(copy / "tests" / topic, ignore_errors=True)
    gone = dependents(copy, {f"{PACKAGE}.{topic}"})
    modules = {module_name(path, copy) for path in gone} | {f"{PACKAGE}.{topic}"}
    delete_pages(copy, {module for module in modules if module.startswith(PACKAGE)})
    for path in gone:
        path.unlink()
    for folder in (copy / "results").iterdir():  # of the deleted experiments
        if f"{PACKAGE}.experiments.{folder.name.replace('-', '_')}" in modules:
            shutil.rmtree(folder)

    command = [sys.executable, "-c", CHECK, str(copy), *COMPOSED]
    environment = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        command, cwd=copy, env=environment, capture_output=True, text=True, timeout=600
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert " passed" in result.stdout
