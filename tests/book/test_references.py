"""The comparison catches what it must: faults planted in a small copy of the project, run by pytest there."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from book._tools import project, references
from tests.book import small_book

pytestmark = [pytest.mark.nbval, pytest.mark.slow]
PAGE = project.Page(small_book.SLUG)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A small project with a fresh reference."""
    root = small_book.write(tmp_path_factory.mktemp("small"))
    assert "+[stdout]" in references.refresh(PAGE, root)
    return root


@pytest.fixture
def small(fresh, tmp_path):
    """A copy of it for one test."""
    import shutil

    root = tmp_path / "project"
    shutil.copytree(fresh, root, ignore=shutil.ignore_patterns("__pycache__", "_build"))
    return root


def run_pytest(root):
    """The chapters of the copy under nbval, as `make test` runs them."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/book/test_chapters.py",
    ]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, encoding="utf-8"
    )
    return done.returncode, done.stdout + done.stderr


def accept_source(root, old, new):
    """Let the reference agree with a changed source, so that only its outputs can tell."""
    path = references.reference_path(PAGE, root)
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"]).replace(old, new)
    path.write_text(json.dumps(notebook), encoding="utf-8")


def test_the_unchanged_copy_passes(small):
    code, text = run_pytest(small)
    assert code == 0, text
    assert "8 passed" in text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("lr, seed = 0.1, 0", "lr, seed = 0.1001, 0", id="changed learning rate"),
        pytest.param("lr, seed = 0.1, 0", "lr, seed = 0.1, 1", id="changed seed"),
        pytest.param(
            "points[:, 0], points[:, 1]",
            "points[:, 1], points[:, 0]",
            id="swapped axes",
        ),
        pytest.param('marker="o"', 'marker="s"', id="changed marker"),
        pytest.param('print(f"end', 'raise RuntimeError(f"end', id="a raising cell"),
    ],
)
def test_a_change_of_the_code_shows_in_its_outputs(small, old, new):
    small_book.edit_pages(small, old, new)
    accept_source(small, old, new)
    assert references.problems(small) == []
    assert references.first_difference(PAGE, "zh", small) != ""


def test_pytest_reports_the_difference(small):
    old, new = "lr, seed = 0.1, 0", "lr, seed = 0.1001, 0"
    small_book.edit_pages(small, old, new)
    accept_source(small, old, new)
    code, text = run_pytest(small)
    assert code == 1
    assert "reference has" in text
    assert "2 failed" in text or "4 failed" in text


def test_a_wrong_sign_in_the_package(small):
    small_book.edit(small / "d2lcompanion/small.py", "points[-1] - lr", "points[-1] + lr")
    assert references.first_difference(PAGE, "zh", small) != ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("seed = 0.1, 0", "seed = 0.1, 0  # changed", id="a changed cell"),
        pytest.param("```{code-cell} ipython3\nfigure", "```{code-cell} ipython3\n:tags: [hide-input]\n\nfigure", id="changed tags"),
        pytest.param("show(figure)\n```", "show(figure)\n```\n\n```{code-cell} ipython3\nprint(1)\n```", id="an added cell"),
        pytest.param("```{code-cell} ipython3\nfigure", "```{code-cell} ipython3\n:tags: [nbval-skip]\n\nfigure", id="a skipped cell"),
        pytest.param("show(figure)\n```", "show(figure)  # NBVAL_IGNORE_OUTPUT\n```", id="an ignored output"),
    ],
)  # fmt: skip
def test_collection_fails_on_a_changed_page(small, old, new):
    small_book.edit(small / "book" / "en" / f"{small_book.SLUG}.md", old, new)
    code, text = run_pytest(small)
    assert code == 2, text
    assert f"book/en/{small_book.SLUG}.md" in text
    assert "error" in text


def test_collection_fails_without_a_reference(small):
    references.reference_path(PAGE, small).unlink()
    code, text = run_pytest(small)
    assert code == 2, text
    assert "no reference output: make references" in text


@pytest.mark.parametrize(
    "printed",
    [
        "/home/reader/course/.venv/bin/python",
        "see lib/python3.11/site-packages/tqdm/auto.py:21: TqdmWarning",
        "C:\\Users\\reader\\course",
        "{root}/data",
    ],
)
def test_a_path_of_one_machine_is_refused(small, printed):
    path = references.reference_path(PAGE, small)
    notebook = json.loads(path.read_text(encoding="utf-8"))
    text = printed.format(root=small)
    notebook["cells"][0]["outputs"] = [{"output_type": "stream", "name": "stderr", "text": text}]
    path.write_text(json.dumps(notebook), encoding="utf-8")
    found = "\n".join(map(str, references.problems(small)))
    assert "the reference holds a path of one machine" in found


def test_collection_fails_on_an_orphan(small):
    path = references.reference_path(PAGE, small)
    (path.parent / "gone.ipynb").write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    code, text = run_pytest(small)
    assert code == 2, text
    assert "belongs to no chapter" in text


def test_refresh_shows_the_difference_and_only_then_writes(small):
    path = references.reference_path(PAGE, small)
    before = path.read_bytes()
    assert references.refresh(PAGE, small) == ""
    assert path.read_bytes() == before
    small_book.edit_pages(
        small,
        "```{code-cell} ipython3\nfigure",
        "```{code-cell} ipython3\n:tags: [rtol=0.01]\n:rtol-reason: a test\n\nfigure",
    )
    assert "+# tags: ['rtol=0.01']" in references.refresh(PAGE, small)
    assert references.problems(small) == []
    small_book.edit_pages(small, "seed = 0.1, 0", "seed = 0.2, 0")
    shown = references.refresh(PAGE, small)
    assert "-lr, seed = 0.1, 0" in shown
    assert "+lr, seed = 0.2, 0" in shown
    assert path.read_bytes() != before
