"""Every chapter catches wrong code: its list of one-line faults is planted in a copy of the package."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from book._tools import project, references
from book._tools.project import ROOT
from tests.book.parts import CHAPTERS, PARTS, of

FOLDER = Path(__file__).parent / "faults"
LEAST = 3


def faults(page: project.Page) -> list[dict[str, str]]:
    path = FOLDER / f"{page.slug}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))["fault"] if path.exists() else []


def test_every_part_has_its_classes():
    assert sum(len(of(part)) for part in PARTS) == len(CHAPTERS)


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


def planted(part: str) -> pytest.MarkDecorator:
    cases = [
        pytest.param(page, fault, id=f"{page.slug}: {fault['why']}")
        for page in of(part)
        for fault in faults(page)
    ]
    return pytest.mark.parametrize(("page", "fault"), cases)


def check_that_it_is_caught(page: project.Page, fault: dict[str, str], copy: Path) -> None:
    for name in ("d2lcompanion", "book", "results", "tests/book/references"):
        ignore = shutil.ignore_patterns("__pycache__", "_static")
        shutil.copytree(ROOT / name, copy / name, ignore=ignore)
    for name in ("_toc.yml", "requirements.lock", "requirements-d2l.lock"):
        shutil.copy(ROOT / name, copy / name)
    target = copy / fault["file"]
    text = target.read_text(encoding="utf-8")
    target.write_text(text.replace(fault["find"], fault["replace"]), encoding="utf-8")
    assert references.first_difference(page, "zh", copy) != ""


@pytest.mark.nbval
@pytest.mark.slow
class TestFaultsOfOptimization:
    @planted("optimization")
    def test_the_chapter_catches_the_fault(self, page, fault, tmp_path):
        check_that_it_is_caught(page, fault, tmp_path)


@pytest.mark.nbval
@pytest.mark.slow
class TestFaultsOfText:
    @planted("text")
    def test_the_chapter_catches_the_fault(self, page, fault, tmp_path):
        check_that_it_is_caught(page, fault, tmp_path)


@pytest.mark.nbval
@pytest.mark.slow
class TestFaultsOfVision:
    @planted("vision")
    def test_the_chapter_catches_the_fault(self, page, fault, tmp_path):
        check_that_it_is_caught(page, fault, tmp_path)
