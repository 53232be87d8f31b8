"""Real text for the tests of this topic."""

import pytest

from d2lcompanion.data.wikipedia import load_wikipedia


@pytest.fixture(scope="session")
def wikipedia_lines() -> list[str]:
    """The paragraphs of the Wikipedia extract, words separated by single spaces."""
    return [" ".join(paragraph) for paragraph in load_wikipedia().paragraphs]
