"""NCE and the expected loss: Bayes' rule, autograd, the closed form, limits, a large sample."""

import math

import pytest
import torch
from torch.nn.functional import logsigmoid

from d2lcompanion.text.negative_sampling import negative_sampling_loss, optimal_score
from d2lcompanion.text.noise import AliasSampler, noise_distribution
from d2lcompanion.text.noise_contrastive import (
    corrected_log_probabilities,
    expected_logistic_loss,
    noise_contrastive_loss,
    noise_contrastive_rows,
)
from d2lcompanion.text.word2vec import skip_gram_log_probabilities

WORDS, DIM = 5, 3
CENTERS = torch.tensor([2, 4, 2, 0])
CONTEXTS = torch.tensor([1, 0, 4, 3])
NEGATIVES = torch.tensor([[0, 3, 3], [1, 0, 2], [4, 0, 2], [1, 2, 4]])
NOISE = torch.tensor([0.1, 0.3, 0.25, 0.15, 0.2], dtype=torch.float64)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tables(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    v, u = torch.randn((2, WORDS, DIM), generator=seeded(seed), dtype=torch.float64)
    return v, u


def joint(seed: int = 0) -> torch.Tensor:
    table = torch.rand((WORDS, WORDS), generator=seeded(seed), dtype=torch.float64) + 0.05
    return (table + table.T) / (2 * table.sum())


def test_the_loss_is_bayes_rule_in_a_slow_loop():
    """−log of the posterior that a word came from the text, or from the noise."""
    v, u = tables()
    for log_normalizer in (0.0, 1.3):
        total = 0.0
        for b in range(4):
            words = [(int(CONTEXTS[b]), True), *((int(w), False) for w in NEGATIVES[b])]
            for word, there in words:
                text = math.exp(float(u[word] @ v[CENTERS[b]]) - log_normalizer)
                noise = 3 * float(NOISE[word])
                total -= math.log((text if there else noise) / (text + noise))
        arguments = (CENTERS, CONTEXTS, NEGATIVES, v, u, NOISE)
        more = {"log_normalizer": log_normalizer}
        found = float(noise_contrastive_loss(*arguments, reduction="sum", **more))
        assert found == pytest.approx(total, rel=1e-12)
        assert float(noise_contrastive_loss(*arguments, **more)) == pytest.approx(total / 4)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_gradients_against_autograd(reduction):
    v, u = (table.requires_grad_() for table in tables(1))
    more = {"reduction": reduction, "log_normalizer": 0.4}
    loss = noise_contrastive_loss(CENTERS, CONTEXTS, NEGATIVES, v, u, NOISE, **more)
    expected = torch.autograd.grad(loss, (v, u))
    v, u = v.detach(), u.detach()
    rows = noise_contrastive_rows(CENTERS, CONTEXTS, NEGATIVES, v, u, NOISE, **more)
    for ours, theirs in zip(rows.dense(v, u), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_uniform_noise_and_k_equal_to_the_words_is_negative_sampling():
    """k P_n = 1, so the correction is log 1 = 0 (Dyer 2014)."""
    v, u = tables(2)
    negatives = torch.randint(WORDS, (4, WORDS), generator=seeded(3))
    uniform = torch.full((WORDS,), 1 / WORDS, dtype=torch.float64)
    corrected = noise_contrastive_loss(CENTERS, CONTEXTS, negatives, v, u, uniform)
    plain = negative_sampling_loss(CENTERS, CONTEXTS, negatives, v, u)
    torch.testing.assert_close(corrected, plain, rtol=1e-12, atol=0)


def minimized(table, noise, k, *, shift):
    """The free scores at the minimum of the expected loss of scores − shift."""
    scores = torch.zeros(WORDS, WORDS, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [scores], max_iter=2000, tolerance_grad=1e-13, tolerance_change=1e-18,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure():
        optimizer.zero_grad()
        value = expected_logistic_loss(scores - shift, table, noise, k)
        value.backward()
        return value

    optimizer.step(closure)
    return scores.detach()


@pytest.mark.parametrize("k", [1, 7])
def test_free_scores_become_log_probabilities_whatever_the_noise(k):
    """With the correction they normalize themselves; without, they depend on k and the noise."""
    table = joint(k)
    conditional = table / table.sum(1, keepdim=True)
    for noise in (NOISE, NOISE.flip(0)):
        found = minimized(table, noise, k, shift=(k * noise).log())
        torch.testing.assert_close(found, conditional.log(), rtol=0, atol=1e-5)
        torch.testing.assert_close(
            found.exp().sum(1), torch.ones(WORDS).double(), atol=1e-5, rtol=0
        )
        found = minimized(table, noise, k, shift=0.0)
        expected = optimal_score(table, table.sum(1, keepdim=True), noise, k)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_the_expected_loss_in_a_slow_loop_and_by_sampling():
    table, k, draws = joint(), 3, 200_000
    scores = torch.randn((WORDS, WORDS), generator=seeded(5), dtype=torch.float64)
    total = 0.0
    for w in range(WORDS):
        for c in range(WORDS):
            s, product = float(scores[w, c]), float(table[w].sum() * NOISE[c])
            total += float(table[w, c]) * math.log1p(math.exp(-s))
            total += k * product * math.log1p(math.exp(s))
    assert float(expected_logistic_loss(scores, table, NOISE, k)) == pytest.approx(total)
    v, u = tables(4)
    cells = AliasSampler(table.flatten()).sample((draws,), seeded(1))
    negatives = AliasSampler(NOISE).sample((draws, k), seeded(2))
    sampled = noise_contrastive_loss(cells // WORDS, cells % WORDS, negatives, v, u, NOISE)
    shifted = v @ u.T - (k * NOISE).log()
    exact = float(expected_logistic_loss(shifted, table, NOISE, k))
    assert float(sampled) == pytest.approx(exact, rel=0.01)


def test_with_many_negatives_the_gradient_is_that_of_the_likelihood():
    """Σ_o k P_n/(e^s + k P_n) (P − e^s) ∂s tends to the gradient of the full softmax."""
    table = joint(1)
    scores = torch.randn((WORDS, WORDS), generator=seeded(6), dtype=torch.float64)
    scores = scores.log_softmax(1).requires_grad_()  # normalized: Z = 1
    (full,) = torch.autograd.grad((table * scores.log_softmax(1)).sum(), scores)
    errors = []
    for k in (1, 10, 100, 1000):
        loss = expected_logistic_loss(scores - (k * NOISE).log(), table, NOISE, k)
        (found,) = torch.autograd.grad(-loss, scores)
        errors.append(float((found - full).norm() / full.norm()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.01
    assert errors[-2] / errors[-1] == pytest.approx(10, rel=0.1)  # like 1/k


def test_the_noise_is_multiplied_back():
    """From the optimal scores the very probabilities come back, whatever k was."""
    table = joint(2)
    conditional = table / table.sum(1, keepdim=True)
    noise = noise_distribution(table.sum(0))
    for k in (1, 5):
        scores = optimal_score(table, table.sum(1, keepdim=True), noise, k)
        v, u = torch.eye(WORDS, dtype=torch.float64), scores.T.contiguous()  # v·u = scores
        found = corrected_log_probabilities(torch.arange(WORDS), v, u, noise)
        torch.testing.assert_close(found.exp(), conditional, rtol=1e-10, atol=1e-12)
        raw = skip_gram_log_probabilities(torch.arange(WORDS), v, u)
        assert float((raw.exp() - conditional).abs().max()) > 0.01
    assert float(-(table * logsigmoid(scores)).sum()) > 0


GOOD = {
    "centers": CENTERS,
    "contexts": CONTEXTS,
    "negatives": NEGATIVES,
    "center_vectors": tables()[0],
    "context_vectors": tables()[1],
    "noise": NOISE,
}
BAD = {
    "noise": ({"noise": 0 * NOISE}, "noise must be > 0 and finite, got 0.0 for word 0"),
    "k": ({"negatives": NEGATIVES[:, :0]}, r"negatives must be \[B, k\], k ≥ 1, got \[4, 0\]"),
    "rows": ({"negatives": NEGATIVES[:3]}, r"contexts must have shape \[3\], got \[4\]"),
    "id": ({"negatives": NEGATIVES + 1}, r"contexts and negatives must be ids in \[0, 5\), got 5"),
    "center": ({"centers": CENTERS + 1}, r"centers must be ids in \[0, 5\), got 5"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=list(BAD))
@pytest.mark.parametrize("function", [noise_contrastive_loss, noise_contrastive_rows])
def test_bad_pairs_are_named(function, change, message):
    with pytest.raises(ValueError, match=message):
        function(**{**GOOD, **change})


def test_bad_laws_are_named():
    scores = torch.zeros(WORDS, WORDS, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"joint must be ≥ 0 and sum to 1, got the sum [12]\."):
        expected_logistic_loss(scores, 2 * joint(), NOISE, 1)
    with pytest.raises(ValueError, match="negatives must be a whole number ≥ 1, got 0"):
        expected_logistic_loss(scores, joint(), NOISE, 0)
    with pytest.raises(ValueError, match=r"noise must have shape \[5\], got \[4\]"):
        expected_logistic_loss(scores, joint(), NOISE[:4], 1)
    with pytest.raises(ValueError, match=r"noise must have shape \[5\], got \[4\]"):
        corrected_log_probabilities(CENTERS, *tables(), NOISE[:4])
