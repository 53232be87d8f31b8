"""The unigram model of subwords: a probability for every token, and the best way to cut.

P(cut) = Π p(token). The most probable of the exponentially many cuts of a word is found
by dynamic programming in O(n · longest token).
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from d2lcompanion.text.checks import require_at_least


class Cut(NamedTuple):
    """One way to write a word, and log Π p of it."""

    tokens: list[str]
    log_probability: float


def best_cut(word: str, log_probabilities: Mapping[str, float]) -> Cut:
    """The most probable cut (Viterbi): best[j] = max_i best[i] + log p(w[i:j]).

    Of equal cuts the one whose last token is longest, and so on to the front.

    Args:
        word: not empty.
        log_probabilities: token → log p ≤ 0.
    Raises:
        ValueError: if the word is empty, or tokens cannot make it; names where it ends.
    Source:
        Kudo (2018), *Subword Regularization*, §3.2; Viterbi (1967).
    """
    if not word:
        raise ValueError("word must have a character, got ''")
    longest = max(map(len, log_probabilities), default=0)
    best = [0.0] + [-math.inf] * len(word)
    start_of = [0] * (len(word) + 1)
    for end in range(1, len(word) + 1):
        for start in range(max(0, end - longest), end):
            score = best[start] + log_probabilities.get(word[start:end], -math.inf)
            if score > best[end]:
                best[end], start_of[end] = score, start
    if best[-1] == -math.inf:
        reached = max(end for end, score in enumerate(best) if score > -math.inf)
        raise ValueError(f"no tokens make {word!r} beyond {word[:reached]!r}")
    tokens: list[str] = []
    end = len(word)
    while end:
        tokens.append(word[start_of[end] : end])
        end = start_of[end]
    return Cut(tokens[::-1], best[-1])


def estimate(
    word_counts: Mapping[str, int], tokens: Iterable[str], steps: int
) -> dict[str, float]:
    """log p of tokens by hard EM: cut all words, count the tokens, again.

    Every token starts with, and keeps, one count more than was seen, so that each stays
    possible; the first cuts minimize the number of tokens, p being uniform. Kudo's EM
    weighs all cuts, and prunes the vocabulary too.

    Args:
        word_counts: word → occurrences ≥ 1.
        tokens: that can make every word, such as a BPE vocabulary.
        steps: ≥ 1.
    Raises:
        ValueError: if there is no word or no token, or tokens cannot make a word.
    """
    require_at_least("steps", steps, 1)
    counts = Counter(dict.fromkeys(tokens, 1))
    if not counts or not word_counts:
        raise ValueError(
            f"words and tokens must not be empty, got {len(word_counts)}, {len(counts)}"
        )
    kept = list(counts)
    for _ in range(steps):
        log_p = _log_shares(counts)
        counts = Counter(dict.fromkeys(kept, 1))
        for word, count in word_counts.items():
            for token in best_cut(word, log_p).tokens:
                counts[token] += count
    return _log_shares(counts)


def all_cuts(word: Sequence[str], tokens: Iterable[str]) -> list[list[str]]:
    """Every way to write a short word with tokens: up to 2ⁿ⁻¹, for checks."""
    known, text = set(tokens), "".join(word)
    if not text:
        return [[]]
    return [
        [text[:end], *rest]
        for end in range(1, len(text) + 1)
        if text[:end] in known
        for rest in all_cuts(text[end:], known)
    ]


def _log_shares(counts: Mapping[str, int]) -> dict[str, float]:
    total = math.log(sum(counts.values()))
    return {token: math.log(count) - total for token, count in counts.items()}
