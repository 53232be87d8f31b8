"""Negative sampling on the law of the pairs of a real text, minimized until it rests.

The pair counts of the Wikipedia extract are the law, so that the expected loss is a sum
over the cells of one table: no sampling noise, and quasi-Newton steps on all vectors.
With d = V the scores can be anything and must become the optimum; with fewer dimensions
they can only resemble it.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.experiments.word_windows import prepare
from d2lcompanion.text.negative_sampling import optimal_score
from d2lcompanion.text.noise import noise_distribution
from d2lcompanion.text.noise_contrastive import expected_logistic_loss
from d2lcompanion.text.windows import pair_counts

SPREAD = 0.1  # standard deviation of the first coordinates


class Pairs(NamedTuple):
    """The law of the pairs of a text, P(w, c), with its margin."""

    joint: Tensor  # [V, V]
    word: Tensor  # [V]
    total: int  # pairs that were counted


def count(vocabulary_size: int, window: int, *, seed: int) -> Pairs:
    """The pairs of the training paragraphs."""
    corpus = prepare(vocabulary_size, window, seed=seed)
    centers, contexts, mask = corpus.train
    counts = pair_counts(centers, contexts, len(corpus.vocab), mask=mask)
    joint = counts / counts.sum()
    return Pairs(joint, joint.sum(1), int(counts.sum()))


class Fitted(NamedTuple):
    """The scores where the minimization stopped, and the loss there."""

    scores: Tensor  # [V, V], v·u of the vectors
    loss: float


def fit(
    pairs: Pairs,
    noise: Tensor,
    negatives: int,
    *,
    dim: int,
    iterations: int,
    generator: torch.Generator,
    shift: Tensor | float = 0.0,
) -> Fitted:
    """L-BFGS on the vectors, on the exact expected loss of s − shift.

    Args:
        pairs: P(w, c).
        noise: P_n, [V].
        negatives: k.
        dim: d.
        iterations: at most.
        generator: on the CPU, draws the first vectors.
        shift: 0 for negative sampling, log(k P_n) for noise-contrastive estimation.
    """
    start = SPREAD * torch.randn(
        (2, len(noise), dim), generator=generator, dtype=pairs.joint.dtype
    )
    v, u = (table.to(noise.device).requires_grad_() for table in start)
    optimizer = torch.optim.LBFGS(
        [v, u],
        max_iter=iterations,
        max_eval=2 * iterations,
        history_size=20,
        tolerance_grad=1e-12,
        tolerance_change=1e-16,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        return expected_logistic_loss(v @ u.T - shift, pairs.joint, noise, negatives)

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        return Fitted(v @ u.T, float(loss()))


class Distance(NamedTuple):
    """How far scores are from a target, over the pairs that occur."""

    rms: float
    largest: float
    correlation: float
    spread: float  # standard deviation of the target, to compare with


def distance(scores: Tensor, target: Tensor, seen: Tensor) -> Distance:
    """Over the cells that are seen, each counting once."""
    a, b = scores[seen], target[seen]
    correlation = float(torch.corrcoef(torch.stack([a, b]))[0, 1])
    rms = float((a - b).square().mean().sqrt())
    return Distance(rms, float((a - b).abs().max()), correlation, float(b.std()))


def lowest(pairs: Pairs, noise: Tensor, negatives: int) -> float:
    """The expected loss at the optimal scores: nothing is below it."""
    best = optimal_score(pairs.joint, pairs.word[:, None], noise, negatives)
    # −∞ where a pair never occurs costs nothing; a large negative number stands for it
    best = best.clamp(min=-1e4)
    return float(expected_logistic_loss(best, pairs.joint, noise, negatives))


def free(
    pairs: Pairs, power: float, negatives: int, *, iterations: int, seed: int
) -> dict[str, float]:
    """Negative sampling with d = V against its optimum, and against that of the other power."""
    noise = noise_distribution(pairs.word, power)
    other = noise_distribution(pairs.word, 1.75 - power)  # 1 ↔ ¾
    seen, size = pairs.joint > 0, len(noise)
    fitted = fit(
        pairs, noise, negatives, dim=size, iterations=iterations,
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    target, wrong = (
        optimal_score(pairs.joint, pairs.word[:, None], law, negatives)
        for law in (noise, other)
    )
    found = distance(fitted.scores, target, seen)
    return {
        **found._asdict(),
        "wrong_rms": distance(fitted.scores, wrong, seen).rms,
        "gap": fitted.loss - lowest(pairs, noise, negatives),
        "mean_score": float(fitted.scores[seen].mean()),
        "never": float(fitted.scores[~seen].mean()),
    }


def normalizers(
    pairs: Pairs, negatives: int, *, iterations: int, seed: int
) -> dict[str, float]:
    """Noise-contrastive estimation with d = V: its scores are log-probabilities.

    Z(w) = Σ_c e^s should be 1 in every row though nothing in the loss sums over c.
    """
    noise = noise_distribution(pairs.word)
    fitted = fit(
        pairs, noise, negatives, dim=len(noise), iterations=iterations,
        generator=torch.Generator().manual_seed(seed),
        shift=(negatives * noise).log(),
    )  # fmt: skip
    target = (pairs.joint / pairs.word[:, None]).log()
    found = distance(fitted.scores, target, pairs.joint > 0)
    log_z = fitted.scores.logsumexp(1).abs().max()
    return {**found._asdict(), "log_z": float(log_z)}


def by_dimension(
    pairs: Pairs, dims: tuple[int, ...], *, iterations: int, seed: int
) -> dict[int, Distance]:
    """Fewer dimensions than words, k = 5 and power ¾: how close scores come to the optimum."""
    noise = noise_distribution(pairs.word)
    target = optimal_score(pairs.joint, pairs.word[:, None], noise, 5)
    return {
        dim: distance(
            fit(
                pairs, noise, 5, dim=dim, iterations=iterations,
                generator=torch.Generator().manual_seed(seed),
            ).scores,
            target,
            pairs.joint > 0,
        )
        for dim in dims
    }  # fmt: skip
