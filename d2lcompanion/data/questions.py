"""Questions about passages of the Wikipedia extract, written for this course.

Each answer is a run of characters of its passage. The file holds where it stands and the
words of the answer, not the passage.
"""

import functools
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from d2lcompanion.data.wikipedia import load_wikipedia

FILE = "questions_en.tsv"
COLUMNS = "paragraph, first character, answer, question"


class Question(NamedTuple):
    """A question with its answer.

    Attributes:
        text: the question.
        answer: as it stands in the passage.
        paragraph: number in `Wikipedia.texts`.
        start: the first character of the answer there.
    """

    text: str
    answer: str
    paragraph: int
    start: int


@functools.cache
def load_questions() -> tuple[Question, ...]:
    """The questions that come with the package, CC0, in the order of the passages.

    Raises:
        ValueError: as `parse_questions`; also if an answer does not stand in its place.
        ImportError: if gensim, which carries the passages, is not installed.
    """
    data = (files("d2lcompanion.data.embedded") / FILE).read_bytes()
    found = parse_questions(data, FILE)
    require_answers(found, load_wikipedia().texts)
    return found


def read_questions(path: Path | str) -> tuple[Question, ...]:
    """Questions of a file of your own, in the same format.

    A line is: number of the paragraph, first character, answer, question, with tabs
    between; a line that begins with # is passed over. UTF-8.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming file and byte, or file and line, of what is wrong.
    """
    return parse_questions(Path(path).read_bytes(), str(path))


def parse_questions(data: bytes, name: str) -> tuple[Question, ...]:
    """The same for bytes; `name` stands in messages."""
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} is not UTF-8: byte 0x{data[error.start]:02x} at {error.start}"
        ) from error
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = [part.strip() for part in line.split("\t")]
        numeric = all(part.isascii() and part.isdigit() for part in parts[:2])
        if len(parts) != 4 or not all(parts) or not numeric:
            raise ValueError(
                f"{name}, line {number} must be {COLUMNS}, with tabs between, got {line!r}"
            )
        found.append(Question(parts[3], parts[2], int(parts[0]), int(parts[1])))
    if not found:
        raise ValueError(f"{name} must hold a question, got none")
    return tuple(found)


def require_answers(questions: tuple[Question, ...], texts: tuple[str, ...]) -> None:
    """Every answer stands where its question says.

    Raises:
        ValueError: otherwise; names the question and what stands there.
    """
    for question in questions:
        if question.paragraph >= len(texts):
            raise ValueError(
                f"paragraph of {question.text!r} must be below {len(texts)}, got "
                f"{question.paragraph}"
            )
        text = texts[question.paragraph]
        there = text[question.start : question.start + len(question.answer)]
        if there != question.answer:
            raise ValueError(
                f"the answer to {question.text!r} must be {question.answer!r}, got "
                f"{there!r} at {question.start}"
            )
