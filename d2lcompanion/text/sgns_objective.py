"""The objective of skip-gram with negative sampling without its chance, and its curvature.

Training sees one draw of windows and noise at a time. Here all widths of a window and
all noise words count with their probabilities, so that two trainers, or two epochs, are
compared on the same number.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from d2lcompanion.text.noise import noise_distribution
from d2lcompanion.text.sgns import Recipe, WordVectors
from d2lcompanion.text.sgns_blocks import Blocks
from d2lcompanion.text.skip_gram_data import keep_probabilities
from d2lcompanion.text.skip_gram_pairs import center_context_pairs
from d2lcompanion.text.token_stream import TokenStream, token_counts

ROWS = 512  # centers whose scores with all words are held at once


class PairCounts(NamedTuple):
    """Pairs of a stream, each as often as the width of a window is drawn that holds it.

    Attributes:
        centers, contexts: [P], ids.
        weight: [P], (c − distance + 1)/c.
    """

    centers: Tensor
    contexts: Tensor
    weight: Tensor


def weighted_pairs(stream: TokenStream, window: int) -> PairCounts:
    """All pairs of the widest windows, with the probability that they are formed.

    Args:
        stream: n tokens.
        window: c ≥ 1.
    Raises:
        ValueError: if no sentence has two tokens.
    """
    parts = []
    for width in range(1, window + 1):  # all are equally likely
        pairs = center_context_pairs(stream, torch.full_like(stream.ids, width))
        parts.append((pairs.centers, pairs.contexts))
    centers, contexts = (torch.cat(part) for part in zip(*parts, strict=True))
    if not len(centers):
        raise ValueError(
            f"a sentence must have two tokens, got {len(stream.ids)} alone"
        )
    size = int(stream.ids.max()) + 1
    keys, times = torch.unique(centers * size + contexts, return_counts=True)
    return PairCounts(keys // size, keys % size, times.double() / window)


def expected_loss(
    vectors: WordVectors, stream: TokenStream, counts: Tensor, recipe: Recipe
) -> float:
    """The mean loss a pair, over all widths of windows and all noise words.

        Σ_pairs w [−log σ(u_o·v_c) − k Σ_n q(n) log σ(−u_n·v_c)] / Σ_pairs w

    Nothing is subsampled here. Costs V' V d operations for V' different words.

    Args:
        vectors: [V, d] both.
        stream: on which the loss is taken, as a held-out part.
        counts: [V], of the training corpus: they make the noise q.
        recipe: its window, negatives and power count.
    Raises:
        ValueError: if a word is out of range, or no sentence has two tokens.
    """
    token_counts(stream, len(counts))  # ids in range
    pairs = weighted_pairs(stream, recipe.window)
    noise = noise_distribution(counts, recipe.power).to(vectors.center.dtype)
    total, dot = 0.0, torch.zeros((), dtype=torch.float64)
    for part in zip(*(torch.split(field, 2**16) for field in pairs), strict=True):
        scores = (vectors.center[part[0]] * vectors.context[part[1]]).sum(1)
        dot = dot + (softplus(-scores).double() * part[2]).sum().cpu()
    words, place = torch.unique(pairs.centers, return_inverse=True)
    weight = pairs.weight.new_zeros(len(words)).index_add_(0, place, pairs.weight)
    for ids, times in zip(
        torch.split(words, ROWS), torch.split(weight, ROWS), strict=True
    ):
        each = softplus(vectors.center[ids] @ vectors.context.T) @ noise
        total += recipe.negatives * float((each.double() * times).sum())
    return (total + float(dot)) / float(pairs.weight.sum())


def frequency_loss(stream: TokenStream, counts: Tensor, recipe: Recipe) -> float:
    """The same loss of a model that knows frequencies and ignores the center.

    Its best score for a word o is s_o = log P(o) − log(k q(o)): what `optimal_score`
    becomes where center and context are independent. P is the share of the counts that
    subsampling leaves.

    Args:
        stream, counts, recipe: as in `expected_loss`; the threshold counts, too.
    """
    token_counts(stream, len(counts))
    pairs = weighted_pairs(stream, recipe.window)
    noise = noise_distribution(counts, recipe.power).double()
    share = counts * keep_probabilities(counts, recipe.threshold, "word2vec")
    scores = (share / share.sum()).log() - noise.log() - math.log(recipe.negatives)
    positive = (softplus(-scores)[pairs.contexts] * pairs.weight).sum()
    negative = recipe.negatives * (noise * softplus(scores)).sum()
    return float(positive / pairs.weight.sum() + negative)


def curvature_bounds(vectors: WordVectors, blocks: Blocks) -> WordVectors:
    """How strongly the loss of one step can bend along the vector of each word.

    As σ′ ≤ ¼, the Hessian in v_c alone is at most ¼ Σ ‖u‖² over the scores of its
    tokens, each with its weight; in u likewise with ‖v‖². A step of the rate η on one
    vector lowers the loss if η · bound < 2.

    Args:
        vectors: [V, d] both.
        blocks: of one step.
    Returns:
        bounds, [V] both; 0 for words that are not in the step.
    """
    length = [table.square().sum(1) for table in vectors]
    weight = blocks.weight.to(length[0].dtype)
    forth = weight @ length[1][blocks.words].unsqueeze(2)  # [m, b, 1]
    back = weight.mT @ length[0][blocks.centers].unsqueeze(2)
    center, context = torch.zeros_like(length[0]), torch.zeros_like(length[1])
    center.index_add_(0, blocks.centers.reshape(-1), forth.flatten())
    context.index_add_(0, blocks.words.reshape(-1), back.flatten())
    return WordVectors(center / 4, context / 4)
