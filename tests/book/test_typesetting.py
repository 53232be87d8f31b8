"""Punctuation stays with its formula, and no character is lost or doubled on the way."""

from __future__ import annotations

import pytest
from docutils import nodes
from docutils.utils import new_document

from book._ext.typesetting import SHORT, keep_punctuation

LONG = "x" * (SHORT + 1)


def page(*parts: str) -> nodes.document:
    """One paragraph; parts in dollars are formulas."""
    document = new_document("page")
    paragraph = nodes.paragraph()
    for part in parts:
        formula = part.startswith("$")
        paragraph += nodes.math("", part.strip("$")) if formula else nodes.Text(part)
    document += paragraph
    return document


@pytest.mark.parametrize(
    "parts",
    [
        ("at most ", "$a$", ". Then at least ", "$b$", ". So"),
        ("at most ", f"${LONG}$", ". ", "$b$", ". ", "$c$", ". "),  # equal texts
        ("（", "$a$", "）和（", "$b$", "）和（", f"${LONG}$", "）和（", "$c$", "）"),
    ],
)
def test_no_character_moves(parts):
    document = page(*parts)
    keep_punctuation(None, document, "page")
    assert document.astext() == "".join(part.strip("$") for part in parts)


def test_short_formulas_keep_their_punctuation():
    document = page("（", "$a$", "）。", f"${LONG}$", "。")
    keep_punctuation(None, document, "page")
    [group] = document.findall(
        lambda node: "nobreak" in getattr(node, "attributes", {}).get("classes", [])
    )
    assert group.astext() == "（a）"
