"""The errata of the book that this course grew out of: read from `book/errata.toml`, written as MyST.

The site's directive and the export of notebooks both show what `page_text` returns.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from book._tools import myst, project
from book._tools.project import LANGUAGES, ROOT, Page

FILE = "book/errata.toml"
EDITIONS = {
    "en": {"en": "English edition 1.0.3", "zh": "英文版 1.0.3"},
    "zh": {"en": "Chinese edition 2.0.0", "zh": "中文版 2.0.0"},
}
KINDS = {
    "code": {"en": "in the code", "zh": "代码"},
    "text": {"en": "in the text", "zh": "正文"},
}
#: How a place of this course is named: a formula by its number, after a word.
EQUATION = {"en": "equation {}", "zh": "式 {}"}
WORDS = {
    "en": {"source": "Where", "says": "The book", "right": "Right", "here": "In this course",
           "tests": "Tests", "colon": ": ", "comma": ", ", "list": ", ", "semicolon": "; ", "kind": " ({})"},
    "zh": {"source": "出处", "says": "书中", "right": "正确", "here": "本课程",
           "tests": "测试", "colon": "：", "comma": "，", "list": "、", "semicolon": "；", "kind": "（{}）"},
}  # fmt: skip


@dataclass(frozen=True)
class Erratum:
    """One row of the page; texts have one entry for each language.

    Raises:
        ValueError: for a text that a language lacks, an unknown edition or kind, a row without source or test.
    """

    id: str  # E7
    title: Mapping[str, str]
    kind: str  # code or text
    source: tuple[Mapping[str, Any], ...]  # edition, and where in it (at)
    says: Mapping[str, str]
    right: Mapping[str, str]
    chapter: str  # optimization/momentum
    label: str
    tests: tuple[str, ...]  # node ids
    part: str = ""  # a letter, where an id has several rows
    thread: str = ""  # d2l-ai/d2l-en/pull/2657

    def __post_init__(self) -> None:
        """Refuse what could not be shown."""
        for field in ("title", "says", "right"):
            texts = getattr(self, field)
            if set(texts) != set(LANGUAGES) or not all(text.strip() for text in texts.values()):
                raise ValueError(f"{self.name}: {field} needs a text in each of {LANGUAGES}")
        if self.kind not in KINDS:
            raise ValueError(f"{self.name}: kind must be in {sorted(KINDS)}, got {self.kind!r}")
        wrong = [s for s in self.source if s["edition"] not in EDITIONS or not s["at"]]
        if wrong or not self.source:
            raise ValueError(f"{self.name}: source needs editions of {sorted(EDITIONS)}: {wrong}")
        if not self.tests:
            raise ValueError(f"{self.name}: no test")

    @property
    def name(self) -> str:
        """Id and part: E7b."""
        return self.id + self.part


def read_all(root: Path = ROOT) -> list[Erratum]:
    """Every row of the file, in its order."""
    rows = tomllib.loads((root / FILE).read_text(encoding="utf-8"))["erratum"]
    listed = ("source", "tests")
    return [Erratum(**{k: tuple(v) if k in listed else v for k, v in row.items()}) for row in rows]


def read(root: Path = ROOT) -> list[Erratum]:
    """The errata of the chapters that are there, in the order of the file."""
    known = {page.slug for page in project.pages(root)}
    return [row for row in read_all(root) if row.chapter in known]


@cache
def roles(path: Path) -> dict[str, str]:
    """Every label of a page with the role that refers to it."""
    found = {}
    for block in myst.walk(myst.parse(path.read_text(encoding="utf-8"))):
        if block.kind == "target":
            found[block.argument] = "ref"
        elif block.kind == "math" and block.argument:
            found[block.argument] = "eq"
        elif block.kind == "directive" and block.name.startswith("prf:"):
            found[block.options.get("label", "")] = "prf:ref"
    return found


def place(row: Erratum, language: str, folder: str, root: Path = ROOT) -> str:
    """Chapter and label of a row as MyST, seen from a page in `folder`."""
    kinds = roles(Page(row.chapter).path(language, root))
    if row.label not in kinds:
        raise ValueError(f"{row.name}: {row.chapter} has no label {row.label!r} in {language}")
    reference = f"{{{kinds[row.label]}}}`{row.label}`"
    if kinds[row.label] == "eq":
        reference = EQUATION[language].format(reference)
    if row.label.endswith("-chapter"):
        return reference
    up = "../" * len(Path(folder).parts)
    return f"{{doc}}`{up}{row.chapter}`{WORDS[language]['comma']}{reference}"


def row_text(row: Erratum, language: str, folder: str, root: Path = ROOT) -> str:
    """One erratum as MyST: a heading, and a list that a phone can show."""
    words = WORDS[language]
    editions = [
        f"{EDITIONS[s['edition']][language]}{words['comma']}{words['list'].join(s['at'])}"
        for s in row.source
    ]
    source = words["semicolon"].join(editions) + words["kind"].format(KINDS[row.kind][language])
    if row.thread:
        repository, number = row.thread.split("/")[1], row.thread.split("/")[-1]
        source += f"{words['semicolon']}[{repository} #{number}](https://github.com/{row.thread})"
    lines = {
        "source": source,
        "says": row.says[language],
        "right": row.right[language],
        "here": place(row, language, folder, root),
        "tests": "".join(f"\n  - `{test}`" for test in row.tests),
    }
    items = [f"- **{words[key]}**{words['colon']}{text}" for key, text in lines.items()]
    head = f"(erratum-{row.name.lower()})=\n### {row.name} {row.title[language]}"
    return "\n".join([head, "", *items, ""])


def page_text(language: str, folder: str = "appendix", root: Path = ROOT) -> str:
    """All errata as MyST, in the order of the file."""
    return "\n".join(row_text(row, language, folder, root) for row in read(root))
