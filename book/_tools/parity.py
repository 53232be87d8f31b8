"""Both languages say the same: headings, cells, equations, labels, citations, figures, exercises, numbers.

Every difference names file and line in both languages. What may differ is the prose.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from book._tools import myst, project
from book._tools.myst import Block
from book._tools.project import LANGUAGES, ROOT, Page

#: Words inside an equation may be in the page's language.
WORDS_IN_MATH = re.compile(r"\\(?:text|mathrm|operatorname\*?)\{[^{}]*\}")
CITATION = re.compile(r"^cite(:\w+)?$")
FIGURES = ("figure", "glue:figure", "image")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
LATIN_WORD = re.compile(r"[A-Za-z]{2,}")
#: Pages that are about both languages.
MIXED = ("appendix/glossary", "index", "appendix/setup")


@dataclass(frozen=True)
class Item:
    """Something that both languages must have, and where it stands."""

    line: int
    what: str


@dataclass(frozen=True)
class Difference:
    """One place where the languages part."""

    zh: str
    en: str
    what: str

    def __str__(self) -> str:
        return f"{self.zh} | {self.en}: {self.what}"


def _headings(blocks: list[Block]) -> Iterator[Item]:
    yield from (Item(b.line, "#" * b.level) for b in blocks if b.kind == "heading")


def _cells(blocks: list[Block]) -> Iterator[Item]:
    for block in blocks:
        if block.kind == "directive" and block.name == "code-cell":
            yield Item(
                block.line, f"{block.argument} {sorted(block.options.items())}\n{block.text}"
            )


def _sources(blocks: list[Block]) -> Iterator[Item]:
    for block in blocks:
        if block.kind == "directive" and block.name == "literalinclude":
            yield Item(block.line, f"{block.argument} {sorted(block.options.items())}")


def _equations(blocks: list[Block]) -> Iterator[Item]:
    for block in blocks:
        if block.kind == "math":
            tex = re.sub(r"\s+", " ", WORDS_IN_MATH.sub(r"\\text{}", block.text)).strip()
            yield Item(block.line, f"$$ {tex} $$ ({block.argument})")


def _labels(blocks: list[Block]) -> Iterator[Item]:
    for block in blocks:
        if block.kind == "target":
            yield Item(block.line, block.argument)
        for key in ("label", "name"):
            if key in block.options:
                yield Item(block.line, block.options[key])


def _roles(blocks: list[Block], wanted: Callable[[str], bool]) -> list[Item]:
    found = []
    for block in blocks:
        if block.kind != "text":
            continue
        for line, text in myst.prose(block):
            for role in myst.ROLE.finditer(text):
                if wanted(role["name"]):
                    found.append(Item(line, f"{role['name']}:{role['text']}"))
    return found


def _citations(blocks: list[Block]) -> Iterator[Item]:
    yield from sorted(
        _roles(blocks, lambda name: bool(CITATION.match(name))), key=lambda item: item.what
    )


def _numbers(blocks: list[Block]) -> Iterator[Item]:
    yield from sorted(_roles(blocks, lambda name: name == "glue:text"), key=lambda item: item.what)


def _figures(blocks: list[Block]) -> Iterator[Item]:
    for block in blocks:
        if block.kind == "directive" and block.name in FIGURES:
            yield Item(block.line, f"{block.name} {block.argument} {block.options.get('name', '')}")


def _exercises(blocks: list[Block]) -> Iterator[Item]:
    names = (
        "exercise", "exercise-start", "solution", "solution-start", "quiz", "results-table", "explorer",
        "errata",
    )  # fmt: skip
    for block in blocks:
        if block.kind == "directive" and block.name in names:
            argument = block.argument if block.name.startswith(("solution", "explorer")) else ""
            yield Item(block.line, f"{block.name} {argument}")


ASPECTS: dict[str, Callable[[list[Block]], Iterator[Item]]] = {
    "heading": _headings,
    "code cell": _cells,
    "shown source": _sources,
    "equation": _equations,
    "label": _labels,
    "citation": _citations,
    "glued number": _numbers,
    "figure": _figures,
    "exercise": _exercises,
}


def _name(path: Path, root: Path, line: int) -> str:
    return f"{path.relative_to(root).as_posix()}:{line}"


def page_differences(page: Page, root: Path = ROOT) -> list[Difference]:
    """The first difference of each aspect between the two languages of a page."""
    paths = [page.path(language, root) for language in LANGUAGES]
    missing = [path for path in paths if not path.exists()]
    if missing:
        names = [path.relative_to(root).as_posix() for path in paths]
        return [
            Difference(
                names[0], names[1], f"{missing[0].relative_to(root).as_posix()} does not exist"
            )
        ]
    zh, en = (list(myst.walk(myst.parse(path.read_text(encoding="utf-8")))) for path in paths)
    found = []
    for aspect, items in ASPECTS.items():
        left, right = list(items(zh)), list(items(en))
        for a, b in zip(left, right, strict=False):
            if a.what != b.what:
                what = f"{aspect} differs: {a.what[:160]!r} against {b.what[:160]!r}"
                found.append(
                    Difference(_name(paths[0], root, a.line), _name(paths[1], root, b.line), what)
                )
                break
        else:
            if len(left) != len(right):
                ends = [
                    _name(p, root, i[-1].line if i else 1)
                    for p, i in zip(paths, (left, right), strict=True)
                ]
                longer = (left if len(left) > len(right) else right)[min(len(left), len(right))]
                what = f"{len(left)} against {len(right)} of {aspect}; only one has {longer.what[:160]!r} (line {longer.line})"
                found.append(Difference(ends[0], ends[1], what))
    return found


def missing_alternative_texts(page: Page, language: str, root: Path = ROOT) -> list[str]:
    """Figures without a text for readers who do not see them."""
    path = page.path(language, root)
    return [
        f"{_name(path, root, block.line)}: {block.name} {block.argument} has no :alt: text"
        for block in myst.walk(myst.parse(path.read_text(encoding="utf-8")))
        if block.kind == "directive"
        and block.name in FIGURES
        and not block.options.get("alt", "").strip()
    ]


def _visible(text: str) -> str:
    """A line less code, formulas and roles, which are the same in every language."""
    for pattern in (myst.ROLE, myst.INLINE_CODE, myst.INLINE_MATH):
        text = pattern.sub(" ", text)
    return text


def _titles(block: Block) -> Iterator[tuple[int, str]]:
    """The short texts of a page that translators forget: titles, captions, heads of tables, alternative texts."""
    if block.kind == "heading":
        yield block.line, block.argument
    if block.kind == "directive":
        titled = block.name.startswith(("prf:", "exercise", "admonition", "dropdown", "card"))
        if titled and block.argument:
            yield block.line, block.argument
        if "alt" in block.options:
            yield block.line, block.options["alt"]
        if block.name in FIGURES:
            caption = " ".join(line for line in block.body if line.strip())
            if caption:
                yield block.body_line, caption
    if block.kind == "text":
        for (line, text), (_, following) in itertools.pairwise(myst.prose(block)):
            if text.startswith("|") and re.match(r"^\|[\s:|-]+\|\s*$", following):
                yield from ((line, cell) for cell in text.strip().strip("|").split("|"))


def leftovers(page: Page, root: Path = ROOT) -> list[str]:
    """English titles, captions and table heads on the Chinese page; Chinese on the English one."""
    found = []
    zh, en = (page.path(language, root) for language in LANGUAGES)
    for block in myst.walk(myst.parse(zh.read_text(encoding="utf-8"))):
        for line, text in _titles(block):
            visible = _visible(text)
            if len(LATIN_WORD.findall(visible)) >= 2 and not CHINESE.search(visible):
                found.append(f"{_name(zh, root, line)}: left in English: {text.strip()[:80]!r}")
    if page.slug not in MIXED:
        for block in myst.walk(myst.parse(en.read_text(encoding="utf-8"))):
            texts = list(_titles(block)) + (list(myst.prose(block)) if block.kind == "text" else [])
            for line, text in texts:
                if CHINESE.search(_visible(text)):
                    found.append(
                        f"{_name(en, root, line)}: Chinese on the English page: {text.strip()[:80]!r}"
                    )
    return found


def stray_files(root: Path = ROOT) -> list[str]:
    """Pages that lie in one language's folder and stand in no table of contents."""
    known = {page.path(language, root) for page in project.pages(root) for language in LANGUAGES}
    files = [f for language in LANGUAGES for f in sorted((root / "book" / language).rglob("*.md"))]
    return [
        f"{f.relative_to(root).as_posix()}: stands in no _toc.yml" for f in files if f not in known
    ]
