"""What people say about pairs of words, and analogies: to measure word vectors with.

gensim carries the files; nothing is downloaded.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

from d2lcompanion.data.gensim_files import gensim_file


@dataclass(frozen=True)
class RatedPairs:
    """Pairs of words and how alike people find them.

    Attributes:
        pairs: n pairs as they are written, some with capitals.
        ratings: n means over people, from 0 to 10, larger for more alike.
        source: a sentence: whose they are.
    """

    pairs: tuple[tuple[str, str], ...]
    ratings: tuple[float, ...]
    source: str

    def lower(self) -> "RatedPairs":
        """The same pairs in lower case, for a vocabulary without capitals."""
        pairs = tuple((a.lower(), b.lower()) for a, b in self.pairs)
        return RatedPairs(pairs, self.ratings, self.source)


@dataclass(frozen=True)
class Analogies:
    """Questions: a is to b as c is to d.

    Attributes:
        questions: n times (a, b, c, d).
        category: n names, as "capital-common-countries"; those of "gram…" are grammar.
        source: a sentence: whose they are.
    """

    questions: tuple[tuple[str, str, str, str], ...]
    category: tuple[str, ...]
    source: str

    def lower(self) -> "Analogies":
        """The same questions in lower case."""
        asked = (
            (a.lower(), b.lower(), c.lower(), d.lower())
            for a, b, c, d in self.questions
        )
        return Analogies(tuple(asked), self.category, self.source)


@functools.cache
def load_wordsim353() -> RatedPairs:
    """353 pairs, rated for relatedness: "cup" and "coffee" are close.

    Two pairs, bank–money and cash–money, stand there twice, each with two ratings;
    tiger–tiger has the rating 10.

    Raises:
        ImportError: if gensim is not installed.
        ValueError: if its file is another one than in gensim 4.4.0.
    Source:
        Finkelstein et al. (2002), *Placing Search in Context: The Concept Revisited*.
    """
    return read_rated_pairs(
        gensim_file("wordsim353.tsv"), "WordSim-353 (Finkelstein et al. 2002)."
    )


@functools.cache
def load_simlex999() -> RatedPairs:
    """999 pairs, rated for similarity proper: "cup" and "coffee" are far apart.

    Raises:
        ImportError, ValueError: as load_wordsim353.
    Source:
        Hill, Reichart & Korhonen (2015), *SimLex-999: Evaluating Semantic Models With
        (Genuine) Similarity Estimation*.
    """
    return read_rated_pairs(
        gensim_file("simlex999.txt"), "SimLex-999 (Hill, Reichart & Korhonen 2015)."
    )


@functools.cache
def load_analogies() -> Analogies:
    """19,544 questions in 14 categories, 5 of meaning and 9 of grammar.

    Raises:
        ImportError, ValueError: as load_wordsim353.
    Source:
        Mikolov, Chen, Corrado & Dean (2013), *Efficient Estimation of Word
        Representations in Vector Space*.
    """
    questions: list[tuple[str, str, str, str]] = []
    category: list[str] = []
    current = ""
    path = gensim_file("questions-words.txt")
    for number, line in enumerate(
        path.read_text(encoding="utf-8").splitlines(), start=1
    ):
        if line.startswith(":"):
            current = line[1:].strip()
            continue
        a, b, c, d = _fields(path, number, line, 4)
        questions.append((a, b, c, d))
        category.append(current)
    return Analogies(tuple(questions), tuple(category), "Mikolov et al. (2013).")


def read_rated_pairs(path: Path, source: str) -> RatedPairs:
    """Read lines of two words and a number, separated by tabs; `#` begins a comment.

    Raises:
        ValueError: if a line has other fields, naming the file and the line.
    """
    pairs: list[tuple[str, str]] = []
    ratings: list[float] = []
    for number, line in enumerate(
        path.read_text(encoding="utf-8").splitlines(), start=1
    ):
        if line.startswith("#") or not line.strip():
            continue
        first, second, rating = _fields(path, number, line, 3)
        try:
            ratings.append(float(rating))
        except ValueError:
            raise ValueError(
                f"{path}, line {number}: a rating must be a number, got {rating!r}"
            ) from None
        pairs.append((first, second))
    return RatedPairs(tuple(pairs), tuple(ratings), source)


def _fields(path: Path, number: int, line: str, expected: int) -> list[str]:
    """The fields of a line; words have no blanks."""
    found = line.split()
    if len(found) != expected:
        raise ValueError(
            f"{path}, line {number}: must have {expected} fields, got {line!r}"
        )
    return found
