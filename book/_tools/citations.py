"""Names of authors as citations show them: on the site and in exported notebooks."""

from __future__ import annotations

from typing import Any


def authors(entry: Any, joined: str = " and ", others: str = " et al.") -> str:
    """The family names of one or two authors (or editors) of a pybtex entry, or the first and `others`."""
    people = entry.persons["author"] or entry.persons["editor"]
    names = [" ".join(p.prelast_names + p.last_names).strip("{}") for p in people]
    return names[0] + others if len(names) > 2 else joined.join(names)
