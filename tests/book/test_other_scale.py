"""One chapter at another scale and seed, through the path of `make notebooks`: asserts hold, settings arrive."""

from __future__ import annotations

import nbformat
import pytest

from book._tools import export, notebooks, project, references

pytestmark = [pytest.mark.nbval, pytest.mark.book, pytest.mark.slow]
SLUG = "optimization/gradient-descent"
SETTINGS = {"scale": "laptop", "device": "cpu", "seed": "3", "set": "steps=2000,rate_steps=20000"}


@pytest.fixture(scope="module")
def page():
    found = [page for page in project.chapters() if page.slug == SLUG]
    if not found:
        pytest.skip(f"this book has no {SLUG}")
    return found[0]


@pytest.fixture(scope="module")
def executed(page, tmp_path_factory):
    return export.run_at_scale([page], dict(SETTINGS), folder=tmp_path_factory.mktemp("scaled"))


def text_of(notebook):
    return "\n".join(
        notebooks.flat_text(notebooks.text_outputs(c)) for c in notebooks.code_cells(notebook)
    )


def test_both_languages_are_kept(executed):
    assert [file.parts[-3] for file in executed] == ["zh", "en"]
    for file in executed:
        assert all(
            cell.execution_count for cell in notebooks.code_cells(nbformat.read(file, as_version=4))
        )


def test_the_experiment_used_the_settings(executed, page):
    text = text_of(nbformat.read(executed[0], as_version=4))
    usual = text_of(references.load(page))
    assert "scale laptop, seed 3" in text
    assert "scale ci, seed 0" in usual
    assert "64 columns" in text
    assert "2000 steps" in text
    assert "10 columns" in usual
    assert "100 steps" in usual


def test_a_wrong_setting_is_an_error(page):
    notebook = notebooks.read(page, "en")
    with pytest.raises(Exception, match="huge"):
        notebooks.execute(notebook, project.ROOT / project.WORK / "scaled", scale="huge")
