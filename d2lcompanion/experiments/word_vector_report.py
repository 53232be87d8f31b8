"""What is reported of word vectors: neighbours, a map, agreement with people, analogies."""

from collections.abc import Sequence

import torch
from torch import Tensor

from d2lcompanion.data.word_similarity import (
    RatedPairs,
    load_analogies,
    load_simlex999,
    load_wordsim353,
)
from d2lcompanion.text.similarity import analogy, nearest, word_similarity
from d2lcompanion.text.vocab import Vocab

FEWEST = 50  # pairs or questions: with fewer known, nothing is reported
QUERIES = (
    "moon", "orbit", "language", "energy", "water", "war",
    "god", "king", "french", "animals", "north", "apollo",
)  # fmt: skip
MAP = (
    "moon", "orbit", "lunar", "spacecraft", "crew", "nasa",
    "language", "languages", "spoken", "arabic", "greek", "english",
    "energy", "hydrogen", "oxygen", "metals", "gas", "chemical",
    "war", "army", "troops", "military", "battle", "forces",
    "king", "son", "father", "brother", "emperor", "died",
    "france", "germany", "britain", "spain", "europe", "italy",
)  # fmt: skip


def report(vectors: Tensor, vocab: Vocab) -> dict[str, object]:
    """All of it as nested numbers and lists, ready for JSON."""
    return {
        "neighbors": neighbors(vectors, vocab),
        "map": word_map(vectors, vocab),
        "wordsim": agreement(load_wordsim353(), vectors, vocab),
        "simlex": agreement(load_simlex999(), vectors, vocab),
        "analogies": analogies(vectors, vocab),
    }


def neighbors(
    vectors: Tensor, vocab: Vocab, k: int = 5, queries: Sequence[str] = QUERIES
) -> dict[str, list[str]]:
    """The k nearest words of each query that is in the vocabulary."""
    known = [word for word in queries if word in vocab]
    ids = vocab.encode(known).to(vectors.device)
    found = nearest(vectors[ids], vectors, k, exclude=ids[:, None]).ids
    return {word: vocab.decode(row) for word, row in zip(known, found, strict=True)}


def word_map(vectors: Tensor, vocab: Vocab) -> dict[str, object]:
    """Some words in the plane that keeps most of the variance of their directions.

    Principal components of unit vectors; in each the largest coordinate is positive.
    """
    known = [word for word in MAP if word in vocab]
    rows = torch.nn.functional.normalize(vectors[vocab.encode(known)].cpu().double())
    centered = rows - rows.mean(0)
    _, strengths, directions = torch.linalg.svd(centered, full_matrices=False)
    plane = centered @ directions[:2].T
    largest = plane.gather(0, plane.abs().argmax(0, keepdim=True))
    share = strengths[:2].square().sum() / strengths.square().sum()
    return {
        "words": known,
        "points": (plane * largest.sign()).tolist(),
        "share": float(share),
    }


def agreement(data: RatedPairs, vectors: Tensor, vocab: Vocab) -> dict[str, object]:
    """Spearman's ρ with people's ratings, None where too few pairs are known."""
    lower = data.lower()
    known = sum(all(word in vocab for word in pair) for pair in lower.pairs)
    found = None
    if known >= FEWEST:
        found = word_similarity(lower.pairs, lower.ratings, vocab, vectors).correlation
    return {"correlation": found, "known": known, "total": len(lower.pairs)}


def analogies(vectors: Tensor, vocab: Vocab) -> dict[str, object]:
    """The share of known analogy questions that 3CosAdd answers with the expected word."""
    asked = [
        question
        for question in load_analogies().lower().questions
        if all(word in vocab for word in question)
    ]
    right = None
    if len(asked) >= FEWEST:
        ids = torch.stack([vocab.encode(question) for question in asked])
        a, b, c, d = ids.to(vectors.device).T
        answers = torch.cat(
            [
                analogy(a[rows], b[rows], c[rows], vectors).ids[:, 0]
                for rows in torch.arange(len(asked), device=d.device).split(500)  # type: ignore[no-untyped-call]
            ]
        )
        right = float((answers == d).double().mean())
    return {"right": right, "known": len(asked)}
