"""Reference outputs: one text-only notebook a chapter, for both languages, that nbval compares with."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from book._tools import notebooks, project, tolerance
from book._tools.project import LANGUAGES, ROOT, WORK, Page

FOLDER = "tests/book/references"


@dataclass(frozen=True)
class Problem:
    """Why a chapter cannot be compared."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def reference_path(page: Page, root: Path = ROOT) -> Path:
    """Where the reference of a chapter lies; its key is the chapter's path."""
    return root / FOLDER / f"{page.slug}.ipynb"


def load(page: Page, root: Path = ROOT) -> NotebookNode:
    """The reference of a chapter."""
    return nbformat.read(reference_path(page, root), as_version=4)


def reduce(notebook: NotebookNode) -> NotebookNode:
    """Code cells with their text outputs, and nothing that changes from run to run."""
    cells = []
    for number, cell in enumerate(notebooks.code_cells(notebook)):
        kept = nbformat.v4.new_code_cell(
            cell.source, id=f"cell-{number}", execution_count=number + 1
        )
        kept.metadata.update(notebooks.metadata(cell))
        kept.outputs = notebooks.text_outputs(cell)
        cells.append(kept)
    return nbformat.v4.new_notebook(
        cells=cells, metadata={"kernelspec": dict(notebook.metadata.kernelspec)}
    )


def execute(page: Page, language: str = "zh", root: Path = ROOT) -> NotebookNode:
    """Run a chapter as CI does."""
    notebook = notebooks.read(page, language, root)
    folder = root / WORK / "references" / Path(page.slug).parent
    return notebooks.execute(notebook, folder, root)


def difference(old: NotebookNode | None, new: NotebookNode, name: str) -> str:
    """A unified diff of sources and outputs, readable by a person; empty if equal."""

    def lines(notebook: NotebookNode | None) -> list[str]:
        if notebook is None:
            return []
        text = []
        for number, cell in enumerate(notebook.cells):
            tags = [f"# {key}: {value}" for key, value in sorted(cell.metadata.items())]
            text += [f"# cell {number}", *tags, *cell.source.splitlines()]
            text += ["# output", *notebooks.flat_text(cell.outputs).splitlines()]
        return text

    return "\n".join(
        difflib.unified_diff(
            lines(old), lines(new), f"{name} (was)", f"{name} (is)", lineterm="", n=2
        )
    )


def refresh(page: Page, root: Path = ROOT) -> str:
    """Execute a chapter, write its reference, return what changed."""
    path = reference_path(page, root)
    new = reduce(execute(page, root=root))
    old = nbformat.read(path, as_version=4) if path.exists() else None
    changed = difference(old, new, page.slug)
    if changed or old is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(new, path)
    return changed


def cell_problems(page: Page, language: str, root: Path = ROOT) -> list[Problem]:
    """Cells of a page that differ from the reference, carry a refused marker or a wrong tolerance."""
    path = page.path(language, root)
    name = path.relative_to(root).as_posix()
    if not path.exists():
        return [Problem(name, "the page does not exist, but _toc.yml names it")]
    cells = notebooks.code_cells(notebooks.read(page, language, root))
    lines = notebooks.cell_lines(path)
    problems = []
    for cell, line in zip(cells, lines, strict=True):
        where = f"{name}:{line}"
        problems += [
            Problem(where, f"{m} is refused: compare the output")
            for m in notebooks.refused_markers(cell)
        ]
        try:
            tolerance.of_cell(cell)
        except ValueError as error:
            problems.append(Problem(where, str(error)))
    if not reference_path(page, root).exists():
        return [
            *problems,
            Problem(name, f"no reference output: make references CHAPTER={page.slug}"),
        ]
    known = load(page, root).cells
    if len(cells) != len(known):
        problems.append(
            Problem(
                name, f"{len(cells)} code cells, its reference has {len(known)}: make references"
            )
        )
    for cell, line, old in zip(cells, lines, known, strict=False):
        if cell.source != old.source:
            problems.append(
                Problem(
                    f"{name}:{line}", "the cell's code differs from its reference: make references"
                )
            )
        elif paths := notebooks.machine_paths(old, root):
            problems.append(
                Problem(f"{name}:{line}", f"the reference holds a path of one machine: {paths[0]}")
            )
        elif notebooks.metadata(cell) != dict(old.metadata):
            problems.append(
                Problem(
                    f"{name}:{line}", "the cell's tags differ from its reference: make references"
                )
            )
    return problems


def orphans(root: Path = ROOT) -> list[Problem]:
    """References of chapters that do not exist."""
    known = {reference_path(page, root) for page in project.chapters(root)}
    files = sorted((root / FOLDER).rglob("*.ipynb"))
    return [
        Problem(f.relative_to(root).as_posix(), "belongs to no chapter of _toc.yml: delete it")
        for f in files
        if f not in known
    ]


def problems(root: Path = ROOT) -> list[Problem]:
    """Everything that keeps any chapter from being compared."""
    found = orphans(root)
    for page in project.chapters(root):
        for language in LANGUAGES:
            found += cell_problems(page, language, root)
    return found


def with_reference(page: Page, language: str, root: Path = ROOT) -> NotebookNode:
    """The page's own code with the reference's outputs beside it: what nbval executes and compares.

    Raises:
        ValueError: if page and reference do not fit together; the message names every place.
    """
    found = cell_problems(page, language, root)
    if found:
        raise ValueError("\n".join(map(str, found)))
    notebook = notebooks.read(page, language, root)
    for cell, known in zip(notebooks.code_cells(notebook), load(page, root).cells, strict=True):
        cell.outputs, cell.execution_count = known.outputs, known.execution_count
    return notebook


def first_difference(page: Page, language: str, root: Path = ROOT) -> str:
    """Execute a chapter until a cell raises or prints something else than its reference; say what."""
    folder = root / WORK / "references" / Path(page.slug).parent
    return disagreement(with_reference(page, language, root), folder, root)


def disagreement(notebook: NotebookNode, folder: Path, root: Path = ROOT) -> str:
    """Execute a notebook in a folder until a cell raises or prints something else than it holds; say what.

    Empty if every cell agrees. Stops early, so that a planted fault is found as fast as it shows.
    """
    with notebooks.kernel(notebook, folder, root) as client:
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type != "code":
                continue
            reference = nbformat.from_dict({**cell, "outputs": cell.outputs})
            executed = nbformat.v4.new_code_cell(cell.source)
            executed.metadata.update(cell.metadata)
            try:
                client.execute_cell(executed, index)
            except CellExecutionError as error:
                return f"cell {index} raised {error.ename}: {error.evalue}"
            found = tolerance.cell_difference(executed, reference, tolerance.of_cell(cell))
            if found:
                return f"cell {index}: {found}"
    return ""
