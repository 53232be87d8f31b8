"""Chapters as notebooks: read from MyST, executed, and reduced to the text that is compared."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from jupyter_cache import get_cache
from myst_nb.core.read import read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig
from nbclient import NotebookClient
from nbformat import NotebookNode

from book._tools import project
from book._tools.project import ROOT, Page

CELL_TIMEOUT = 900  # seconds
#: Pictures and rich text are not compared; the text that stands beside them is.
NOT_TEXT = ("image/", "text/html", "application/javascript", "application/vnd.jupyter.widget")
GLUE = "application/papermill.record/"  # myst-nb's prefix for what `glue` keeps
GLUED_DIGITS = 6
FLOAT = re.compile(r"-?\d+(\.\d+)?(e[-+]?\d+)?")
VOLATILE_METADATA = ("execution", "papermill")
REFUSED_TAGS = ("nbval-ignore-output", "nbval-skip")
#: Where a package or a project lies on one machine; no other machine prints the same.
MACHINE_PATH = re.compile(
    r"(?<![\w.:/])/(?:home|root|Users|tmp|var|opt|usr|work)/\S*|\S*\bsite-packages\b\S*|\b[A-Z]:\\\S+"
)
REFUSED_COMMENTS = ("NBVAL_IGNORE_OUTPUT", "NBVAL_SKIP", "PYTEST_VALIDATE_IGNORE_OUTPUT")


def read(page: Page, language: str, root: Path = ROOT) -> NotebookNode:
    """The page as a notebook without outputs."""
    notebook = jupytext.read(page.path(language, root), fmt="md:myst")
    if "kernelspec" not in notebook.metadata:
        raise ValueError(
            f"{page.path(language, root)}: no kernelspec in the front matter, so it would not execute"
        )
    return notebook


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The code cells, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def cell_lines(path: Path) -> list[int]:
    """The line of the page at which each code cell opens, counted from 1."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [i for i, line in enumerate(lines, 1) if line.startswith("```{code-cell}")]


def metadata(cell: NotebookNode) -> dict[str, Any]:
    """A cell's own metadata: tags and reasons, not the traces of an execution."""
    return {key: value for key, value in cell.metadata.items() if key not in VOLATILE_METADATA}


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Exactly these variables; kernels started inside inherit them."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def kernel(
    notebook: NotebookNode,
    folder: Path,
    root: Path = ROOT,
    timeout: int | None = CELL_TIMEOUT,
    **settings: str,
) -> Iterator[NotebookClient]:
    """A client whose kernel runs in `folder` under the fixed environment.

    `settings` are D2LC_* variables by their short names: scale="laptop", seed="3".
    """
    folder.mkdir(parents=True, exist_ok=True)
    variables = {f"D2LC_{name.upper()}": value for name, value in settings.items()}
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    with environment(project.execution_environment(root=root, **variables)), client.setup_kernel():
        yield client


def execute(
    notebook: NotebookNode,
    folder: Path,
    root: Path = ROOT,
    timeout: int | None = CELL_TIMEOUT,
    **settings: str,
) -> NotebookNode:
    """Run all cells; an error in one raises nbclient's CellExecutionError."""
    with kernel(notebook, folder, root, timeout, **settings) as client:
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index, execution_count=index + 1)
    return notebook


def read_for_cache(path: Path) -> NotebookNode:
    """The page as myst-nb reads it, which is how the cache of executed notebooks knows it."""
    text = path.read_text(encoding="utf-8")
    return read_myst_markdown_notebook(text, config=MdParserConfig(), path=path)


def executed(page: Page, language: str, root: Path = ROOT) -> NotebookNode:
    """The page with the outputs of the last build of the book, from the cache of executed notebooks.

    Raises:
        KeyError: if the page, as it is now, was not executed with the package as it is now.
    """
    notebook = read_for_cache(page.path(language, root))
    _, found = get_cache(project.execution_cache(root)).merge_match_into_notebook(notebook)
    return found


def is_text(mime: str) -> bool:
    """Whether an output of this type is compared."""
    return not mime.removeprefix(GLUE).startswith(NOT_TEXT)


def glued_text(mime: str, value: str) -> str:
    """A glued float at the precision of prose; its last digits depend on the processor, and no page shows them."""
    if mime == f"{GLUE}text/plain" and FLOAT.fullmatch(value):
        return f"{float(value):.{GLUED_DIGITS}g}"
    return value


def text_outputs(cell: NotebookNode) -> list[NotebookNode]:
    """A cell's outputs, streams merged, without pictures, tracebacks and counters."""
    outputs: list[NotebookNode] = []
    streams: dict[str, NotebookNode] = {}
    for output in cell.outputs:
        if output.output_type == "stream":
            if output.name in streams:
                streams[output.name].text += output.text
                continue
            streams[output.name] = kept = nbformat.v4.new_output(
                "stream", name=output.name, text=output.text
            )
        elif output.output_type == "error":
            kept = nbformat.v4.new_output(
                "error", ename=output.ename, evalue=output.evalue, traceback=[]
            )
        else:
            data = {m: glued_text(m, v) for m, v in output.data.items() if is_text(m)}
            kept = nbformat.v4.new_output("display_data", data=data)
        outputs.append(kept)
    return outputs


def flat_text(outputs: list[NotebookNode]) -> str:
    """Outputs as one readable text, for differences shown to a person."""
    parts = []
    for output in outputs:
        if output.output_type == "stream":
            parts.append(f"[{output.name}]\n{output.text}")
        elif output.output_type == "error":
            parts.append(f"[error]\n{output.ename}: {output.evalue}")
        else:
            parts += [f"[{mime}]\n{value}" for mime, value in sorted(output.data.items())]
    return "\n".join(parts)


def refused_markers(cell: NotebookNode) -> list[str]:
    """Markers that would stop nbval from comparing this cell."""
    tags = [tag for tag in cell.metadata.get("tags", []) if tag in REFUSED_TAGS]
    comments = [mark for mark in REFUSED_COMMENTS if mark in cell.source]
    return tags + comments


def machine_paths(cell: NotebookNode, root: Path = ROOT) -> list[str]:
    """Absolute paths in a cell's text outputs: a warning's place, a file's name."""
    text = flat_text(cell.outputs)
    found = MACHINE_PATH.findall(text)
    return found + ([str(root)] if str(root) in text else [])
