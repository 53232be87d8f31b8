"""Everyday life in Chinese and English: a short text written for this course, in pairs.

Sentence by sentence the two versions say the same, each as its own readers would. So
what a tokenizer needs for the one and for the other can be compared.
"""

import functools
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

FILE = "everyday_zh_en.tsv"


class Sentence(NamedTuple):
    """One sentence, twice."""

    zh: str
    en: str


@dataclass(frozen=True)
class Everyday:
    """The text.

    Attributes:
        sentences: in order.
        topics: the heading of each sentence, in both languages.
        source: a sentence: what was loaded, and its licence.
    """

    sentences: tuple[Sentence, ...]
    topics: tuple[Sentence, ...]
    source: str


@functools.cache
def load_everyday() -> Everyday:
    """The pairs that come with the package, CC0.

    Raises:
        ValueError: as `read_pairs`, if the file was changed.
    """
    data = (files("d2lcompanion.data.embedded") / FILE).read_bytes()
    sentences, topics = parse_pairs(data, FILE)
    signs = sum(len(pair.zh) for pair in sentences)
    words = sum(len(pair.en.split()) for pair in sentences)
    return Everyday(
        sentences,
        topics,
        f"{len(sentences)} sentences on {len(set(topics))} everyday topics, written for "
        f"this course (CC0): {signs} signs of Chinese, {words} words of English.",
    )


def read_pairs(path: Path | str) -> tuple[tuple[Sentence, ...], tuple[Sentence, ...]]:
    """Sentences and topics of a file of your own, in the same format.

    A line is a sentence in Chinese, a tab, and the same in English; a line that begins
    with # is a heading in the same way. UTF-8, with or without a byte order mark.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming file and byte, if it is not UTF-8, such as GBK from Chinese
            Windows; naming file and line, if a line has not two parts; or if it is empty.
    """
    return parse_pairs(Path(path).read_bytes(), str(path))


def parse_pairs(
    data: bytes, name: str
) -> tuple[tuple[Sentence, ...], tuple[Sentence, ...]]:
    """The same for bytes; `name` stands in messages."""
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} is not UTF-8: byte 0x{data[error.start]:02x} at {error.start}; "
            f"Chinese text from Windows may be GBK: save it as UTF-8"
        ) from error
    sentences: list[Sentence] = []
    topics: list[Sentence] = []
    heading = Sentence("", "")
    for number, line in enumerate(lines, 1):
        parts = [part.strip() for part in line.removeprefix("#").split("\t")]
        if not line.strip():
            continue
        if len(parts) != 2 or not all(parts):
            raise ValueError(
                f"{name}, line {number} must be Chinese, a tab, English, got {line!r}"
            )
        if line.startswith("#"):
            heading = Sentence(*parts)
        else:
            sentences.append(Sentence(*parts))
            topics.append(heading)
    if not sentences:
        raise ValueError(f"{name} must hold a sentence, got none")
    return tuple(sentences), tuple(topics)
