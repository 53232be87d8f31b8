"""What every page must and may not contain, read from its source."""

import re

import pytest
from markdown_it import MarkdownIt

from book._tools import export, myst, project
from book._tools.project import LANGUAGES

PAGES = [(page, language) for page in project.pages() for language in LANGUAGES]
IDS = [f"{language}/{page.slug}" for page, language in PAGES]
WIDEST = 88  # characters of code beside the contents of a page 1280 pixels wide
SHOWN_PYTHON = ("python", "py", "ipython", "ipython3", "pycon")


def blocks(page, language):
    return myst.parse(page.path(language).read_text(encoding="utf-8"))


@pytest.mark.parametrize(("page", "language"), PAGES, ids=IDS)
def test_no_code_is_shown_without_being_run(page, language):
    """Python stands in top-level code cells or is included from the tested package."""
    top = blocks(page, language)
    for block in myst.walk(top):
        where = f"{page.path(language)}:{block.line}"
        if block.kind == "fence":
            assert block.name.split(" ")[0].lower() not in SHOWN_PYTHON, f"{where}: shown, not run"
        if block.kind == "directive":
            assert (
                block.name not in ("code-block", "code", "sourcecode")
                or block.argument.lower() not in SHOWN_PYTHON
            ), f"{where}: shown, not run"
            if block.name == "code-cell":
                assert block in top, f"{where}: a code cell inside {'a directive'} does not execute"


@pytest.mark.parametrize(("page", "language"), PAGES, ids=IDS)
def test_included_source_is_the_package(page, language):
    for block in myst.walk(blocks(page, language)):
        if block.kind == "directive" and block.name == "literalinclude":
            file = (page.path(language).parent / block.argument).resolve()
            assert file.is_relative_to(project.ROOT / "d2lcompanion"), block.argument
            assert block.options.get("pyobject"), "name the function: a whole file is not read"


@pytest.mark.parametrize(("page", "language"), PAGES, ids=IDS)
def test_shown_code_fits_the_page(page, language):
    """No reader scrolls sideways to read code on a laptop."""
    for block in myst.walk(blocks(page, language)):
        lines = block.body if block.kind == "directive" and block.name == "code-cell" else []
        if block.kind == "directive" and block.name == "literalinclude":
            file = (page.path(language).parent / block.argument).resolve()
            lines = export.source_of(file, block.options["pyobject"]).split("\n")
        for line in lines:
            assert len(line) <= WIDEST, f"{page.path(language)}:{block.line}: {line!r}"


@pytest.mark.parametrize(("page", "language"), PAGES, ids=IDS)
def test_wall_times_go_through_one_helper(page, language):
    """A time that a cell printed itself would never equal its reference."""
    for block in blocks(page, language):
        if block.kind == "directive" and block.name == "code-cell":
            for word in ("import time", "perf_counter", "timeit", "%time", "process_time"):
                assert word not in block.text, f"{page.path(language)}:{block.line}: {word}"


@pytest.mark.parametrize(("page", "language"), PAGES, ids=IDS)
def test_no_path_of_one_machine(page, language):
    text = page.path(language).read_text(encoding="utf-8")
    for path in ("/home/", "/root/", "../shared", "C:\\"):
        assert path not in text


CHAPTERS = [(page, language) for page, language in PAGES if page in project.chapters()]


@pytest.mark.parametrize(
    ("page", "language"), CHAPTERS, ids=[f"{la}/{p.slug}" for p, la in CHAPTERS]
)
def test_a_chapter_follows_the_template(page, language):
    found = list(myst.walk(blocks(page, language)))
    directives = [block for block in found if block.kind == "directive"]
    count = {name: sum(d.name == name for d in directives) for name in {d.name for d in directives}}
    sections = [block for block in found if block.kind == "heading" and block.level == 2]
    assert sum(b.kind == "heading" and b.level == 1 for b in found) == 1
    assert len(sections) >= 13
    assert count.get("chapter-badges") == count.get("quiz") == count.get("bibliography") == 1
    assert count.get("exercise", 0) >= 5
    exercises = {d.options["label"] for d in directives if d.name == "exercise"}
    assert {d.argument for d in directives if d.name == "solution-start"} == exercises
    cells = [d for d in directives if d.name == "code-cell"]
    assert max(len(cell.body) for cell in cells) <= 15, "a cell is over 15 lines"
    assert any("assert" in cell.text for cell in cells)
    assert any("d2lc run" in block.text for block in found)


def functions_in_cells(page, language) -> list[str]:
    """Functions that cells define outside solutions; lambdas that get a name, too."""
    found, solving = [], False
    for block in blocks(page, language):
        if block.kind == "directive" and block.name in ("solution-start", "solution-end"):
            solving = block.name == "solution-start"
        if block.kind == "directive" and block.name == "code-cell" and not solving:
            found += re.findall(r"^\s*(?:async )?def (\w+)|^(\w+) = lambda\b", block.text, re.M)
    return ["".join(names) for names in found]


@pytest.mark.parametrize(("page", "language"), PAGES, ids=IDS)
def test_cells_outside_solutions_define_no_function(page, language):
    """What a chapter runs is in the package, where it is tested."""
    assert functions_in_cells(page, language) == []


def unclosed_bold(text: str) -> list[str]:
    """Prose in which a reader would see the stars, inside directives too.

    CommonMark closes bold type after a full stop only before a space or another mark:
    in Chinese it goes wrong silently.
    """
    found = []
    for token in MarkdownIt().parse(text):
        if token.type == "inline":
            found += [
                c.content for c in token.children or () if c.type == "text" and "**" in c.content
            ]
        elif token.type == "fence" and re.match(r"\{(?!code-cell|literalinclude)", token.info):
            found += unclosed_bold(token.content)
    return found


@pytest.mark.parametrize(("page", "language"), PAGES, ids=IDS)
def test_bold_type_is_closed(page, language):
    assert unclosed_bold(page.path(language).read_text(encoding="utf-8")) == []


def test_unclosed_bold_is_seen():
    assert unclosed_bold("**损失。**藏起来的") == ["**损失。**藏起来的"]
    assert unclosed_bold("````{exercise} x\n**预测。**一行\n````") == ["**预测。**一行"]
    assert unclosed_bold("**损失**。藏起来的 **a** b") == []
