"""The errata of the book, from `book/errata.toml`, in the language of the page."""

from __future__ import annotations

from pathlib import PurePosixPath

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from book._tools import errata, project


class Errata(SphinxDirective):
    """```{errata}```: a section for every erratum."""

    def run(self) -> list[nodes.Node]:
        """Parse the MyST that the data file gives; its headings become sections of the page."""
        language = self.config.course_language
        self.env.note_dependency(str(project.ROOT / errata.FILE))
        for chapter in {row.chapter for row in errata.read()}:
            self.env.note_dependency(str(project.Page(chapter).path(language)))
        folder = PurePosixPath(project.slug_of(self.env.docname)).parent.as_posix()
        lines = errata.page_text(language, folder).splitlines()
        box = nodes.section()
        self.state.nested_parse(StringList(lines, source=errata.FILE), 0, box, match_titles=True)
        return box.children


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("errata", Errata)
