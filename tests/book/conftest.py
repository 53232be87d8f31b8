"""Chapters as tests: every code cell of every chapter in both languages, under nbval, with outputs compared.

`test_chapters.py` is collected from `_toc.yml`, not from the files that happen to lie in a folder.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

from book._tools import notebooks, project, references, tolerance
from book._tools.project import LANGUAGES, ROOT, WORK, Page


class ChapterCell(IPyNbCell):
    """One code cell: executed by nbval, compared by this course's own rules."""

    def compare_outputs(self, test, ref, skip_compare=None):
        cell = nbformat.v4.new_code_cell(self.cell.source, outputs=list(test))
        found = tolerance.cell_difference(cell, self.cell, tolerance.of_cell(self.cell))
        self.comparison_traceback = [found] if found else []
        return not found


class ChapterFile(IPyNbFile):
    """One chapter in one language."""

    def __init__(self, *, page: Page, language: str, **kwargs):
        super().__init__(**kwargs)
        self.page, self.language = page, language

    def collect(self):
        """Its cells, with the reference's outputs; collection fails if the two do not fit together."""
        try:
            self.nb = references.with_reference(self.page, self.language)
        except ValueError as error:
            raise self.CollectError(str(error)) from None
        for number, cell in enumerate(notebooks.code_cells(self.nb)):
            checks = {
                "check": True,
                "skip": False,
                "check_exception": "raises-exception" in cell.metadata.get("tags", []),
            }
            item = ChapterCell.from_parent(
                self, name=f"Cell {number}", cell_num=number, cell=cell, options=checks
            )
            item.add_marker(pytest.mark.nbval)
            yield item

    def setup(self):
        """Start the kernel in the environment in which the references were made."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.config.option.nbval_current_env = True
        with notebooks.environment(project.execution_environment()):
            super().setup()


class Chapters(pytest.File):
    """All chapters of the table of contents."""

    def collect(self):
        """A collector for each chapter and language; an orphaned reference fails the collection."""
        found = references.orphans()
        if found:
            raise self.CollectError("\n".join(map(str, found)))
        for page in project.chapters():
            for language in LANGUAGES:
                name = f"{language}/{page.slug}"
                yield ChapterFile.from_parent(
                    self,
                    path=ROOT / WORK / "nbval" / f"{name}.ipynb",
                    nodeid=f"{self.nodeid}::{name}",
                    page=page,
                    language=language,
                )


def pytest_pycollect_makemodule(module_path: Path, parent):
    """`test_chapters.py` stands for the table of contents."""
    if module_path.name == "test_chapters.py":
        return Chapters.from_parent(parent, path=module_path)
    return None
