"""The page of errata: complete, in both languages, tied to the chapters and to tests that exist."""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import replace
from functools import cache

import pytest

from book._tools import errata, export, myst, project, typography
from book._tools.project import LANGUAGES, ROOT, Page

ROWS = errata.read()
NAMES = [row.name for row in ROWS]
EACH = pytest.mark.parametrize("row", ROWS, ids=NAMES)
PAGE = Page("appendix/errata")
SHARED = ROOT.parent / "shared" / "errata.md"
PARTS = {"optimization", "text", "vision"}
BOTH = {"en": "x", "zh": "x"}
SAMPLE = errata.Erratum(
    id="E1",
    title=BOTH,
    kind="text",
    source=({"edition": "en", "at": ["§1"]},),
    says=BOTH,
    right=BOTH,
    chapter="appendix/glossary",
    label="glossary",
    tests=("tests/book/test_errata.py::test_no_row_is_lost",),
)


def number(row: errata.Erratum) -> int:
    return int(row.id.removeprefix("E"))


# -------------------------------------------------------------------------------------------- rows


def test_names_are_unique_and_in_order():
    assert all(re.fullmatch(r"E[1-9]\d*[a-z]?", name) for name in NAMES)
    assert [(number(row), row.part) for row in ROWS] == sorted((number(r), r.part) for r in ROWS)
    assert len(set(NAMES)) == len(NAMES)
    rows = Counter(row.id for row in ROWS)
    for row in ROWS:
        letters = [other.part for other in ROWS if other.id == row.id]
        assert letters == (list("abcdefgh")[: rows[row.id]] if rows[row.id] > 1 else [""])


def test_the_errata_of_part_one_are_complete():
    if not SHARED.exists():
        pytest.skip("the list of errors that the course must get right lies beside this checkout")
    text = SHARED.read_text(encoding="utf-8")
    section = re.search(r"^\*\*Optimization\*\*$(.*?)^\*\*", text, flags=re.M | re.S)[1]
    wanted = {*re.findall(r"^- (E\d+) ", section, flags=re.M), "E20"}
    assert len(wanted) > 5
    assert wanted <= {row.id for row in ROWS}
    every = set(re.findall(r"^- (E\d+) ", text, flags=re.M))
    assert {row.id for row in ROWS} <= every


@EACH
def test_both_languages_have_the_same_formulas_and_code(row):
    """The rest is prose; `Erratum` itself refuses a row that lacks a language."""
    for texts in (row.title, row.says, row.right):
        for pattern in (myst.INLINE_MATH, myst.INLINE_CODE):
            found = [sorted(m[0] for m in pattern.finditer(texts[la])) for la in LANGUAGES]
            assert found[0] == found[1]
        assert not re.search(r"[\u3000-\u9fff\uff00-\uffef]", texts["en"]), texts["en"]
        assert texts["zh"] != texts["en"] or not re.search("[a-z]{3}", strip(texts["zh"]))


def strip(text: str) -> str:
    return myst.INLINE_CODE.sub("", myst.INLINE_MATH.sub("", text))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"says": {"en": "x"}}, "E1: says needs a text in each of"),
        ({"right": {"en": "x", "zh": " "}}, "E1: right needs a text in each of"),
        ({"kind": "prose"}, r"E1: kind must be in \['code', 'text'\], got 'prose'"),
        ({"source": ({"edition": "fr", "at": ["1"]},)}, "E1: source needs editions of .*fr"),
        ({"source": ({"edition": "en", "at": []},)}, "E1: source needs editions of .*en"),
        ({"source": ()}, "E1: source needs editions"),
        ({"tests": ()}, "E1: no test"),
    ],
)
def test_a_row_that_could_not_be_shown_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        replace(SAMPLE, **change)


# ---------------------------------------------------------------------------------------- chapters


def test_no_row_is_lost():
    """The page leaves a row out only if the whole topic is gone, never for a slip in a chapter's name."""
    topics = {f.name for f in (ROOT / "d2lcompanion").iterdir() if f.is_dir()}
    there = [row for row in errata.read_all() if row.chapter.split("/")[0] in topics]
    assert there == ROWS
    assert {row.chapter.split("/")[0] for row in errata.read_all()} <= PARTS


@EACH
def test_the_chapter_has_the_label_in_both_languages(row):
    assert Page(row.chapter) in project.chapters()
    kinds = {errata.roles(Page(row.chapter).path(language))[row.label] for language in LANGUAGES}
    assert len(kinds) == 1


def test_a_label_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="E1: appendix/glossary has no label 'no-such' in en"):
        errata.place(replace(SAMPLE, label="no-such"), "en", "appendix")


# ------------------------------------------------------------------------------------------- tests


@cache
def functions(file: str) -> dict[str, ast.FunctionDef]:
    """The test functions of a file, by name."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def mentions(node: ast.FunctionDef, identifier: str) -> bool:
    """Whether name or docstring of a test has the id as a word."""
    text = f"{node.name.replace('_', ' ')} {ast.get_docstring(node) or ''}"
    return re.search(rf"\b{identifier}\b", text, flags=re.I) is not None


@EACH
def test_every_named_test_exists_and_asserts_something(row):
    assert len(set(row.tests)) == len(row.tests)
    for test in row.tests:
        file, _, name = test.partition("::")
        assert (ROOT / file).is_file(), test
        assert name in functions(file), f"{test}: there is no such test"
        checks = [
            node
            for node in ast.walk(functions(file)[name])
            if isinstance(node, ast.Assert)
            or (isinstance(node, ast.Attribute) and node.attr == "assert_close")
        ]
        assert checks, f"{test} asserts nothing"


@EACH
def test_the_id_stands_in_one_of_its_tests(row):
    found = [functions(t.partition("::")[0])[t.partition("::")[2]] for t in row.tests]
    assert any(mentions(node, row.id) for node in found), f"no test of {row.name} names {row.id}"


def test_no_test_of_an_erratum_is_left_out():
    """A test whose docstring says which erratum it checks stands in that erratum's row."""
    known = {(row.id, test) for row in ROWS for test in row.tests}
    missing = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        file = path.relative_to(ROOT).as_posix()
        for name, node in functions(file).items():
            text = f"{ast.get_docstring(node) or ''} {name.replace('_', ' ')}"
            for match in re.finditer(r"\berrat(?:a|um) (E\d+)", text, flags=re.I):
                if (match[1].upper(), f"{file}::{name}") not in known:
                    missing.append(f"{match[1]}: {file}::{name}")
    assert missing == []


# -------------------------------------------------------------------------------------------- page


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_shows_every_row(language):
    blocks = myst.parse(errata.page_text(language))
    assert [b.argument.split(" ")[0] for b in blocks if b.kind == "heading"] == NAMES
    targets = [b.argument for b in blocks if b.kind == "target"]
    assert targets == [f"erratum-{name.lower()}" for name in NAMES]
    source = PAGE.path(language).read_text(encoding="utf-8")
    names = [b.name for b in myst.parse(source) if b.kind == "directive"]
    assert names.count("errata") == 1
    for row in ROWS:
        text = errata.row_text(row, language, "appendix")
        for part in (row.title, row.says, row.right):
            assert part[language] in text
        assert all(f"`{test}`" in text for test in row.tests)
        assert ("https://github.com/" + row.thread in text) == bool(row.thread)
        assert f"`{row.label}`" in text


def test_chinese_typography():
    assert typography.problems_in(errata.page_text("zh"), errata.FILE) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_exported_page_has_every_row_and_no_myst(language):
    """As `make export` writes it; here every label has a number of its own."""
    numbers, titles = {}, {}
    for row in ROWS:
        kind = errata.roles(Page(row.chapter).path(language))[row.label]
        if kind == "ref":
            titles[row.label] = f"title of {row.label}"
        else:
            known = {"kind": "theorem", "number": f"7.{number(row)}"}
            numbers[f"equation-{row.label}" if kind == "eq" else row.label] = known
    chapter = export.Chapter(PAGE, language, numbers, titles, {})
    source = PAGE.path(language).read_text(encoding="utf-8")
    (block,) = (b for b in myst.parse(source) if b.kind == "directive" and b.name == "errata")
    text = chapter.directive(block)
    assert re.findall(r"^### (\S+) ", text, flags=re.M) == NAMES
    assert not myst.ROLE.search(text)
    assert not re.search(r"^\([\w-]+\)=", text, flags=re.M)
    assert text.count('<a id="erratum-') == len(ROWS)
    for row in ROWS:
        assert row.label.endswith("-chapter") or f"](../{row.chapter}.ipynb)" in text
        assert row.says[language] in text
