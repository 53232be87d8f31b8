"""The parts of the book: long tests have a class for each, and classes run side by side."""

from __future__ import annotations

from book._tools import project

CHAPTERS = project.chapters()
PARTS = ("optimization", "text", "vision")


def of(part: str) -> list[project.Page]:
    """The chapters of a part."""
    return [page for page in CHAPTERS if page.slug.startswith(f"{part}/")]
