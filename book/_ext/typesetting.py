"""Small matters of type: punctuation stays with its formula, minus signs, labels of cited works."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from docutils import nodes
from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style as PlainStyle
from pybtex.style.labels import BaseLabelStyle
from sphinx.application import Sphinx

from book._tools.citations import authors

OPENING, CLOSING = "（(“", "，。；：！？、）”,.;:!?)"
SHORT = 24  # characters of LaTeX; a longer formula must be free to break on a phone


def keep_punctuation(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """A short inline formula and the punctuation around it never part at the end of a line."""
    for math in list(doctree.findall(nodes.math)):
        if len(math.astext()) > SHORT:
            continue
        parent, here = math.parent, math.parent.index(math)
        before = parent[here - 1] if here > 0 else None
        after = parent[here + 1] if here + 1 < len(parent) else None
        group = nodes.inline("", "", math.deepcopy(), classes=["nobreak"])
        if isinstance(before, nodes.Text) and before.endswith(tuple(OPENING)):
            group.insert(0, nodes.Text(before[-1]))
            parent[here - 1] = nodes.Text(before[:-1])  # by place: equal texts are equal
        if isinstance(after, nodes.Text) and after.startswith(tuple(CLOSING)):
            group.append(nodes.Text(after[0]))
            parent[here + 1] = nodes.Text(after[1:])
        if len(group) > 1:
            parent.replace(math, group)


def use_minus_signs(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Glued numbers are printed by Python, whose minus is a hyphen."""
    for number in doctree.findall(nodes.inline):
        if "pasted-text" in number["classes"] and number.astext().startswith("-"):
            text = next(number.findall(nodes.Text))
            text.parent.replace(text, nodes.Text("−" + text[1:]))


class AuthorYearLabels(BaseLabelStyle):
    """Efron et al., 2004: the label that citations in the text show."""

    def format_labels(self, sorted_entries: Iterable[Any]) -> Iterator[str]:
        """One label an entry."""
        for entry in sorted_entries:
            yield f"{authors(entry)}, {entry.fields['year']}"


class AuthorYearStyle(PlainStyle):  # type: ignore[misc]
    """pybtex's plain style with those labels."""

    default_label_style = AuthorYearLabels


def setup(app: Sphinx) -> None:
    """Register the transformations and the style of the bibliography."""
    register_plugin("pybtex.style.formatting", "course", AuthorYearStyle)
    app.connect("doctree-resolved", keep_punctuation)
    app.connect("doctree-resolved", use_minus_signs)
