"""What a detector is trained with: which anchors count, and how much.

Of hundreds of anchors a handful stand for an object. Three ways to keep the rest from
deciding everything: count only the worst of them (hard negative mining), weigh each by how
wrong it is (focal loss), or count all alike, for comparison.
"""

from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, smooth_l1_loss

from d2lcompanion.vision.anchors import Targets
from d2lcompanion.vision.checks import require_at_least, require_shape

Negatives: TypeAlias = Literal["hard", "focal", "all"]
NEGATIVES: tuple[Negatives, ...] = ("hard", "focal", "all")


class DetectionLoss(NamedTuple):
    """Two numbers whose sum is minimized: for the classes, and for the offsets."""

    classes: Tensor
    offsets: Tensor


def detection_loss(
    logits: Tensor,
    offsets: Tensor,
    targets: Targets,
    *,
    negatives: Negatives = "hard",
    ratio: int = 3,
    gamma: float = 2.0,
) -> DetectionLoss:
    """Cross-entropy of the classes, and smooth L1 of the offsets of matched anchors.

        (Σ over counted anchors of the class loss) / N,
        (Σ over matched anchors and 4 offsets of smooth L1) / N

    with N the number of matched anchors in the batch, at least 1: one object weighs the
    same in an image with few anchors as in one with many. d2l averages over all anchors.

    Args:
        logits: [B, A, K + 1], background first.
        offsets: [B, A, 4].
        targets: as `assign_targets` gives them.
        negatives: "hard": the background anchors with the largest loss, `ratio` for each
            matched anchor of their image; "focal": all, by `focal_loss`; "all": all.
        ratio: ≥ 1.
        gamma: γ ≥ 0 of the focal loss.
    Raises:
        ValueError: if shapes do not fit, a class is not in [0, K], or an option is out of
            range; names it.
    Source:
        Liu et al. (2016), equations (1)–(3); Lin et al. (2017).
    """
    _require_fitting(logits, offsets, targets)
    if negatives not in NEGATIVES:
        raise ValueError(f"negatives must be one of {NEGATIVES}, got {negatives!r}")
    matched = targets.mask.sum().clamp(min=1)
    if negatives == "focal":
        classes = focal_loss(logits, targets.classes, gamma)
    else:
        classes = cross_entropy(
            logits.movedim(-1, 1), targets.classes, reduction="none"
        )
    if negatives == "hard":
        worst = hard_negatives(classes.detach(), targets.mask, ratio)
        classes = classes * (targets.mask | worst)
    distance = smooth_l1_loss(offsets, targets.offsets.to(offsets), reduction="none")
    return DetectionLoss(
        classes.sum() / matched, (distance * targets.mask[..., None]).sum() / matched
    )


def hard_negatives(loss: Tensor, matched: Tensor, ratio: int = 3) -> Tensor:
    """The unmatched anchors with the largest loss, `ratio` for each matched one.

    Per image. An image without a matched anchor counts as if it had one: it must teach
    that there is nothing, which the paper's rule would leave out.

    Args:
        loss: [B, A], of the class of each anchor.
        matched: [B, A] booleans.
        ratio: ≥ 1.
    Returns:
        [B, A] booleans, never a matched one; of equal losses the smaller index.
    Raises:
        ValueError: if the shapes differ or the ratio is below 1.
    Source:
        Liu et al. (2016), §2.2: at most 3 : 1.
    """
    require_at_least("ratio", ratio, 1)
    if loss.ndim != 2:
        raise ValueError(f"loss must be [B, A], got {list(loss.shape)}")
    require_shape("matched", matched, loss.shape)
    count = ratio * matched.sum(1, keepdim=True).clamp(min=1)
    ranked = loss.masked_fill(matched, -torch.inf)
    order = ranked.argsort(dim=1, descending=True, stable=True)
    rank = order.argsort(1)  # where each anchor stands in the order
    return (rank < count) & ~matched


def focal_loss(logits: Tensor, classes: Tensor, gamma: float = 2.0) -> Tensor:
    """−(1 − p)^γ ln p with p the probability of the true class: sure ones hardly count.

    Args:
        logits: [..., C].
        classes: [...], in [0, C).
        gamma: γ ≥ 0; with 0 it is cross-entropy.
    Returns:
        [...].
    Raises:
        ValueError: if γ < 0 or the shapes do not fit.
    Source:
        Lin, Goyal, Girshick, He & Dollár (2017), equation (4); softmax for sigmoid.
    """
    if not gamma >= 0:
        raise ValueError(f"gamma must be ≥ 0, got {gamma}")
    require_shape("classes", classes, logits.shape[:-1])
    log_p = logits.log_softmax(-1).gather(-1, classes[..., None])[..., 0]
    return -((1 - log_p.exp()).clamp(min=0) ** gamma) * log_p


def _require_fitting(logits: Tensor, offsets: Tensor, targets: Targets) -> None:
    if logits.ndim != 3 or logits.shape[-1] < 2:
        raise ValueError(f"logits must be [B, A, K + 1], got {list(logits.shape)}")
    require_shape("offsets", offsets, (*logits.shape[:2], 4))
    require_shape("targets.offsets", targets.offsets, offsets.shape)
    require_shape("targets.mask", targets.mask, logits.shape[:2])
    require_shape("targets.classes", targets.classes, logits.shape[:2])
    largest = int(targets.classes.max()) if targets.classes.numel() else 0
    if largest >= logits.shape[-1]:
        raise ValueError(
            f"a class must be in [0, {logits.shape[-1] - 1}), got {largest - 1}"
        )
