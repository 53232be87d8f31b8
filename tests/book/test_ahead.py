"""Chapters executed ahead of the build: side by side, and exactly what the build then looks up."""

from __future__ import annotations

import pytest

from book._tools import ahead, notebooks, project, site
from book._tools.project import LANGUAGES, Page
from tests.book import small_book

pytestmark = [pytest.mark.book, pytest.mark.slow]
OTHERS = ("optimization/second", "optimization/third")


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """The small project with three chapters; a cell of the third raises."""
    root = small_book.write(tmp_path_factory.mktemp("three"))
    for slug in OTHERS:
        for language in LANGUAGES:
            text = Page(small_book.SLUG).path(language, root).read_text(encoding="utf-8")
            text = text.replace("(small)=", f"({slug[13:]})=").replace("steps=20", "steps=19")
            Page(slug).path(language, root).write_text(text, encoding="utf-8")
    lines = "".join(f"      - file: book/zh/{slug}\n" for slug in OTHERS)
    (root / "_toc.yml").write_text(small_book.TOC + lines, encoding="utf-8")
    broken(root, "steps=19", "steps=none")
    return root


def broken(root, old, new):
    for language in LANGUAGES:
        small_book.edit(Page(OTHERS[1]).path(language, root), old, new)


def test_what_raises_is_left_to_the_build(three):
    assert set(ahead.execute_missing(three)) == {small_book.SLUG, OTHERS[0]}
    done = [ahead.is_executed(page, three) for page in project.chapters(three)]
    assert done == [True, True, False]
    with pytest.raises(site.BuildError):
        site.build_book(three)


def test_the_build_finds_both_languages_in_the_cache(three):
    broken(three, "steps=none", "steps=18")
    small_book.edit_pages(three, "steps=20", "steps=17")
    assert set(ahead.execute_missing(three)) == {small_book.SLUG, OTHERS[1]}
    folder = project.execution_cache(three) / "executed"
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/*")}
    assert site.build_book(three)
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*/*")} == before
    assert ahead.execute_missing(three) == []


def test_outputs_are_those_of_a_run_alone(three):
    page = Page(OTHERS[0])
    alone = notebooks.execute(notebooks.read(page, "en", three), three / "_build/alone", three)
    kept = notebooks.executed(page, "en", three)
    pairs = zip(notebooks.code_cells(alone), notebooks.code_cells(kept), strict=True)
    texts = [(notebooks.flat_text(a.outputs), notebooks.flat_text(b.outputs)) for a, b in pairs]
    assert "end -0.07" in texts[1][0]
    assert all(first == second for first, second in texts)
