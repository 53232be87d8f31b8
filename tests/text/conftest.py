"""Real text, and files of text, for the tests of this topic."""

from pathlib import Path

import pytest

from d2lcompanion.data.wikipedia import load_wikipedia


@pytest.fixture(scope="session")
def wikipedia_lines() -> list[str]:
    """The paragraphs of the Wikipedia extract, words separated by single spaces."""
    return [" ".join(paragraph) for paragraph in load_wikipedia().paragraphs]


@pytest.fixture
def file(tmp_path):
    """Write a corpus, as text or as bytes; its path."""

    def write(content: str | bytes, name: str = "corpus.txt") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    return write
