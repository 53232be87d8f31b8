"""Exported notebooks: nothing of MyST left, runnable anywhere, a reader's changes kept."""

from __future__ import annotations

import re
from collections import Counter

import nbformat
import pytest

from book._tools import export, myst, notebooks, project
from book._tools.project import LANGUAGES

pytestmark = [pytest.mark.book, pytest.mark.slow]
CHAPTERS = [(page, language) for page in project.chapters() for language in LANGUAGES]
PAGES = [(page, language) for page in project.pages() for language in LANGUAGES]
IDS = [f"{language}/{page.slug}" for page, language in CHAPTERS]


@pytest.fixture(scope="module")
def exported():
    return export.export_all()


def load(exported, page, language):
    return nbformat.read(exported / language / f"{page.slug}.ipynb", as_version=4)


@pytest.mark.parametrize(("page", "language"), PAGES)
def test_no_myst_is_left(exported, page, language):
    for cell in load(exported, page, language).cells:
        if cell.cell_type == "markdown":
            prose = re.sub(r"```python.*?```", "", cell.source, flags=re.S)
            assert not myst.ROLE.search(prose), cell.source
            assert not re.search(r"^(`{3,}|:{3,})\{", prose, flags=re.M), cell.source
            assert not re.search(r"^\([\w-]+\)=", prose, flags=re.M), cell.source


@pytest.mark.parametrize(("page", "language"), CHAPTERS, ids=IDS)
def test_source_numbers_equations_and_citations_are_there(exported, page, language):
    notebook = load(exported, page, language)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    source = page.path(language).read_text(encoding="utf-8")
    assert text.count("```python\n") >= source.count("{literalinclude}") > 0
    assert text.count("\\tag{") == len(re.findall(r"^\$\$ \(", source, flags=re.M)) > 0
    citations = re.findall(r"\{cite:[pt]\}`[^`]+`", source)
    years = re.findall(r"\[(?:[^\]\n]*, )?\d{4}[a-z]?\]", text)  # Name [2014]; [Name, 2014]
    assert len(years) >= len(citations) > 0
    pictures = [name for cell in notebook.cells for name in cell.get("attachments", {})]
    assert len(pictures) == source.count("{glue:figure}") > 0
    for name in pictures:
        assert f"(attachment:{name})" in text


def test_labels_of_cited_works_differ():
    labels = Counter(
        (export.authors(entry, "and", "et al."), entry.fields["year"])
        for entry in export.bibliography(project.ROOT).entries.values()
    )
    assert [label for label, number in labels.items() if number > 1] == []


@pytest.mark.parametrize(("page", "language"), CHAPTERS, ids=IDS)
def test_outputs_are_kept(exported, page, language):
    cells = notebooks.code_cells(load(exported, page, language))
    assert sum(bool(cell.outputs) for cell in cells) >= len(cells) // 3
    assert all(cell.execution_count for cell in cells)


def test_a_readers_changes_are_kept(tmp_path):
    folder = tmp_path / "notebooks"
    first = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("one", id="a")])
    second = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("two", id="a")])
    path = folder / "zh" / "x.ipynb"
    assert export.write(first, path, folder) == path
    assert export.write(second, path, folder) == path  # ours, unchanged: replaced
    mine = path.read_text(encoding="utf-8").replace("two", "my own notes")
    path.write_text(mine, encoding="utf-8")
    beside = export.write(first, path, folder)
    assert beside.name == "x.new.ipynb"
    assert path.read_text(encoding="utf-8") == mine
    assert "one" in beside.read_text(encoding="utf-8")
