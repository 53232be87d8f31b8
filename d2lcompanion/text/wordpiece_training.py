"""A WordPiece vocabulary from a text of one's own: the merges of BPE, written with ##.

How the published vocabulary of BERT was made has not been published. What everybody uses
since joins the most frequent pair, as BPE does, and keeps the pieces, not the merges.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from d2lcompanion.text.bpe import train_bpe
from d2lcompanion.text.checks import require_at_least
from d2lcompanion.text.wordpiece import INSIDE, UNKNOWN_PIECE, normalize, words

SPECIAL = ("[PAD]", UNKNOWN_PIECE, "[CLS]", "[SEP]", "[MASK]")
PRIVATE = 0xF0000  # `train_bpe` joins characters: each symbol borrows one of no meaning


def count_words(texts: Iterable[str]) -> Counter[str]:
    """How often each word occurs, normalized and split as BERT does."""
    return Counter(word for text in texts for word in words(normalize(text)))


def train_wordpiece(
    word_counts: Mapping[str, int],
    size: int,
    *,
    special: Sequence[str] = SPECIAL,
    min_sign: int = 1,
    min_count: int = 2,
) -> tuple[str, ...]:
    """Pieces of a vocabulary of at most `size`, to be given to `WordPiece`.

    The special pieces, then single signs, then what merges make, in their order. A sign
    at the start of a word ("a") and one inside ("##a") are two symbols.

    Args:
        word_counts: normalized word → occurrences ≥ 1.
        size: of the vocabulary, special pieces included.
        special: pieces that no text has; [UNK] among them.
        min_sign: a symbol that occurs less often is left out, and with it, as [UNK],
            each word that needs it.
        min_count: the least count of a pair that is merged.
    Raises:
        ValueError: if there is no word, a number is out of range, or the single symbols
            alone are more than `size`.
    """
    require_at_least("size", size, 1)
    require_at_least("min_sign", min_sign, 1)
    if not word_counts:
        raise ValueError("word_counts must hold a word, got none")
    signs: Counter[str] = Counter()
    for word, count in word_counts.items():
        require_at_least(f"the count of {word!r}", count, 1)
        for symbol in _symbols(word):
            signs[symbol] += count
    alphabet = sorted(symbol for symbol, count in signs.items() if count >= min_sign)
    left = size - len(special) - len(alphabet)
    if left < 0 or not alphabet:
        raise ValueError(
            f"size must hold {len(special)} special pieces and {len(alphabet)} ≥ 1 "
            f"symbols that occur {min_sign} times or more, got {size}"
        )
    borrowed = {symbol: chr(PRIVATE + n) for n, symbol in enumerate(alphabet)}
    known: Counter[str] = Counter()
    for word, count in word_counts.items():
        symbols = _symbols(word)
        if all(symbol in borrowed for symbol in symbols):
            known["".join(borrowed[symbol] for symbol in symbols)] += count
    if not known:
        raise ValueError(f"min_sign must leave a word, got {min_sign}")
    learned = train_bpe(known, left, min_count=min_count)
    merged = (_spelled(left + right, alphabet) for left, right in learned.merges)
    return tuple(dict.fromkeys([*special, *alphabet, *merged]))


def _symbols(word: str) -> list[str]:
    """The first sign, and those inside with ## before them."""
    return [sign if n == 0 else INSIDE + sign for n, sign in enumerate(word)]


def _spelled(token: str, alphabet: Sequence[str]) -> str:
    """Borrowed characters as a piece: ## stands before the first only."""
    symbols = [alphabet[ord(char) - PRIVATE] for char in token]
    return symbols[0] + "".join(symbol.removeprefix(INSIDE) for symbol in symbols[1:])
