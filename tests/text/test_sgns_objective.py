"""The expected loss against every window and every noise word, one by one; curvature by autograd."""

import itertools
import math

import pytest
import torch
from torch.nn.functional import logsigmoid

from d2lcompanion.text.block_layout import Layout
from d2lcompanion.text.negative_sampling import optimal_score
from d2lcompanion.text.noise import AliasSampler, noise_distribution
from d2lcompanion.text.sgns import Recipe, WordVectors
from d2lcompanion.text.sgns_blocks import BlockSteps, block_loss
from d2lcompanion.text.sgns_objective import (
    curvature_bounds,
    expected_loss,
    frequency_loss,
    weighted_pairs,
)
from d2lcompanion.text.skip_gram_pairs import slow_center_context_pairs
from d2lcompanion.text.token_stream import TokenStream

SENTENCES = [[0, 3, 1, 1, 2], [2, 0], [3], [1, 4, 0, 2, 2, 3, 1]]
COUNTS = torch.tensor([3, 4, 5, 3, 1])
STREAM = TokenStream(
    torch.tensor([w for s in SENTENCES for w in s]),
    torch.repeat_interleave(torch.tensor([len(s) for s in SENTENCES])),
)


def vectors_of(dtype: torch.dtype = torch.float64, scale: float = 1.0) -> WordVectors:
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64) * scale
    return WordVectors(*drawn.to(dtype))


def every_pair(window: int) -> list[tuple[int, int]]:
    """Pairs of all widths: each width is as likely as another."""
    return [
        pair
        for width in range(1, window + 1)
        for pair in slow_center_context_pairs(SENTENCES, [width] * len(STREAM.ids))
    ]


@pytest.mark.parametrize("window", [1, 2, 5])
def test_the_weights_are_the_shares_of_the_widths(window):
    pairs = weighted_pairs(STREAM, window)
    found = every_pair(window)
    for center, context, weight in zip(*(part.tolist() for part in pairs), strict=True):
        assert weight == pytest.approx(found.count((center, context)) / window)
    assert float(pairs.weight.sum()) == pytest.approx(len(found) / window)


@pytest.mark.parametrize(("window", "negatives"), [(1, 1), (3, 5)])
def test_the_expected_loss_is_the_mean_over_all_windows_and_noise_words(window, negatives):
    recipe = Recipe(window=window, negatives=negatives)
    v, u = vectors = vectors_of()
    noise = noise_distribution(COUNTS, 0.75).double()
    losses = [
        -logsigmoid(v[c] @ u[o])
        - negatives * sum(q * logsigmoid(-v[c] @ u[n]) for n, q in enumerate(noise))
        for c, o in every_pair(window)
    ]
    assert expected_loss(vectors, STREAM, COUNTS, recipe) == pytest.approx(
        float(sum(losses)) / len(losses), rel=1e-12
    )


def test_zero_vectors_cost_log_two_a_score():
    zero = WordVectors(torch.zeros(5, 3), torch.zeros(5, 3))
    assert expected_loss(zero, STREAM, COUNTS, Recipe()) == pytest.approx(6 * math.log(2))


def test_no_model_of_frequencies_alone_is_better_on_its_own_text():
    """Vectors of one dimension, all centers 1: their best scores by gradient descent."""
    recipe = Recipe(window=2, threshold=1.0)
    pairs = weighted_pairs(STREAM, 2)
    joint = torch.zeros(5, dtype=torch.float64).index_add_(0, pairs.contexts, pairs.weight)
    counts = joint * 1000  # frequencies of words that are neighbors
    center = torch.ones(5, 1, dtype=torch.float64)
    best = optimal_score(
        joint / joint.sum(), torch.ones(5).double(), noise_distribution(counts, 0.75), 5
    )
    reached = expected_loss(WordVectors(center, best[:, None]), STREAM, counts, recipe)
    assert frequency_loss(STREAM, counts, recipe) == pytest.approx(reached, rel=1e-9)
    for sign in (-0.01, 0.01):
        worse = WordVectors(center, best[:, None] + sign)
        assert expected_loss(worse, STREAM, counts, recipe) > reached


def test_the_hessian_stays_below_the_bound_and_reaches_it_where_scores_are_zero():
    recipe, layout = Recipe(window=2, negatives=3), Layout(4, 4, 5)
    sampler = AliasSampler(noise_distribution(COUNTS, 0.75))
    blocks = BlockSteps(STREAM, recipe, layout, sampler, torch.Generator().manual_seed(0))[0]
    for vectors in (vectors_of(), vectors_of(scale=0.01)):
        bounds = curvature_bounds(vectors, blocks)
        for table, word in itertools.product((0, 1), range(5)):

            def loss(row, table=table, word=word, vectors=vectors):
                changed = list(vectors)
                changed[table] = torch.cat(
                    [vectors[table][:word], row[None], vectors[table][word + 1 :]]
                )
                return block_loss(WordVectors(*changed), blocks)

            hessian = torch.autograd.functional.hessian(loss, vectors[table][word])
            largest = float(torch.linalg.eigvalsh(hessian)[-1])
            assert largest <= float(bounds[table][word]) * (1 + 1e-9)
            trace = float(hessian.trace())  # σ′ = ¼ at 0: the bound is the trace
            if float(vectors.center.abs().max()) < 0.1:
                assert trace == pytest.approx(float(bounds[table][word]), rel=1e-3, abs=1e-12)


def test_bad_streams_are_refused():
    alone = TokenStream(torch.tensor([0, 1]), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="must have two tokens, got 2 alone"):
        expected_loss(vectors_of(), alone, COUNTS, Recipe())
    with pytest.raises(ValueError, match=r"ids in \[0, 3\), got"):
        expected_loss(vectors_of(), STREAM, COUNTS[:3], Recipe())
