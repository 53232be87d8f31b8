"""Every chapter catches wrong code: its list of one-line faults is planted in a copy of the package."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from book._tools import project, references
from book._tools.project import ROOT

FOLDER = Path(__file__).parent / "faults"
LEAST = 3
CHAPTERS = project.chapters()


def faults(page: project.Page) -> list[dict[str, str]]:
    path = FOLDER / f"{page.slug}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))["fault"] if path.exists() else []


@pytest.mark.parametrize("page", CHAPTERS, ids=[page.slug for page in CHAPTERS])
def test_every_chapter_lists_faults(page):
    assert len(faults(page)) >= LEAST


@pytest.mark.parametrize("page", CHAPTERS, ids=[page.slug for page in CHAPTERS])
def test_faults_are_one_line_changes_of_the_package(page):
    for fault in faults(page):
        text = (ROOT / fault["file"]).read_text(encoding="utf-8")
        assert fault["file"].startswith("d2lcompanion/")
        assert text.count(fault["find"]) == 1, (
            f"{fault['find']!r} must occur once in {fault['file']}"
        )
        assert "\n" not in fault["find"].strip()
        assert fault["find"] != fault["replace"]


@pytest.mark.nbval
@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "fault"),
    [
        pytest.param(page, fault, id=f"{page.slug}: {fault['why']}")
        for page in CHAPTERS
        for fault in faults(page)
    ],
)
def test_the_chapter_catches_the_fault(page, fault, tmp_path):
    for name in ("d2lcompanion", "book", "results", "tests/book/references"):
        ignore = shutil.ignore_patterns("__pycache__", "_static")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    for name in ("_toc.yml", "requirements.lock", "requirements-d2l.lock"):
        shutil.copy(ROOT / name, tmp_path / name)
    target = tmp_path / fault["file"]
    text = target.read_text(encoding="utf-8")
    target.write_text(text.replace(fault["find"], fault["replace"]), encoding="utf-8")
    assert references.first_difference(page, "zh", tmp_path) != ""


@pytest.mark.nbval
@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "value"), [("COURSE_THREADS", "2"), ("ATEN_CPU_CAPABILITY", "default")]
)
@pytest.mark.parametrize("page", CHAPTERS, ids=[page.slug for page in CHAPTERS])
def test_the_digits_depend_neither_on_threads_nor_on_the_processor(
    page, variable, value, monkeypatch
):
    """Two threads sum in another order; without vector instructions functions round otherwise."""
    monkeypatch.setenv(variable, value)
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")  # threads that wait leave the core to others
    environment = project.execution_environment()
    assert value in (environment["OMP_NUM_THREADS"], environment.get("ATEN_CPU_CAPABILITY"))
    assert references.first_difference(page, "en") == ""
