"""Chinese typography by AutoCorrect: full-width punctuation, a space between Chinese and Latin text.

AutoCorrect knows Markdown but not MyST; roles and formulas are replaced by what a reader will see there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import autocorrect_py

from book._tools import myst
from book._tools.myst import Block
from book._tools.project import ROOT, Page

#: What a role turns into on the page: a number, a Latin name, or Chinese words.
SHOWN = {
    "eq": "1",
    "glue:text": "1",
    "cite:t": "Name",
    "cite:p": "Name",
    "numref": "图",
    "prf:ref": "图",
}
TITLED = re.compile(r"^(?P<title>[^<]+?)\s*<[^>]+>$")


def _shown_role(match: re.Match[str]) -> str:
    titled = TITLED.match(match["text"])
    return titled["title"] if titled else SHOWN.get(match["name"], "图")


def shown(line: str) -> str:
    """A line as a reader sees it, near enough for spaces and punctuation."""
    line = myst.ROLE.sub(_shown_role, line)
    line = myst.INLINE_MATH.sub("x", line)
    line = myst.INLINE_CODE.sub("x", line)
    line = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", line)
    return re.sub(r"[*_]{1,2}(?=\S)|(?<=\S)[*_]{1,2}", "", line)


def _prose(blocks: list[Block]) -> Iterator[tuple[int, str]]:
    for block in myst.walk(blocks):
        if block.kind == "text":
            yield from myst.prose(block)
        elif block.kind == "heading" or (
            block.kind == "directive" and block.name not in myst.LITERAL
        ):
            if block.argument and not block.name.startswith(
                ("glue:", "solution", "results-table", "explorer")
            ):
                yield block.line, block.argument
            if "alt" in block.options:
                yield block.line, block.options["alt"]


def problems(page: Page, root: Path = ROOT) -> list[str]:
    """What AutoCorrect would change on the Chinese page, with file and line."""
    path = page.path("zh", root)
    return problems_in(path.read_text(encoding="utf-8"), path.relative_to(root).as_posix())


def problems_in(source: str, name: str) -> list[str]:
    """What AutoCorrect would change in the MyST of a Chinese page called `name`."""
    found = []
    for line, text in _prose(myst.parse(source)):
        seen = shown(text)
        better = autocorrect_py.format(seen)
        if better != seen:
            found.append(f"{name}:{line}: {seen.strip()!r} should read {better.strip()!r}")
    return found
