"""Multinomial logistic regression: a convex loss with its derivatives written out.

The parameters are a matrix W, [d, k], one column a class, as one vector w, row by row:
w.reshape(d, k) is W. Dimensions before the last are a batch.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from d2lcompanion.optimization.checks import require_nonnegative, require_shape
from d2lcompanion.optimization.objectives import Objective


def softmax_regression(
    features: Tensor, labels: Tensor, *, classes: int, ridge: float = 0.0
) -> Objective:
    """f(W) = 1/n Σᵢ (log Σ_c exp z_ic − z_{i,yᵢ}) + ½λ‖W‖², with the scores Z = XW.

    With the probabilities P = softmax(Z) and Y the labels as unit vectors,

        ∇f(W) = Xᵀ(P − Y)/n + λW,
        ∇²f(W) = 1/n Σᵢ xᵢxᵢᵀ ⊗ (diag pᵢ − pᵢpᵢᵀ) + λI.

    f is convex and L-smooth with L = `softmax_smoothness`; with λ > 0 it is λ-strongly
    convex and no more, as W + v1ᵀ has the scores of W up to a number for each row,
    which softmax does not see. There is no intercept: add a constant column to X.
    scikit-learn's `LogisticRegression` has C = 1/(λn), and does not penalize its
    intercept.

    Args:
        features: X, [n, d], n ≥ 1.
        labels: y, [n], whole numbers from 0 to k − 1.
        classes: k ≥ 2.
        ridge: λ ≥ 0.
    Returns:
        An objective of w [..., d·k], with no minimizer listed: there may be none.
    Raises:
        ValueError: if shapes do not match, a label or λ is out of range.
    Source:
        Bishop (2006), §4.3.4.
    """
    targets = _one_hot(features, labels, classes)  # Y, [n, k]
    require_nonnegative("ridge", ridge)
    n, d = features.shape

    def scores(w: Tensor) -> Tensor:
        return features @ w.reshape(*w.shape[:-1], d, classes)  # [..., n, k]

    def value(w: Tensor) -> Tensor:
        z = scores(w)
        losses = z.logsumexp(-1) - (z * targets).sum(-1)  # [..., n]
        return losses.mean(-1) + 0.5 * ridge * w.square().sum(-1)

    def gradient(w: Tensor) -> Tensor:
        slope = features.T @ (scores(w).softmax(-1) - targets) / n  # [..., d, k]
        return slope.reshape(w.shape) + ridge * w

    def hessian(w: Tensor) -> Tensor:
        p = scores(w).softmax(-1)
        spread = torch.diag_embed(p) - p[..., :, None] * p[..., None, :]
        blocks = torch.einsum("ni,...nab,nj->...iajb", features, spread, features) / n
        identity = torch.eye(d * classes, dtype=w.dtype, device=w.device)
        return blocks.reshape(*w.shape, d * classes) + ridge * identity

    return Objective("softmax regression", value, gradient, hessian, d * classes)


def hessian_product(
    features: Tensor, w: Tensor, *, classes: int, ridge: float = 0.0
) -> Callable[[Tensor], Tensor]:
    """v ↦ ∇²f(w)v of `softmax_regression`, without the (dk)² entries of the Hessian.

    With A = XV, row i of the scores moves by aᵢ, the probabilities by pᵢ∘(aᵢ − pᵢᵀaᵢ),
    so Hv = Xᵀ(P∘(A − (P∘A)11ᵀ))/n + λV: two products with X, as a gradient has.

    Args:
        features: X, [n, d].
        w: where the Hessian is taken, [d·k].
        classes: k.
        ridge: λ ≥ 0.
    Returns:
        A function of v [d·k].
    Raises:
        ValueError: if w is not [d·k], or λ is negative.
    """
    n, d = features.shape
    require_shape("w", w, (d * classes,))
    require_nonnegative("ridge", ridge)
    p = (features @ w.reshape(d, classes)).softmax(-1)  # [n, k]

    def product(v: Tensor) -> Tensor:
        a = features @ v.reshape(d, classes)
        moved = p * (a - (p * a).sum(-1, keepdim=True))
        return (features.T @ moved / n).reshape(-1) + ridge * v

    return product


def softmax_smoothness(features: Tensor, *, ridge: float = 0.0) -> float:
    """L = ½ λ_max(XᵀX/n) + λ, a bound on every Hessian of `softmax_regression`.

    aᵀ(diag p − ppᵀ)a is the variance of a under p. That is at most ¼(max a − min a)²,
    and so at most ½‖a‖².

    Args:
        features: X, [n, d].
        ridge: λ ≥ 0.
    Raises:
        ValueError: if X is not a matrix, or λ is negative.
    Source:
        Böhning (1992).
    """
    require_nonnegative("ridge", ridge)
    if features.ndim != 2:
        raise ValueError(f"features must be [n, d], got {list(features.shape)}")
    largest = torch.linalg.matrix_norm(features, ord=2) ** 2 / len(features)
    return 0.5 * float(largest) + ridge


def _one_hot(features: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Labels [n] as unit vectors [n, k], in the dtype of the features."""
    if classes < 2:
        raise ValueError(f"classes must be ≥ 2, got {classes}")
    if features.ndim != 2 or labels.shape != features.shape[:1] or len(labels) == 0:
        raise ValueError(
            "features must be [n, d] and labels [n] with n ≥ 1, "
            f"got {list(features.shape)} and {list(labels.shape)}"
        )
    if labels.is_floating_point() or not bool(
        ((labels >= 0) & (labels < classes)).all()
    ):
        raise ValueError(
            f"labels must be whole numbers from 0 to {classes - 1}, got {labels.dtype} "
            f"from {float(labels.min()):g} to {float(labels.max()):g}"
        )
    unit_vectors = torch.eye(classes, dtype=features.dtype, device=features.device)
    return unit_vectors[labels]
