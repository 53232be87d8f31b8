"""The table of measured results of one experiment, from `results/`, in the language of the page."""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]


class ResultsTable(SphinxDirective):
    """```{results-table} EXPERIMENT```."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Parse the Markdown table that the package writes."""
        from d2lcompanion.experiments.catalog import find
        from d2lcompanion.training.results_table import results_table

        name = self.arguments[0]
        for file in sorted((ROOT / "results" / name).glob("*.json")):
            self.env.note_dependency(str(file))
        markdown = results_table(find(name), self.config.course_language)
        box = nodes.container(classes=["course-results"])
        self.state.nested_parse(StringList(markdown.splitlines(), source=name), 0, box)
        return [box]


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("results-table", ResultsTable)
