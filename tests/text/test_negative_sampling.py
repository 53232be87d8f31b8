"""The loss of negative sampling and its optimum: slow loops, torch's loss, Newton."""

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from d2lcompanion.text.negative_sampling import (
    negative_sampling_gradients,
    negative_sampling_loss,
    optimal_score,
)
from d2lcompanion.text.noise import AliasSampler, noise_distribution

COUNTS = torch.tensor([50.0, 20, 20, 7, 2, 1], dtype=torch.float64)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


WORDS, DIM = 6, 3
CENTERS = torch.tensor([2, 5, 2, 0])
CONTEXTS = torch.tensor([1, 0, 4, 3])
NEGATIVES = torch.tensor([[0, 3, 3], [1, 5, -1], [4, 99, 2], [1, 2, 5]])
MASK = torch.tensor([[1, 1, 1], [1, 1, 0], [0, 0, 1], [1, 1, 1]]).bool()


def tables(seed: int = 0, scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    shape = (2, WORDS, DIM)
    v, u = scale * torch.randn(shape, generator=seeded(seed), dtype=torch.float64)
    return v, u


def test_against_a_slow_loop_and_torch_s_loss():
    v, u = tables()
    total, scores, labels = 0.0, [], []
    for b in range(4):
        words = [(int(CONTEXTS[b]), 1.0)]
        words += [(int(w), 0.0) for w, there in zip(NEGATIVES[b], MASK[b], strict=True) if there]
        for word, label in words:
            score = float(u[word] @ v[CENTERS[b]])
            total += math.log1p(math.exp(-score if label else score))
            scores.append(score)
            labels.append(label)
    arguments = (CENTERS, CONTEXTS, NEGATIVES, v, u)
    found = float(negative_sampling_loss(*arguments, mask=MASK, reduction="sum"))
    assert found == pytest.approx(total, rel=1e-12)
    theirs = binary_cross_entropy_with_logits(
        torch.tensor(scores, dtype=torch.float64),
        torch.tensor(labels, dtype=torch.float64),
        reduction="sum",
    )
    assert found == pytest.approx(float(theirs), rel=1e-12)
    mean = float(negative_sampling_loss(*arguments, mask=MASK))
    assert mean == pytest.approx(found / 4)  # over pairs, not over words


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("masked", [True, False])
def test_gradients_against_autograd(reduction, masked):
    v, u = (table.requires_grad_() for table in tables(1))
    negatives, mask = (NEGATIVES, MASK) if masked else (NEGATIVES.clamp(0, WORDS - 1), None)
    options = {"mask": mask, "reduction": reduction}
    loss = negative_sampling_loss(CENTERS, CONTEXTS, negatives, v, u, **options)
    expected = torch.autograd.grad(loss, (v, u))
    found = negative_sampling_gradients(
        CENTERS, CONTEXTS, negatives, v.detach(), u.detach(), **options
    )
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_huge_scores_do_not_overflow():
    v, u = tables(2, scale=1e4)
    loss = negative_sampling_loss(CENTERS, CONTEXTS, NEGATIVES, v, u, mask=MASK)
    assert math.isfinite(float(loss))
    for gradient in negative_sampling_gradients(CENTERS, CONTEXTS, NEGATIVES, v, u, mask=MASK):
        assert bool(gradient.isfinite().all())


# ----------------------------------------------------------------------------------------- the optimum


def tiny_joint(seed: int) -> torch.Tensor:
    joint = torch.rand((5, 5), generator=seeded(seed), dtype=torch.float64) + 0.05
    return (joint + joint.T) / (2 * joint.sum())


def expected_loss(scores, joint, noise, k):
    """The mean of the loss over pairs from the corpus and negatives from the noise."""
    positive = -(joint * torch.nn.functional.logsigmoid(scores)).sum()
    drawn = joint.sum(1, keepdim=True) * noise
    return positive - k * (drawn * torch.nn.functional.logsigmoid(-scores)).sum()


def minimized(loss, *parameters):
    optimizer = torch.optim.LBFGS(
        parameters,
        max_iter=2000,
        tolerance_grad=1e-12,
        tolerance_change=1e-16,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(closure)


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("power", [0.75, 1.0])
def test_minimizing_the_expected_loss_finds_the_optimal_scores(k, power):
    joint = tiny_joint(k)
    word = joint.sum(1)
    noise = noise_distribution(word, power)
    expected = optimal_score(joint, word[:, None], noise, k)
    scores = torch.zeros(5, 5, dtype=torch.float64, requires_grad=True)
    minimized(lambda: expected_loss(scores, joint, noise, k), scores)
    torch.testing.assert_close(scores.detach(), expected, rtol=0, atol=1e-5)
    v, u = (  # vectors of d = V dimensions reach it
        torch.randn((5, 5), generator=seeded(s), dtype=torch.float64).requires_grad_()
        for s in (1, 2)
    )
    minimized(lambda: expected_loss(v @ u.T, joint, noise, k), v, u)
    torch.testing.assert_close((v @ u.T).detach(), expected, rtol=0, atol=1e-4)


def test_the_loss_of_sampled_pairs_tends_to_the_expected_loss():
    """With the package's own sampler and loss: no term is missing, no weight wrong."""
    joint, k, draws = tiny_joint(0), 3, 200_000
    noise = noise_distribution(joint.sum(1))
    cells = AliasSampler(joint.flatten()).sample((draws,), seeded(1))
    negatives = AliasSampler(noise).sample((draws, k), seeded(2))
    v = torch.randn((5, 2), generator=seeded(3), dtype=torch.float64)
    u = torch.randn((5, 2), generator=seeded(4), dtype=torch.float64)
    sampled = negative_sampling_loss(cells // 5, cells % 5, negatives, v, u)
    expected = expected_loss(v @ u.T, joint, noise, k)
    assert float(sampled) == pytest.approx(float(expected), rel=0.01)


def test_with_the_words_as_noise_it_is_pmi_minus_log_k():
    joint = torch.tensor([[0.3, 0.1], [0.1, 0.5]], dtype=torch.float64)
    word = joint.sum(1)
    found = optimal_score(joint, word[:, None], word, 5)
    assert float(found[0, 1]) == pytest.approx(math.log(0.1 / (0.4 * 0.6)) - math.log(5))
    never = optimal_score(torch.zeros(1), torch.ones(1), torch.ones(1), 1)
    assert never.tolist() == [-math.inf]


# ------------------------------------------------------------------------------------------- errors

GOOD = {
    "centers": CENTERS,
    "contexts": CONTEXTS,
    "negatives": NEGATIVES,
    "center_vectors": tables()[0],
    "context_vectors": tables()[1],
    "mask": MASK,
}
BAD_PAIRS = {
    "center": ({"centers": CENTERS + 1}, r"centers must be ids in \[0, 6\), got 6"),
    "context": ({"contexts": CONTEXTS - 1}, r"contexts and negatives must be ids .* got -1"),
    "negative": ({"mask": None}, r"contexts and negatives must be ids in \[0, 6\), got -1"),
    "centers": ({"centers": CENTERS[None]}, r"centers must be \[B\], got shape \[1, 4\]"),
    "contexts": ({"contexts": CONTEXTS[:2]}, r"contexts must have shape \[4\], got \[2\]"),
    "no k": ({"negatives": NEGATIVES[:, :0]}, r"negatives must be \[B, k\], k ≥ 1, got \[4, 0\]"),
    "rows": ({"negatives": NEGATIVES[:2]}, r"negatives must have shape \[4, 3\], got \[2, 3\]"),
    "mask": ({"mask": MASK[:2]}, r"mask must have shape \[4, 3\], got \[2, 3\]"),
    "vectors": ({"context_vectors": tables()[1][:5]}, r"shape \[6, 3\], got \[5, 3\]"),
    "reduction": ({"reduction": "none"}, "reduction must be one of .* got 'none'"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), BAD_PAIRS.values(), ids=list(BAD_PAIRS))
@pytest.mark.parametrize("function", [negative_sampling_loss, negative_sampling_gradients])
def test_bad_pairs_are_named(function, change, message):
    with pytest.raises(ValueError, match=message):
        function(**{**GOOD, **change})


HALF = torch.tensor([0.5])
BAD = {
    "k": (lambda: optimal_score(HALF, HALF, HALF, 0), "negatives must be a whole number ≥ 1"),
    "joint": (lambda: optimal_score(-HALF, HALF, HALF, 1), r"joint must be in \[0, 1\], got -0\.5"),
    "noise": (lambda: optimal_score(HALF, HALF, 0 * HALF, 1), r"noise must be in \(0, 1\], got 0"),
    "word": (lambda: optimal_score(HALF, 3 * HALF, HALF, 1), r"word must be in \(0, 1\], got 1\.5"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
