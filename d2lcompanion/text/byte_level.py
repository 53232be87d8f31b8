"""Byte-level BPE: the alphabet is the 256 bytes of UTF-8, so that nothing is unknown.

Text is cut into pieces that joined give the text back; a piece is written as its bytes,
each byte as one printable character; byte-pair encoding runs over those.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from d2lcompanion.text.bpe import BPE, train_bpe
from d2lcompanion.text.merge_queue import Ties

# With one space before them: letters (and other numerals), digits, the rest; then spaces.
PIECE = re.compile(r" ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")


def _printable() -> dict[int, str]:
    """GPT-2's table: a byte that Latin-1 prints is itself, the others follow from 256."""
    kept = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in kept]
    return {byte: chr(byte) for byte in kept} | {
        byte: chr(256 + k) for k, byte in enumerate(others)
    }


BYTE_TO_CHARACTER = _printable()
CHARACTER_TO_BYTE = {char: byte for byte, char in BYTE_TO_CHARACTER.items()}


def pieces(text: str) -> list[str]:
    """Cut text into runs of letters, of digits and of other signs; joined they are the text.

    One space goes with the run after it, as in GPT-2; Chinese, which has no spaces, is
    cut at punctuation only. (GPT-2 also cuts English contractions such as 's.)
    """
    return PIECE.findall(text)


def byte_symbols(text: str) -> str:
    """The UTF-8 bytes of a text, each as a printable character: a space is Ġ.

    Raises:
        ValueError: at a lone surrogate, which is no character and has no UTF-8; names it
            and its place.
    """
    _require_unicode(text)
    return "".join(map(BYTE_TO_CHARACTER.__getitem__, text.encode("utf-8")))


def byte_piece_counts(texts: Iterable[str]) -> Counter[str]:
    """How often each piece occurs, written in byte symbols: what training needs.

    Raises:
        ValueError: if texts is one string, or one of them holds a lone surrogate.
    """
    if isinstance(texts, str):
        raise ValueError(f"texts must be several, got the string {texts[:40]!r}")
    found: Counter[str] = Counter()
    for text in texts:
        _require_unicode(text)
        found.update(pieces(text))
    return Counter({byte_symbols(piece): count for piece, count in found.items()})


class ByteBPE:
    """Text ↔ ids by byte-level BPE: `decode(encode(text)) == text` for every valid text.

    Attributes:
        bpe: over byte symbols.
        tokens: the token of each id; the first 256 are the bytes.
    """

    def __init__(self, bpe: BPE) -> None:
        """With an alphabet of all 256 byte symbols.

        Raises:
            ValueError: otherwise.
        """
        if set(bpe.alphabet) != set(CHARACTER_TO_BYTE):
            raise ValueError(
                f"the alphabet must be the 256 byte symbols, got {len(bpe.alphabet)}"
            )
        self.bpe = bpe
        self.tokens = bpe.tokens
        self._ids = {token: number for number, token in enumerate(self.tokens)}
        self._known: dict[str, list[int]] = {}

    @classmethod
    def train(
        cls, texts: Iterable[str], merges: int, *, ties: Ties = "id"
    ) -> "ByteBPE":
        """Learn merges from texts.

        Raises:
            ValueError: if the texts are empty, or as `byte_piece_counts` and `train_bpe`.
        """
        counts = byte_piece_counts(texts)
        return cls(train_bpe(counts, merges, alphabet=CHARACTER_TO_BYTE, ties=ties))

    def encode(self, text: str) -> list[int]:
        """The ids of a text; pieces that came before are looked up.

        Raises:
            ValueError: at a lone surrogate.
        """
        _require_unicode(text)
        found: list[int] = []
        for piece in pieces(text):
            if piece not in self._known:
                tokens = self.bpe.segment(byte_symbols(piece))
                self._known[piece] = [self._ids[token] for token in tokens]
            found += self._known[piece]
        return found

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; bytes that are no UTF-8 come back as U+FFFD.

        Raises:
            ValueError: if an id is not in [0, number of tokens).
        """
        for number in ids:
            if not 0 <= number < len(self.tokens):
                raise ValueError(
                    f"ids must be in [0, {len(self.tokens)}), got {number}"
                )
        symbols = "".join(self.tokens[number] for number in ids)
        return bytes(CHARACTER_TO_BYTE[symbol] for symbol in symbols).decode(
            "utf-8", errors="replace"
        )


def _require_unicode(text: str) -> None:
    """Raise at half a surrogate pair."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"text must be valid Unicode, got the lone surrogate "
            f"U+{ord(text[error.start]):04X} at {error.start}"
        ) from error
