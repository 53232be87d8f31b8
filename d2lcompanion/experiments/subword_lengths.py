"""How many tokens a text becomes: by merges, by the way of cutting, by the language.

All that follows from the counts of words and from a vocabulary; nothing is trained but
vocabularies.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from d2lcompanion.data.everyday import Everyday
from d2lcompanion.text.bpe import BPE, train_bpe
from d2lcompanion.text.byte_level import CHARACTER_TO_BYTE, ByteBPE, byte_piece_counts
from d2lcompanion.text.unigram import best_cut
from d2lcompanion.text.wordpiece import WordPiece


def tokens_by_merges(bpe: BPE, word_counts: Counter[str]) -> list[int]:
    """How many tokens a corpus has after 0, 1, …, M merges, from one segmentation.

    A token was made by one merge of two tokens, those by others, down to the letters.
    Undone from the last to the first, merge r gives back one token for each time it was
    used; exact as long as every token is made in one way.
    """
    used: Counter[str] = Counter()
    for word, count in word_counts.items():
        for token in bpe.segment(word):
            used[token] += count
    lengths = [used.total()]
    for left, right in reversed(bpe.merges):
        times = used.pop(left + right, 0)
        used[left] += times
        used[right] += times
        lengths.append(lengths[-1] + times)
    return lengths[::-1]


class Fertility(NamedTuple):
    """What one vocabulary needs for the two versions of the same sentences."""

    per_character: tuple[float, float]  # tokens per character, Chinese and English
    per_sentence: tuple[float, float]
    per_word: float  # English

    @property
    def premium(self) -> float:
        """Chinese tokens for one English token, saying the same."""
        return self.per_sentence[0] / self.per_sentence[1]


def fertility(
    encode: Callable[[str], Sequence[object]], zh: list[str], en: list[str]
) -> Fertility:
    """Mean numbers of tokens; Chinese and English say the same, sentence by sentence."""
    tokens = [sum(len(encode(text)) for text in texts) for texts in (zh, en)]
    signs = [sum(map(len, texts)) for texts in (zh, en)]
    words = sum(len(text.split()) for text in en)
    return Fertility(
        (tokens[0] / signs[0], tokens[1] / signs[1]),
        (tokens[0] / len(zh), tokens[1] / len(en)),
        tokens[1] / words,
    )


def halves(everyday: Everyday) -> tuple[list[int], list[int]]:
    """Sentences of every other topic, and of the rest: to train on, and to measure on."""
    topics = list(dict.fromkeys(everyday.topics))
    place = [topics.index(topic) % 2 for topic in everyday.topics]
    return tuple([n for n, p in enumerate(place) if p == half] for half in (0, 1))  # type: ignore[return-value]


def train_on_two(
    english: Iterable[str], chinese: Iterable[str], merges: int, share: float
) -> ByteBPE:
    """A byte-level vocabulary of a mixture in which Chinese has this share of the bytes.

    The counts of the smaller language are multiplied, as multilingual vocabularies are
    trained: otherwise its pairs never win a merge.
    """
    first, second = (Counter(byte_piece_counts(texts)) for texts in (english, chinese))
    sizes = [sum(len(p) * n for p, n in c.items()) for c in (first, second)]
    times = round(sizes[0] / sizes[1] * share / (1 - share))
    if times:
        first.update({piece: count * times for piece, count in second.items()})
    return ByteBPE(train_bpe(first, merges, alphabet=CHARACTER_TO_BYTE))


class Cuts(NamedTuple):
    """The tokens of one word, cut in three ways; those of WordPiece without their marks."""

    by_merges: list[str]
    longest: list[str]
    most_probable: list[str]


def three_cuts(
    word: str, bpe: BPE, longest: WordPiece, log_p: Mapping[str, float]
) -> Cuts:
    """By merge order, by the longest match, by the most probable cut.

    Args:
        word: of letters that all three know.
        bpe, longest: the vocabulary as merges, and as pieces.
        log_p: log-probabilities of its tokens.
    """
    plain = [piece.removeprefix("##") for piece in longest.segment(word)]
    return Cuts(bpe.segment(word), plain, best_cut(word, log_p).tokens)
