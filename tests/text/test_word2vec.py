"""Skip-gram and CBOW against slow loops, autograd, finite differences and torch's loss."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.text.cbow import cbow_gradients, cbow_log_likelihood, cbow_log_probabilities
from d2lcompanion.text.word2vec import (
    skip_gram_gradients,
    skip_gram_log_likelihood,
    skip_gram_log_probabilities,
)

WORDS, DIM = 7, 3
CENTERS = torch.tensor([2, 5, 2, 0])
CONTEXTS = torch.tensor([[1, 3, 3], [0, 6, -1], [4, -1, 999], [2, 0, 0]])
MASK = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1]]).bool()
BOTH = [
    (skip_gram_log_likelihood, skip_gram_gradients),
    (cbow_log_likelihood, cbow_gradients),
]
NAMES = ["skip-gram", "CBOW"]


def tables(seed: int = 0, scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (2, WORDS, DIM)
    v, u = scale * torch.randn(shape, generator=generator, dtype=torch.float64)
    return v, u


def log_softmax(scores: list[float], chosen: int) -> float:
    return scores[chosen] - math.log(sum(math.exp(score) for score in scores))


def dot(a, b) -> float:
    return sum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def slow_skip_gram(v, u) -> float:
    total = 0.0
    for center, row, present in zip(CENTERS, CONTEXTS, MASK, strict=True):
        for word, there in zip(row.tolist(), present.tolist(), strict=True):
            if there:
                total += log_softmax([dot(u[i], v[center]) for i in range(WORDS)], word)
    return total


def slow_cbow(v, u) -> float:
    total = 0.0
    for center, row, present in zip(CENTERS.tolist(), CONTEXTS, MASK, strict=True):
        window = [int(w) for w, there in zip(row, present, strict=True) if there]
        mean = [sum(float(u[w][i]) for w in window) / len(window) for i in range(DIM)]
        total += log_softmax([dot(v[i], mean) for i in range(WORDS)], center)
    return total


@pytest.mark.parametrize(
    ("function", "slow", "predictions"),
    [(skip_gram_log_likelihood, slow_skip_gram, 9), (cbow_log_likelihood, slow_cbow, 4)],
    ids=NAMES,
)
def test_against_a_slow_loop(function, slow, predictions):
    v, u = tables()
    found = float(function(CENTERS, CONTEXTS, v, u, mask=MASK))
    assert found == pytest.approx(slow(v, u), rel=1e-12)
    mean = float(function(CENTERS, CONTEXTS, v, u, mask=MASK, reduction="mean"))
    assert mean == pytest.approx(found / predictions, rel=1e-12)


@pytest.mark.parametrize(("function", "gradients"), BOTH, ids=NAMES)
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("masked", [True, False])
def test_gradients_against_autograd(function, gradients, reduction, masked):
    v, u = (table.requires_grad_() for table in tables(1))
    contexts, mask = (CONTEXTS, MASK) if masked else (CONTEXTS.clamp(0, WORDS - 1), None)
    options = {"mask": mask, "reduction": reduction}
    expected = torch.autograd.grad(function(CENTERS, contexts, v, u, **options), (v, u))
    found = gradients(CENTERS, contexts, v.detach(), u.detach(), **options)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("function", "gradients"), BOTH, ids=NAMES)
def test_gradients_against_finite_differences(function, gradients):
    v, u = tables(2)
    found = gradients(CENTERS, CONTEXTS, v, u, mask=MASK)
    h = 1e-5
    for which in range(2):
        for i in range(WORDS):
            for j in range(DIM):
                values = []
                for sign in (1, -1):
                    moved = [v.clone(), u.clone()]
                    moved[which][i, j] += sign * h
                    values.append(float(function(CENTERS, CONTEXTS, *moved, mask=MASK)))
                slope = (values[0] - values[1]) / (2 * h)
                assert float(found[which][i, j]) == pytest.approx(slope, abs=1e-8)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 30))
def test_probabilities_sum_to_one(seed, scale):
    v, u = tables(seed, scale)
    one = torch.ones(len(CENTERS), dtype=torch.float64)
    skip_gram = skip_gram_log_probabilities(CENTERS, v, u).exp()
    cbow = cbow_log_probabilities(CONTEXTS, v, u, mask=MASK).exp()
    assert skip_gram.shape == cbow.shape == (len(CENTERS), WORDS)
    torch.testing.assert_close(skip_gram.sum(1), one)
    torch.testing.assert_close(cbow.sum(1), one)


def test_equals_torch_s_cross_entropy():
    v, u = tables(3)
    pairs = torch.tensor([1, 3, 6, 0])
    loss = torch.nn.functional.cross_entropy(v[CENTERS] @ u.T, pairs)
    found = skip_gram_log_likelihood(CENTERS, pairs[:, None], v, u, reduction="mean")
    torch.testing.assert_close(-found, loss)


def test_with_one_context_word_cbow_is_skip_gram_with_the_tables_exchanged():
    v, u = tables(4)
    others = torch.tensor([1, 3, 6, 0])
    forward = cbow_log_likelihood(CENTERS, others[:, None], v, u)
    torch.testing.assert_close(forward, skip_gram_log_likelihood(others, CENTERS[:, None], u, v))


def test_equal_vectors_predict_every_word_alike():
    zeros = torch.zeros(WORDS, DIM, dtype=torch.float64)
    found = skip_gram_log_likelihood(CENTERS, CONTEXTS, zeros, zeros, mask=MASK)
    assert float(found) == pytest.approx(-9 * math.log(WORDS))


def test_the_gradients_of_a_shift_vanish():
    """Adding one vector to all u changes no probability: the rows of ∂ℓ/∂u sum to 0."""
    v, u = tables(5)
    skip_gram = skip_gram_gradients(CENTERS, CONTEXTS, v, u, mask=MASK).context_vectors
    cbow = cbow_gradients(CENTERS, CONTEXTS, v, u, mask=MASK).center_vectors
    for gradient in (skip_gram, cbow):
        assert float(gradient.abs().max()) > 0.1
        assert float(gradient.sum(0).abs().max()) < 1e-12


@pytest.mark.parametrize(("function", "gradients"), BOTH, ids=NAMES)
def test_one_step_along_the_gradient_raises_the_likelihood_as_promised(function, gradients):
    v, u = tables(6)
    before = function(CENTERS, CONTEXTS, v, u, mask=MASK)
    dv, du = gradients(CENTERS, CONTEXTS, v, u, mask=MASK)
    step = 1e-6
    after = function(CENTERS, CONTEXTS, v + step * dv, u + step * du, mask=MASK)
    promised = step * float(dv.square().sum() + du.square().sum())
    assert float(after - before) == pytest.approx(promised, rel=1e-4)


def test_huge_scores_do_not_overflow():
    v, u = tables(7, scale=1e3)
    for function, gradients in BOTH:
        assert math.isfinite(float(function(CENTERS, CONTEXTS, v, u, mask=MASK)))
        for gradient in gradients(CENTERS, CONTEXTS, v, u, mask=MASK):
            assert bool(gradient.isfinite().all())


def test_the_type_of_the_vectors_is_kept():
    v, u = (table.float() for table in tables())
    for function, gradients in BOTH:
        results = [
            function(CENTERS, CONTEXTS, v, u, mask=MASK),
            *gradients(CENTERS, CONTEXTS, v, u, mask=MASK),
        ]
        assert {result.dtype for result in results} == {torch.float32}


NONE = torch.zeros(4, 3, dtype=torch.bool)
BAD = {
    "center": ({"centers": CENTERS + 2}, r"centers must be ids in \[0, 7\), got 7"),
    "context": ({"mask": None}, r"contexts must be ids in \[0, 7\), got -1"),
    "floats": ({"centers": CENTERS.double()}, "centers must be whole numbers, got torch.float64"),
    "centers": ({"centers": CENTERS[None]}, r"centers must be \[B\], got shape \[1, 4\]"),
    "contexts": ({"contexts": CONTEXTS[0]}, r"contexts must be \[B, m\], got shape \[3\]"),
    "batch": ({"centers": CENTERS[:2]}, r"contexts must have shape \[2, 3\], got \[4, 3\]"),
    "mask": ({"mask": MASK[:, :2]}, r"mask must have shape \[4, 3\], got \[4, 2\]"),
    "mask type": ({"mask": MASK.long()}, "mask must be of booleans, got torch.int64"),
    "nothing": ({"mask": NONE}, "contexts must hold a word"),
    "dim": ({"context_vectors": torch.zeros(7, 2)}, r"must have shape \[7, 3\], got \[7, 2\]"),
    "vector": ({"center_vectors": torch.zeros(7)}, r"center_vectors must be \[N, d\] of floats"),
    "reduction": ({"reduction": "max"}, r"reduction must be one of \['sum', 'mean'\], got 'max'"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=list(BAD))
@pytest.mark.parametrize("function", [f for pair in BOTH for f in pair])
def test_bad_arguments_are_named(function, change, message):
    v, u = tables()
    good = {"centers": CENTERS, "contexts": CONTEXTS, "center_vectors": v, "context_vectors": u}
    with pytest.raises(ValueError, match=message):
        function(**{**good, "mask": MASK, **change})


def test_an_empty_window_has_no_mean():
    v, u = tables()
    mask = MASK.clone()
    mask[2] = False
    with pytest.raises(ValueError, match="every window must hold a word, got none in window 2"):
        cbow_log_likelihood(CENTERS, CONTEXTS, v, u, mask=mask)
    fewer = skip_gram_log_likelihood(CENTERS, CONTEXTS, v, u, mask=mask)
    keep = torch.tensor([0, 1, 3])
    rest = skip_gram_log_likelihood(CENTERS[keep], CONTEXTS[keep], v, u, mask=MASK[keep])
    torch.testing.assert_close(fewer, rest)
