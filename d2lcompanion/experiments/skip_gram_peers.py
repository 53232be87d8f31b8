"""Others that train skip-gram with negative sampling: gensim's `Word2Vec`, d2l's loop.

They are imported when they are called: neither is needed to read this package.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from d2lcompanion.extras import require
from d2lcompanion.text.sgns import Recipe, WordVectors
from d2lcompanion.text.vocab import Vocab

Sentences = list[list[str]]


class PeerVectors(NamedTuple):
    """What gensim found, in its own order of words."""

    vectors: WordVectors
    vocab: Vocab
    tokens: int  # trained on, all epochs


def import_peers() -> None:
    """Import both, which takes seconds, so that no time of training holds it.

    Raises:
        ImportError: see `require`.
    """
    for module, extra in (("gensim.models", "text"), ("d2l.torch", "d2l")):
        require(module, extra)


def gensim_vectors(
    sentences: Sentences, recipe: Recipe, *, min_count: int, seed: int, threads: int
) -> PeerVectors:
    """gensim's skip-gram by the same recipe, vocabulary included.

    Args:
        sentences: in the order in which it reads them.
        threads: ≥ 1; with more than one the result depends on their race.
    """
    word2vec = require("gensim.models", "text").Word2Vec
    model = word2vec(
        vector_size=recipe.dimension,
        window=recipe.window,
        negative=recipe.negatives,
        sg=1,
        ns_exponent=recipe.power,
        sample=recipe.threshold,
        min_count=min_count,
        seed=seed,
        alpha=recipe.rate,
        min_alpha=recipe.rate * 1e-4,
        workers=threads,
    )
    model.build_vocab(sentences)
    tokens, _ = model.train(
        sentences, total_examples=model.corpus_count, epochs=recipe.epochs
    )
    words = model.wv.index_to_key
    counts = [model.wv.get_vecattr(word, "count") for word in words]
    tables = torch.tensor(model.wv.vectors), torch.tensor(model.syn1neg)
    return PeerVectors(WordVectors(*tables), Vocab(words, counts), int(tokens))


def in_order_of(vocab: Vocab, found: PeerVectors) -> WordVectors:
    """The vectors with the words of another vocabulary, which has the same ones."""
    order = found.vocab.encode(vocab.tokens)
    return WordVectors(found.vectors.center[order], found.vectors.context[order])


def d2l_epoch(
    sentences: Sentences, recipe: Recipe, *, min_count: int, batch_size: int = 512
) -> int:
    """One epoch of d2l: its pipeline and the training loop of its book; the center words.

    Its own settings are a batch of 512, Adam with 0.002, and subsampling by √(10⁻⁴/f).
    """
    d2l: Any = require("d2l.torch", "d2l")
    vocab = d2l.Vocab(sentences, min_freq=min_count)
    subsampled, counter = d2l.subsample(sentences, vocab)
    centers, contexts = d2l.get_centers_and_contexts(
        [vocab[line] for line in subsampled], recipe.window
    )
    negatives = d2l.get_negatives(contexts, vocab, counter, recipe.negatives)
    net = nn.ModuleList(nn.Embedding(len(vocab), recipe.dimension) for _ in range(2))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.002)
    rows: Any = list(zip(centers, contexts, negatives, strict=True))
    loader = torch.utils.data.DataLoader(
        rows, batch_size, shuffle=True, collate_fn=d2l.batchify
    )
    for center, words, mask, label in loader:
        optimizer.zero_grad()
        masked_loss(net, center, words, mask, label).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return len(centers)


def masked_loss(
    net: nn.ModuleList, center: Tensor, words: Tensor, mask: Tensor, label: Tensor
) -> Tensor:
    """Binary cross-entropy of each row, averaged over what its mask leaves: [B].

    Args:
        net: the embeddings of centers and of context words.
        center: [B, 1], ids.
        words, mask, label: [B, L], as `d2l.batchify` gives them.
    """
    scores = torch.bmm(net[0](center), net[1](words).transpose(1, 2)).squeeze(1)
    each = nn.functional.binary_cross_entropy_with_logits(
        scores, label.float(), weight=mask.float(), reduction="none"
    )
    return each.sum(1) / mask.sum(1)
