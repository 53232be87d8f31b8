"""Windows over the Wikipedia extract in three parts, for models with a small vocabulary.

Words that stand in more than half of the articles (function words, mostly) are dropped,
and so are rare ones, before windows are made: neighbours are neighbours among the words
that are left.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch

from d2lcompanion.data.wikipedia import Wikipedia, load_wikipedia
from d2lcompanion.text.vocab import Vocab
from d2lcompanion.text.windows import Windows, windows


class Corpus(NamedTuple):
    """Windows in three parts: of ten paragraphs, eight to train, one held out, one to test."""

    vocab: Vocab
    common: tuple[str, ...]  # dropped: in more than half of the articles
    train: Windows
    held_out: Windows
    test: Windows

    def to(self, device: torch.device) -> "Corpus":
        """The same with the windows on a device."""
        return self._replace(
            train=self.train.to(device),
            held_out=self.held_out.to(device),
            test=self.test.to(device),
        )


def common_words(data: Wikipedia) -> tuple[str, ...]:
    """Words that stand in more than half of the articles, the most frequent first."""
    articles: dict[int, set[str]] = {}
    for number, words in zip(data.article.tolist(), data.paragraphs, strict=True):
        articles.setdefault(number, set()).update(words)
    spread = Counter(word for words in articles.values() for word in words)
    counts = Counter(word for words in data.paragraphs for word in words)
    return tuple(
        word for word, _ in counts.most_common() if 2 * spread[word] > len(articles)
    )


def as_windows(paragraphs: Iterable[Sequence[str]], vocab: Vocab, size: int) -> Windows:
    """Windows over the known words of each paragraph; others are dropped first."""
    ids = [vocab.encode([w for w in words if w in vocab]) for words in paragraphs]
    lengths = torch.tensor([len(row) for row in ids])
    sentences = torch.arange(len(ids)).repeat_interleave(lengths)
    return windows(torch.cat(ids), sentences, size)


def prepare(vocabulary_size: int, window: int, *, seed: int) -> Corpus:
    """The Wikipedia extract, its paragraphs split by the seed, as windows.

    Args:
        vocabulary_size: V, the most frequent of the words that are not common.
        window: words on either side.
        seed: of the split.
    """
    data = load_wikipedia()
    common = common_words(data)
    left_out = set(common)
    content = [[w for w in words if w not in left_out] for words in data.paragraphs]
    order = torch.randperm(
        len(content), generator=torch.Generator().manual_seed(seed)
    ).tolist()
    tenth = len(order) // 10
    held_out, test, train = order[:tenth], order[tenth : 2 * tenth], order[2 * tenth :]
    vocab = Vocab.from_sequences((content[n] for n in train), max_size=vocabulary_size)
    parts = (
        as_windows((content[n] for n in rows), vocab, window)
        for rows in (train, held_out, test)
    )
    return Corpus(vocab, common, *parts)
