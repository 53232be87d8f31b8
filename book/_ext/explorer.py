"""An interactive figure: ```{explorer} schedules``` becomes a box that `explorers.js` fills in the reader's browser."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

SCRIPT = "explorers.js"
DATA = {
    "attention": "attention.js",
    "guesses": "guesses.js",
}  # numbers that a figure is drawn from, in a script of their own
# what the script can draw
EXPLORERS = ("schedules", "momentum", "bpe", "attention", "guesses", "boxes")
WITHOUT_SCRIPT = {
    "zh": "这里有一幅可以操作的图，需要浏览器启用 JavaScript。",
    "en": "An interactive figure stands here; it needs JavaScript.",
}


class ExplorerBox(nodes.General, nodes.Element):
    """The place of an interactive figure."""


class Explorer(SphinxDirective):
    """The directive ```{explorer} NAME```."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Leave a box with the name.

        Raises:
            a Sphinx error: if there is no such explorer; names those that there are.
        """
        name = self.arguments[0]
        if name not in EXPLORERS:
            raise self.error(f"no explorer {name!r}; there are: {', '.join(EXPLORERS)}")
        return [ExplorerBox(name=name, language=self.config.course_language)]


def visit_html(self: Any, node: ExplorerBox) -> None:
    """The box; what is in it shows where no script runs."""
    self.body.append(
        f'<div class="course-explorer" data-explorer="{node["name"]}" '
        f'data-language="{node["language"]}"><noscript>{WITHOUT_SCRIPT[node["language"]]}'
        "</noscript></div>"
    )
    raise nodes.SkipNode


def skip(self: Any, node: ExplorerBox) -> None:
    """Other builders, the search index among them, have nothing to show."""
    raise nodes.SkipNode


def add_script(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Only pages with an explorer load the script, and before it the numbers that it draws."""
    names = [box["name"] for box in doctree.findall(ExplorerBox)] if doctree is not None else []
    for script in [DATA[name] for name in names if name in DATA] + [SCRIPT] * bool(names):
        app.add_js_file(script, loading_method="defer")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_node(ExplorerBox, html=(visit_html, None), text=(skip, None), latex=(skip, None))
    app.add_directive("explorer", Explorer)
    app.connect("html-page-context", add_script)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
