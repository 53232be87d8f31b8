"""Gradients that touch few rows: yes-or-no questions about one vector.

Negative sampling and hierarchical softmax replace a question with V answers by some
logistic regressions. They have one gradient, and it has a value in the rows that were
asked about and in no others: this is where the cost O(V d) goes away.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.text.checks import require_ids, require_mask, require_shape
from d2lcompanion.text.word2vec import VectorGradients


class RowGradients(NamedTuple):
    """Derivatives in the rows that took part; a row listed twice counts twice."""

    centers: Tensor  # [B], ids of rows of v
    center_rows: Tensor  # [B, d]
    others: Tensor  # [B, m], ids of rows of u; 0 with a gradient of 0 where masked
    other_rows: Tensor  # [B, m, d]

    def dense(self, center_vectors: Tensor, other_vectors: Tensor) -> VectorGradients:
        """Added up into tables as large as these, in O(V d)."""
        return VectorGradients(
            torch.zeros_like(center_vectors).index_add(
                0, self.centers, self.center_rows
            ),
            torch.zeros_like(other_vectors).index_add(
                0, self.others.flatten(), self.other_rows.flatten(0, 1)
            ),
        )

    def descend(
        self, center_vectors: Tensor, other_vectors: Tensor, *, lr: float
    ) -> None:
        """Plain gradient descent in place, x ← x − ηg, in O(B m d) whatever V is.

        Args:
            center_vectors, other_vectors: the tables, changed.
            lr: η.
        """
        center_vectors.index_add_(0, self.centers, self.center_rows, alpha=-lr)
        rows = self.other_rows.flatten(0, 1)
        other_vectors.index_add_(0, self.others.flatten(), rows, alpha=-lr)


def logistic_row_gradients(
    centers: Tensor,
    others: Tensor,
    labels: Tensor,
    center_vectors: Tensor,
    other_vectors: Tensor,
    *,
    mask: Tensor | None = None,
    shift: Tensor | None = None,
    scale: Tensor | float = 1.0,
) -> RowGradients:
    """The gradient of Σ −log σ(±(s − shift)), s = u_w·v_c: errors along vectors.

    With the label y (1 for yes, 0 for no) the derivative of the logistic loss is

        g = ∂ℓ/∂s = σ(s − shift) − y,   ∂ℓ/∂v_c = Σ_w g_w u_w,   ∂ℓ/∂u_w = g_w v_c.

    Args:
        centers: c, [B], ids of rows of v.
        others: w, [B, m], ids of rows of u: words, or nodes of a tree.
        labels: y, [B, m], booleans.
        center_vectors: v, [V, d].
        other_vectors: u, [W, d].
        mask: [B, m], False where there is no question; the id there is not looked at.
        shift: subtracted from the scores, [B, m] or broadcast to it; None is 0.
        scale: what the loss is divided by, as for a mean.
    Raises:
        ValueError: if shapes differ or an id is out of range.
    """
    if centers.ndim != 1 or others.ndim != 2:
        raise ValueError(
            f"centers must be [B] and others [B, m], "
            f"got {list(centers.shape)} and {list(others.shape)}"
        )
    require_shape("others", others, (len(centers), others.shape[1]))
    require_mask("labels", labels, others.shape)
    present = torch.ones_like(labels) if mask is None else mask
    require_mask("mask", present, others.shape)
    others = others.masked_fill(~present, 0)
    require_ids("centers", centers, len(center_vectors))
    require_ids("others", others, len(other_vectors))
    center, other = center_vectors[centers], other_vectors[others]
    scores = torch.einsum("bd,bmd->bm", center, other)
    scores = scores if shift is None else scores - shift
    errors = (scores.sigmoid() - labels.to(scores.dtype)).masked_fill(~present, 0)
    errors = errors / scale
    return RowGradients(
        centers,
        torch.einsum("bm,bmd->bd", errors, other),
        others,
        errors[..., None] * center[:, None],
    )
