"""Exported notebooks print the same in another folder, with two threads and without vector instructions.

Two threads sum in another order; without vector instructions functions round otherwise. One execution
shows all three, because an execution is what costs.
"""

from __future__ import annotations

import nbformat
import pytest

from book._tools import export, notebooks, project, references, site
from book._tools.project import Page
from tests.book.parts import CHAPTERS, PARTS, of

pytestmark = [pytest.mark.book, pytest.mark.nbval, pytest.mark.slow]
#: OMP_WAIT_POLICY: threads that wait leave the core to others.
SETTINGS = {
    "COURSE_THREADS": "2",
    "ATEN_CPU_CAPABILITY": "default",
    "OMP_WAIT_POLICY": "passive",
}


def in_part(part):
    pages = of(part)
    return pytest.mark.parametrize("page", pages, ids=[page.slug for page in pages])


@pytest.fixture(scope="module")
def built():
    site.build_book()


@pytest.fixture
def elsewhere(built, monkeypatch):
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    environment = project.execution_environment()
    assert environment["OMP_NUM_THREADS"] == "2"
    assert environment["ATEN_CPU_CAPABILITY"] == "default"


def check(page: Page, tmp_path) -> None:
    """Export, write, read again, execute, compare with the reference."""
    converted = export.convert(notebooks.executed(page, "en"), page, "en")
    nbformat.write(converted, tmp_path / "copy.ipynb")
    notebook = nbformat.read(tmp_path / "copy.ipynb", as_version=4)
    cells, known = notebooks.code_cells(notebook), references.load(page).cells
    assert [cell.source for cell in cells] == [cell.source for cell in known]
    for cell, old in zip(cells, known, strict=True):
        cell.outputs = old.outputs
        cell.metadata.update(old.metadata)
    assert references.disagreement(notebook, tmp_path / "elsewhere") == ""


def test_every_part_has_a_class():
    assert sum(len(of(part)) for part in PARTS) == len(CHAPTERS)


class TestOptimization:
    @in_part("optimization")
    def test_it_prints_the_same(self, page, tmp_path, elsewhere):
        check(page, tmp_path)


class TestText:
    @in_part("text")
    def test_it_prints_the_same(self, page, tmp_path, elsewhere):
        check(page, tmp_path)


class TestVision:
    @in_part("vision")
    def test_it_prints_the_same(self, page, tmp_path, elsewhere):
        check(page, tmp_path)
