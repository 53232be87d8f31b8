"""A self-check quiz that needs no script: each option is a disclosure that says whether it is right, and why.

```{quiz}
1. Question?
   - [x] the right option — why it is right
   - [ ] a wrong option — what is wrong with it
```
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

RIGHT, WRONG, DASH = "[x]", "[ ]", " — "
WORDS = {"zh": {True: "正确。", False: "不对。"}, "en": {True: "Right. ", False: "Not so. "}}


class Details(nodes.General, nodes.Element):
    """An HTML disclosure."""


class Summary(nodes.General, nodes.Element):
    """The part of a disclosure that is always shown."""


def split_option(paragraph: nodes.Element) -> tuple[bool, list[nodes.Node], list[nodes.Node]]:
    """`[x] option — explanation` as (right?, inline nodes of the option, of the explanation)."""
    children = [child.deepcopy() for child in paragraph.children]
    head = children[0].astext() if children else ""
    if not head.startswith((RIGHT, WRONG)):
        raise ValueError(
            f"a quiz option starts with {RIGHT!r} or {WRONG!r}, got {paragraph.astext()!r}"
        )
    children[0] = nodes.Text(head[len(RIGHT) :].lstrip())
    for i, child in enumerate(children):
        if isinstance(child, nodes.Text) and DASH in child:
            left, right = child.split(DASH, 1)
            return (
                head.startswith(RIGHT),
                [*children[:i], nodes.Text(left)],
                [nodes.Text(right), *children[i + 1 :]],
            )
    raise ValueError(f"a quiz option needs {DASH!r} and an explanation, got {paragraph.astext()!r}")


class Quiz(SphinxDirective):
    """The directive ```{quiz}```; its body is a numbered list of questions with nested options."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Parse the list and turn every option into a disclosure."""
        box = nodes.container(classes=["course-quiz"])
        self.state.nested_parse(self.content, self.content_offset, box)
        words = WORDS[self.config.course_language]
        for options in list(box.findall(nodes.bullet_list)):
            rights = 0
            group = nodes.container(classes=["course-quiz-options"])
            for item in options.children:
                try:
                    right, option, why = split_option(item.children[0])
                except ValueError as error:
                    raise self.error(str(error)) from None
                rights += right
                verdict = nodes.strong("", words[right].rstrip())
                space = nodes.Text(" " if words[right].endswith(" ") else "")
                group += Details(
                    "",
                    Summary("", *option),
                    nodes.paragraph("", "", verdict, space, *why),
                    classes=["quiz-right" if right else "quiz-wrong"],
                )
            if rights == 0:
                raise self.error(f"no option is marked {RIGHT} right: {options.astext()!r}")
            options.replace_self(group)
        return [box]


def visit_details(visitor: Any, node: Details) -> None:
    """Open the disclosure."""
    visitor.body.append(visitor.starttag(node, "details", CLASS="quiz-option"))


def visit_summary(visitor: Any, node: Summary) -> None:
    """Open its head."""
    visitor.body.append("<summary>")


def setup(app: Sphinx) -> None:
    """Register directive and nodes."""
    app.add_node(Details, html=(visit_details, lambda v, n: v.body.append("</details>\n")))
    app.add_node(Summary, html=(visit_summary, lambda v, n: v.body.append("</summary>")))
    app.add_directive("quiz", Quiz)
