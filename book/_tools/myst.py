"""The block structure of a MyST page, with line numbers: for parity, typography and export.

Only what this book uses: front matter, headings, targets, fences and directives (nested by longer fences),
dollar math with labels, and text in between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

FENCE = re.compile(
    r"^(?P<fence>`{3,}|:{3,})(?:\{(?P<name>[^}\s]+)\}[ \t]*(?P<argument>.*)|(?P<info>.*))$"
)
HEADING = re.compile(r"^(?P<level>#{1,6}) +(?P<text>.+?)\s*$")
TARGET = re.compile(r"^\((?P<label>[^)\s]+)\)=\s*$")
MATH_END = re.compile(r"\$\$(?:\s*\((?P<label>[^)]+)\))?\s*$")
OPTION = re.compile(r"^:(?P<key>[\w-]+):\s*(?P<value>.*)$")
ROLE = re.compile(r"\{(?P<name>[a-zA-Z][\w:+-]*)\}`(?P<text>[^`]+)`")
INLINE_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.S)
INLINE_MATH = re.compile(r"(?<![\\$])\$(?!\$)(?P<tex>[^$]+?)(?<!\\)\$(?!\$)")


@dataclass
class Block:
    """One block of a page.

    kind is front-matter, heading, target, directive, fence, math or text; `line` counts from 1 in the file;
    `body` are the inner lines, the first of which stands at `body_line`.
    """

    kind: str
    line: int
    body: list[str] = field(default_factory=list)
    body_line: int = 0
    name: str = ""  # directive's name, or a fence's info string
    argument: str = (
        ""  # directive's argument, heading's text, or the label of a target or an equation
    )
    level: int = 0  # of a heading
    options: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The inner lines as one string."""
        return "\n".join(self.body)

    def children(self) -> list[Block]:
        """The blocks inside a directive."""
        return parse(self.text, first_line=self.body_line)


def _split_options(block: Block) -> None:
    """Take `:key: value` lines or a YAML block off the head of a directive's body."""
    body, taken = block.body, 0
    if body and body[0].strip() == "---":
        end = next((i for i, line in enumerate(body[1:], 1) if line.strip() == "---"), None)
        if end is None:
            raise ValueError(f"line {block.body_line}: options opened with --- are never closed")
        loaded = yaml.safe_load("\n".join(body[1:end])) or {}
        block.options = {str(key): str(value) for key, value in loaded.items()}
        taken = end + 1
    else:
        for line in body:
            match = OPTION.match(line)
            if match is None:
                break
            block.options[match["key"]] = match["value"].strip()
            taken += 1
    block.body = body[taken:]
    block.body_line += taken


def _fenced(lines: list[str], start: int, first_line: int) -> tuple[Block, int]:
    """The fence or directive that opens at `start`, and the index after it."""
    match = FENCE.match(lines[start])
    assert match is not None
    fence = match["fence"]
    closing = re.compile(rf"^{re.escape(fence[0])}{{{len(fence)},}}\s*$")
    end = next((i for i in range(start + 1, len(lines)) if closing.match(lines[i])), None)
    if end is None:
        raise ValueError(f"line {first_line + start}: {lines[start]!r} is never closed")
    block = Block(
        "directive" if match["name"] else "fence",
        first_line + start,
        lines[start + 1 : end],
        first_line + start + 1,
        name=match["name"] or (match["info"] or "").strip(),
        argument=(match["argument"] or "").strip(),
    )
    if block.kind == "directive":
        _split_options(block)
    return block, end + 1


def _math(lines: list[str], start: int, first_line: int) -> tuple[Block, int]:
    """The display equation that opens at `start`, and the index after it."""
    opening = lines[start].lstrip()[2:]
    candidates = [opening, *lines[start + 1 :]]
    for i, line in enumerate(candidates):
        match = MATH_END.search(line)
        if match:
            body = [*candidates[:i], line[: match.start()]]
            block = Block(
                "math", first_line + start, body, first_line + start, argument=match["label"] or ""
            )
            return block, start + i + 1
    raise ValueError(f"line {first_line + start}: $$ is never closed")


def parse(text: str, first_line: int = 1) -> list[Block]:
    """The blocks of a page or of a directive's body, in order.

    Raises:
        ValueError: for a fence, an equation or options that are never closed; the message names the line.
    """
    lines = text.split("\n")
    blocks: list[Block] = []
    i = 0
    if first_line == 1 and lines[:1] == ["---"]:
        i = lines.index("---", 1) + 1
        blocks.append(Block("front-matter", 1, lines[1 : i - 1], 2))
    while i < len(lines):
        line = lines[i]
        heading, target = HEADING.match(line), TARGET.match(line)
        if FENCE.match(line):
            block, i = _fenced(lines, i, first_line)
        elif line.lstrip().startswith("$$"):
            block, i = _math(lines, i, first_line)
        elif heading:
            block = Block(
                "heading", first_line + i, argument=heading["text"], level=len(heading["level"])
            )
            i += 1
        elif target:
            block = Block("target", first_line + i, argument=target["label"])
            i += 1
        else:
            if blocks and blocks[-1].kind == "text":
                blocks[-1].body.append(line)
            else:
                blocks.append(Block("text", first_line + i, [line], first_line + i))
            i += 1
            continue
        blocks.append(block)
    return blocks


#: Directives whose body is code or data, not MyST.
LITERAL = {
    "code-cell",
    "code-block",
    "literalinclude",
    "math",
    "raw",
    "mermaid",
    "toctree",
    "bibliography",
}


def walk(blocks: list[Block]) -> Iterator[Block]:
    """Every block, directives before what stands inside them."""
    for block in blocks:
        yield block
        if block.kind == "directive" and block.name not in LITERAL:
            yield from walk(block.children())


def prose(block: Block) -> Iterator[tuple[int, str]]:
    """(line number, line) of a text block."""
    yield from enumerate(block.body, block.body_line)
