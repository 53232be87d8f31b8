"""The readable trainer of skip-gram with negative sampling: gradients, limits and bad input."""

import math

import pytest
import torch
from gensim.models import Word2Vec
from gensim.models.keyedvectors import prep_vectors

from d2lcompanion.text.negative_sampling import negative_sampling_gradients, optimal_score
from d2lcompanion.text.noise import noise_distribution
from d2lcompanion.text.sgns import (
    Recipe,
    WordVectors,
    expected_tokens,
    initial_vectors,
    rate_at,
    require_trainable,
    step_on_pairs,
    train_on_pairs,
)
from d2lcompanion.text.skip_gram_data import keep_probabilities, subsample
from d2lcompanion.text.token_stream import TokenStream


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stream(*sentences: list[int]) -> TokenStream:
    lengths = torch.tensor([len(sentence) for sentence in sentences])
    ids = torch.tensor([word for sentence in sentences for word in sentence])
    return TokenStream(ids, torch.repeat_interleave(lengths))


def test_a_step_follows_the_gradient_that_is_derived():
    vectors = WordVectors(
        *(torch.randn(7, 3, generator=seeded(i), dtype=torch.float64) for i in (1, 2))
    )
    before = WordVectors(*(table.clone() for table in vectors))
    centers, contexts = torch.tensor([0, 3, 3, 6]), torch.tensor([1, 1, 4, 6])
    negatives = torch.randint(7, (4, 5), generator=seeded())
    step_on_pairs(vectors, centers, contexts, negatives, 0.1)
    gradients = negative_sampling_gradients(centers, contexts, negatives, *before, reduction="sum")
    for new, old, gradient in zip(vectors, before, gradients, strict=True):
        torch.testing.assert_close(new, old - 0.1 * gradient)


def test_the_first_loss_is_known():
    vectors = initial_vectors(5, 4, seeded())
    loss = step_on_pairs(
        vectors, torch.tensor([0]), torch.tensor([1]), torch.tensor([[2, 3, 4]]), 0.0
    )
    assert float(loss) == pytest.approx(4 * math.log(2))  # all scores are 0


def test_it_arrives_at_shifted_pointwise_mutual_information():
    """Two words that always stand together: the optimum is in closed form."""
    corpus = stream(*[[0, 1]] * 150, *[[2, 3]] * 150)
    recipe = Recipe(
        dimension=4, window=1, negatives=2, epochs=60, rate=0.1, power=1.0, threshold=1.0
    )
    vectors = initial_vectors(4, 4, seeded())
    list(train_on_pairs(vectors, corpus, recipe, seeded(), batch_size=8))
    scores = vectors.center @ vectors.context.T
    joint = torch.tensor([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]) / 4
    noise = noise_distribution(torch.full((4,), 150.0), 1.0)
    best = optimal_score(joint, torch.full((4, 1), 0.25), noise, 2)
    seen = joint > 0
    torch.testing.assert_close(scores[seen], best[seen], atol=0.1, rtol=0)  # log 2
    assert float(scores[~seen].max()) < -2  # on their way to −∞


def test_initial_vectors_as_in_gensim():
    vectors = initial_vectors(4000, 50, seeded())
    peer = torch.tensor(prep_vectors((4000, 50)))
    for found in (vectors.center, peer):
        assert float(found.abs().max()) <= 1 / 50
        assert float(found.std()) == pytest.approx(1 / 50 / math.sqrt(3), rel=0.01)
    assert not bool(vectors.context.any())


def test_the_rate_falls_in_a_line_as_gensim_lets_it():
    recipe = Recipe(rate=0.05)
    peer = Word2Vec(min_alpha=0.05e-4, alpha=0.05, vector_size=2)
    peer.epochs = 1
    for done in (0.0, 0.25, 0.8):
        assert rate_at(recipe, done) == pytest.approx(
            peer._get_next_alpha(done, 0) if done else 0.05, rel=1e-3
        )
    assert rate_at(recipe, 1) == pytest.approx(5e-6)


def test_expected_tokens_is_what_subsampling_leaves_on_average():
    counts = torch.tensor([5000, 300, 40, 7])
    recipe = Recipe(threshold=0.01)
    corpus = TokenStream(
        torch.repeat_interleave(counts), torch.zeros(int(counts.sum()), dtype=torch.long)
    )
    keep = keep_probabilities(counts, 0.01, "word2vec")
    left = torch.tensor([float(len(subsample(corpus, keep, seeded(i)).ids)) for i in range(200)])
    deviation = float((counts * keep * (1 - keep)).sum() ** 0.5) / math.sqrt(200)
    assert abs(float(left.mean()) - expected_tokens(counts, recipe)) < 4 * deviation


def test_one_seed_gives_one_result_and_reports_every_epoch():
    corpus = stream([0, 1, 2, 3, 2], [1, 0, 3])
    recipe = Recipe(dimension=3, epochs=3, threshold=1.0)
    results = []
    for seed in (0, 0, 1):
        vectors = initial_vectors(4, 3, seeded(5))
        reports = list(train_on_pairs(vectors, corpus, recipe, seeded(seed), batch_size=2))
        assert [report.epoch for report in reports] == [1, 2, 3]
        assert all(report.tokens == 8 for report in reports)
        results.append(vectors.center)
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize(
    ("name", "value"),
    [("dimension", 0), ("window", 0), ("negatives", 0), ("epochs", 0), ("rate", 0.0), ("rate", math.nan),
     ("power", 1.5), ("threshold", 0.0), ("threshold", 2.0)],
)  # fmt: skip
def test_recipes_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"{name} must be .*got {value}"):
        Recipe(**{name: value})


def test_bad_corpora_are_refused():
    vectors = initial_vectors(3, 2, seeded())
    with pytest.raises(ValueError, match="corpus must have tokens, got none"):
        require_trainable(vectors, stream([]), 3)
    with pytest.raises(ValueError, match=r"must be > 0 and finite, got 0 for word 2"):
        next(train_on_pairs(vectors, stream([0, 1]), Recipe(), seeded()))
    with pytest.raises(ValueError, match=r"ids in \[0, 3\), got 7"):
        next(train_on_pairs(vectors, stream([0, 7]), Recipe(), seeded()))
    with pytest.raises(ValueError, match="size must be a whole number ≥ 2, got 1"):
        initial_vectors(1, 2, seeded())
    with pytest.raises(ValueError, match="batch_size must be a whole number ≥ 1, got 0"):
        next(train_on_pairs(vectors, stream([0, 1, 2]), Recipe(), seeded(), batch_size=0))
    with pytest.raises(ValueError, match=r"done must be in \[0, 1\], got 1.5"):
        rate_at(Recipe(), 1.5)
