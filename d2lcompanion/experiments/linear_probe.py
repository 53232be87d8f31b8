"""The same linear classifier on any representation: softmax regression with a penalty.

The penalty is chosen on validation data among the same values for all. For these to mean
the same, features are divided by one number first, the root of their variance.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import scipy.sparse as sparse
from scipy.optimize import minimize

Features: TypeAlias = np.ndarray | sparse.csr_array
PENALTIES = tuple(10.0**-k for k in range(1, 11))
STEPS = 300  # of L-BFGS, for each penalty


class Probe(NamedTuple):
    """A linear classifier: argmax of x W + b.

    Attributes:
        weights: W, [v, C].
        bias: b, [C].
    """

    weights: np.ndarray
    bias: np.ndarray

    def scores(self, features: Features) -> np.ndarray:
        """[n, C]."""
        found: np.ndarray = features @ self.weights + self.bias
        return found

    def accuracy(self, features: Features, labels: np.ndarray) -> float:
        """The share of rows whose largest score is the label's."""
        return float((self.scores(features).argmax(1) == labels).mean())


def spread(features: Features) -> float:
    """The root of the mean squared distance of the rows from their mean.

    With a bias that is not penalized, shifting the features changes nothing; so the
    distance from 0 must not count.
    """
    mean = np.asarray(features.mean(axis=0)).ravel()
    values = features.data if isinstance(features, sparse.csr_array) else features
    variance = float(np.square(values).sum()) / features.shape[0] - float(mean @ mean)
    return variance**0.5 if variance > 0 else 1.0


def fit(
    features: Features,
    labels: np.ndarray,
    classes: int,
    penalty: float,
    start: Probe | None = None,
    *,
    steps: int = STEPS,
) -> Probe:
    """Minimize the mean cross-entropy + ½ λ ‖W‖², by L-BFGS.

    Args:
        features: [n, v].
        labels: [n] in 0, …, C − 1.
        penalty: λ > 0; scikit-learn's C is 1/(n λ).
        start: where to begin; 0 without.
    Raises:
        ValueError: if the penalty is not positive or a label is out of range.
    """
    if not 0 < penalty < np.inf:
        raise ValueError(f"penalty must be > 0 and finite, got {penalty}")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"labels must be in [0, {classes}), got {labels.min()} to {labels.max()}"
        )
    n, v = features.shape
    rows = np.arange(n)
    transposed = features.T

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        W, b = flat[:-classes].reshape(v, classes), flat[-classes:]
        scores = features @ W + b
        scores -= scores.max(axis=1, keepdims=True)
        error = np.exp(scores)
        sums = error.sum(axis=1)
        loss = float(np.log(sums).mean() - scores[rows, labels].mean())
        error /= sums[:, None]
        error[rows, labels] -= 1
        error /= n
        slope = np.empty_like(flat)
        slope[:-classes] = (transposed @ error + penalty * W).ravel()
        slope[-classes:] = error.sum(axis=0)
        return loss + 0.5 * penalty * float(flat[:-classes] @ flat[:-classes]), slope

    begin = np.zeros((v + 1) * classes)
    if start is not None:
        begin = np.concatenate([start.weights.ravel(), start.bias])
    found = minimize(
        objective,
        begin,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": steps, "gtol": 1e-6, "ftol": 1e-9},
    ).x
    return Probe(found[:-classes].reshape(v, classes), found[-classes:])


def in_few_columns(features: Sequence[Features]) -> list[Features]:
    """The same lengths and angles with as many columns as training has rows, if that is fewer.

    The weights of a penalized linear classifier are a combination of the training rows:
    any part at a right angle to all of them would cost and not help. So only the
    coordinates in their span matter. With X Xᵀ = Q Λ Qᵀ these are Q Λ^½ for the training
    rows X, and Z Xᵀ Q Λ^−½ for others.

    Args:
        features: of training first, [n, v]; then others, [m, v].
    """
    train = features[0]
    n, v = train.shape
    if v <= n:
        return list(features)
    gram = train @ train.T
    dense = gram.toarray() if isinstance(gram, sparse.csr_array) else gram
    values, Q = np.linalg.eigh(dense)
    kept = values > 1e-10 * values[-1]
    basis = Q[:, kept] / np.sqrt(values[kept])  # Xᵀ basis: orthonormal columns
    return [(part @ train.T) @ basis for part in features]


class Chosen(NamedTuple):
    """What validation chose.

    Attributes:
        penalty: λ.
        validation: accuracy.
        test: accuracy on each of the test sets.
        predictions: [m] for each of them.
    """

    penalty: float
    validation: float
    test: tuple[float, ...]
    predictions: tuple[np.ndarray, ...]


def choose(
    features: Sequence[Features],
    labels: Sequence[np.ndarray],
    classes: int,
    penalties: Sequence[float] = PENALTIES,
) -> Chosen:
    """Fit from the largest penalty down; the best on validation, the larger at a tie.

    Args:
        features: of training, validation and one or more test sets, [n, v] each.
        labels: theirs.
    """
    few = in_few_columns(features)
    scale = spread(few[0])
    train, validation, *tests = (part / scale for part in few)
    best: Chosen | None = None
    probe: Probe | None = None
    for penalty in sorted(penalties, reverse=True):
        probe = fit(train, labels[0], classes, penalty, probe)
        score = probe.accuracy(validation, labels[1])
        if best is None or score > best.validation:
            said = tuple(probe.scores(part).argmax(1) for part in tests)
            right = zip(said, labels[2:], strict=True)
            test = tuple(float((a == b).mean()) for a, b in right)
            best = Chosen(penalty, score, test, said)
    assert best is not None
    return best
