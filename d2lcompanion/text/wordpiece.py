"""WordPiece: the longest known piece from the left, as BERT's uncased tokenizer cuts words.

Text is normalized and split into words first (BERT's "basic tokenizer"). A piece inside
a word is written with ## before it. A word that cannot be cut completely is [UNK].
"""

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from d2lcompanion.text.checks import require_at_least

UNKNOWN_PIECE = "[UNK]"
INSIDE = "##"
# Code points of Chinese characters, as BERT lists them: each is a word of its own.
CHINESE = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)

# -------------------------------------------------------------------------------- text into words


def normalize(text: str) -> str:
    """Lower case without accents, control characters out, Chinese characters spaced.

    In BERT's order: white space becomes a space; other controls, format characters such
    as U+200B, and U+FFFD vanish; spaces around Chinese characters; canonical
    decomposition without nonspacing marks; lower case, character by character (so that
    a final Σ becomes σ). What is gone cannot come back: decoding gives this text.
    """
    cleaned = "".join(map(_clean, text))
    bare = unicodedata.normalize("NFD", cleaned)
    kept = (char for char in bare if unicodedata.category(char) != "Mn")
    return "".join(char.lower() for char in kept)


def words(normalized: str) -> list[str]:
    """Split at white space; each punctuation mark is a word of its own."""
    spaced = (f" {char} " if is_punctuation(char) else char for char in normalized)
    return "".join(spaced).split()


@cache
def is_chinese(char: str) -> bool:
    """In one of the blocks of Chinese characters that BERT lists; kana is not."""
    return any(first <= ord(char) <= last for first, last in CHINESE)


@cache
def is_punctuation(char: str) -> bool:
    """Unicode's category P, and every ASCII sign, also those like $ and ^ that are not."""
    ascii_sign = char.isascii() and char.isprintable() and not char.isalnum()
    return (ascii_sign and char != " ") or unicodedata.category(char).startswith("P")


@cache
def _clean(char: str) -> str:
    category = unicodedata.category(char)
    if char in "\t\n\r" or category.startswith("Z"):
        return " "
    if char == "\ufffd" or category in ("Cc", "Cf", "Co", "Cs"):
        return ""
    return f" {char} " if is_chinese(char) else char


# ------------------------------------------------------------------------------- words into pieces


def join_pieces(pieces: Iterable[str]) -> str:
    """Words separated by spaces; a piece that begins with ## continues the one before."""
    return " ".join(pieces).replace(f" {INSIDE}", "")


class WordPiece:
    """A vocabulary of pieces, and the cutting of words by it.

    Attributes:
        pieces: the piece of each id, ## before those inside a word; [UNK] among them.
        longest_word: a word of more characters is [UNK].
    """

    def __init__(self, pieces: Iterable[str], *, longest_word: int = 100) -> None:
        """A given vocabulary, such as the published one of BERT, a line a piece.

        Raises:
            ValueError: if [UNK] is missing, a piece occurs twice, or longest_word < 1.
        """
        require_at_least("longest_word", longest_word, 1)
        self.pieces = tuple(pieces)
        self._ids = {piece: number for number, piece in enumerate(self.pieces)}
        if len(self._ids) < len(self.pieces):
            twice = next(p for n, p in enumerate(self.pieces) if self._ids[p] != n)
            raise ValueError(f"pieces must differ, got {twice!r} twice")
        if UNKNOWN_PIECE not in self._ids:
            raise ValueError(
                f"pieces must hold {UNKNOWN_PIECE}, got {len(self.pieces)} without"
            )
        self.longest_word = longest_word
        self._longest_piece = max(map(len, self.pieces))

    def __len__(self) -> int:
        """The number of pieces."""
        return len(self.pieces)

    def segment(self, word: str) -> list[str]:
        """The longest piece that the word begins with, then the same for the rest.

        One word, normalized. Where no piece fits, the whole word is [UNK], although
        other cuts of it may exist.
        """
        if len(word) > self.longest_word:
            return [UNKNOWN_PIECE]
        found: list[str] = []
        start = 0
        while start < len(word):
            mark = INSIDE if start else ""
            longest = min(len(word), start + self._longest_piece)
            ends = range(longest, start, -1)
            fits = (end for end in ends if mark + word[start:end] in self._ids)
            end = next(fits, None)
            if end is None:
                return [UNKNOWN_PIECE]
            found.append(mark + word[start:end])
            start = end
        return found

    def tokenize(self, text: str) -> list[str]:
        """The pieces of a text: normalized, split into words, each word cut."""
        return [
            piece for word in words(normalize(text)) for piece in self.segment(word)
        ]

    def encode(self, text: str) -> list[int]:
        """The ids of the pieces, without [CLS] and [SEP]."""
        return [self._ids[piece] for piece in self.tokenize(text)]

    def decode(self, ids: Sequence[int]) -> str:
        """Words separated by spaces: the words of the normalized text, where none is [UNK].

        Raises:
            ValueError: if an id is not in [0, number of pieces).
        """
        for number in ids:
            if not 0 <= number < len(self):
                raise ValueError(f"ids must be in [0, {len(self)}), got {number}")
        return join_pieces(self.pieces[number] for number in ids)


# ------------------------------------------------------------------------------ which pair to merge


def pair_score(pair: int, left: int, right: int) -> float:
    """count(ab)/(count(a)·count(b)): the likelihood ratio of a merge, up to the factor N.

    With p = count/N it is p(ab)/(p(a) p(b))/N. Where the pair is a small part of both,
    log(N · score) − 1 is the gain in log-likelihood per occurrence (`likelihood_gain`).
    BPE asks for count(ab) alone.

    Raises:
        ValueError: if not 1 ≤ pair ≤ min(left, right).
    """
    _require_pair(pair, left, right)
    return pair / (left * right)


def likelihood_gain(pair: int, left: int, right: int, total: int) -> float:
    """By how much merging a b (a ≠ b) raises Σ_t c_t log(c_t/N), refitted, in nats.

    With f(x) = x log x and N′ = N − c_ab tokens after the merge,

        Δ = f(c_ab) + f(c_a − c_ab) − f(c_a) + f(c_b − c_ab) − f(c_b) + f(N) − f(N′).

    Args:
        pair: c_ab ≥ 1; left, right: c_a, c_b before the merge, a and b different tokens.
        total: N, the number of tokens before it, ≥ left + right.
    Raises:
        ValueError: if the counts do not fit together.
    """
    _require_pair(pair, left, right)
    require_at_least("total", total, left + right)
    used = _xlogx(pair) + _xlogx(left - pair) + _xlogx(right - pair)
    return used - _xlogx(left) - _xlogx(right) + _xlogx(total) - _xlogx(total - pair)


def log_likelihood(counts: Mapping[str, int]) -> float:
    """Σ_t c_t log(c_t/N) of the best unigram model of a segmented corpus, in nats.

    Raises:
        ValueError: if there is no token, or a count is below 1.
    """
    if not counts:
        raise ValueError("counts must hold a token, got none")
    for token, count in counts.items():
        require_at_least(f"the count of {token!r}", count, 1)
    return sum(map(_xlogx, counts.values())) - _xlogx(sum(counts.values()))


def _require_pair(pair: int, left: int, right: int) -> None:
    require_at_least("pair", pair, 1)
    require_at_least("left", left, pair)
    require_at_least("right", right, pair)


def _xlogx(x: int) -> float:
    return x * math.log(x) if x else 0.0
