"""Chinese search by pairs of characters: one rule for index and query, so words inside phrases are found."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.search.zh import SearchChinese

RUNS = re.compile(r"[\u3400-\u9fff]+|[A-Za-z0-9_]+")


class SearchPairs(SearchChinese):
    """Index 注意力 as 注意 and 意力; no dictionary decides where a word ends."""

    js_splitter_code = r"""
function splitQuery(query) {
  return (query.match(/[\u3400-\u9fff]+|[A-Za-z0-9_]+/g) || []).flatMap((run) =>
    run.length > 2 && run > "\u3400" ? [...run].slice(1).map((c, i) => run[i] + c) : [run]);
}
"""

    def split(self, text: str) -> list[str]:
        """Latin words as they are, Chinese runs as overlapping pairs."""
        words: list[str] = []
        for run in RUNS.findall(text):
            if run[0] < "\u3400":
                self.latin_terms.append(run)
                words.append(run)
            else:
                words += [run[i : i + 2] for i in range(len(run) - 1)] or [run]
        return words


def setup(app: Sphinx) -> dict[str, Any]:
    """Take the place of Sphinx's own Chinese search."""
    app.add_search_language(SearchPairs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
