"""Non-maximum suppression: of the boxes that overlap, the best one is kept.

A detector finds an object many times over. Greedy suppression goes through the boxes
by falling score and drops each one that overlaps a kept one too much. Boxes are corners
(x1, y1, x2, y2), in any one unit.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from d2lcompanion.vision.boxes import iou_table
from d2lcompanion.vision.checks import (
    require_boxes,
    require_finite,
    require_positive,
    require_shape,
    require_unit_interval,
)

BLOCK = 128  # boxes settled at a time: no table is larger than 128 × N


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """The boxes that no better kept box overlaps by more than the threshold.

    The same as `torchvision.ops.nms`, but for an IoU that equals the threshold up to
    rounding: torchvision compares a float32 IoU with the float64 threshold, here both
    are of the type of the boxes.

    Args:
        boxes: [N, 4] (x1, y1, x2, y2).
        scores: [N], any finite floats; the larger, the better.
        iou_threshold: in [0, 1]; a box is dropped for an IoU above it.
    Returns:
        [K] indices by falling score; of equal scores the smaller index goes first.
    Raises:
        ValueError: if a box or a score is invalid (names the row), shapes do not fit,
            or the threshold is outside [0, 1].
    Source:
        Zhang et al., *Dive into Deep Learning* (d2l), §14.4.4.
    """
    _require_scored_boxes(boxes, scores)
    require_unit_interval("iou_threshold", iou_threshold)
    return _greedy(boxes, scores, None, iou_threshold)


def batched_nms(
    boxes: Tensor, scores: Tensor, classes: Tensor, iou_threshold: float
) -> Tensor:
    """`nms` within each class: boxes of different classes do not compete.

    torchvision moves the classes apart by adding a large number to the coordinates,
    which rounds them; here classes are compared, and no IoU changes.

    Args:
        boxes: [N, 4] (x1, y1, x2, y2).
        scores: [N], finite floats.
        classes: [N], whole numbers: the class of a box, or its image.
        iou_threshold: in [0, 1].
    Returns:
        [K] indices by falling score over all classes, equal ones by index.
    Raises:
        ValueError: as `nms`, and if classes are not [N] whole numbers.
    """
    _require_scored_boxes(boxes, scores)
    require_unit_interval("iou_threshold", iou_threshold)
    require_shape("classes", classes, scores.shape)
    if classes.is_floating_point():
        raise ValueError(f"classes must be whole numbers, got {classes.dtype}")
    return _greedy(boxes, scores, classes, iou_threshold)


def _greedy(
    boxes: Tensor, scores: Tensor, classes: Tensor | None, iou_threshold: float
) -> Tensor:
    """Block by block: the best 128 settle among themselves, then thin out the rest."""

    def conflict(rows: Tensor, columns: Tensor) -> Tensor:
        over = iou_table(boxes[rows], boxes[columns]) > iou_threshold
        if classes is None:
            return over
        return over & (classes[rows][:, None] == classes[columns])

    rest = scores.argsort(descending=True, stable=True)
    kept = [rest[:0]]
    while len(rest) > 0:
        head, rest = rest[:BLOCK], rest[BLOCK:]
        kept.append(head[_survivors(conflict(head, head))])
        if len(rest) > 0:
            rest = rest[~conflict(kept[-1], rest).any(0)]
    return torch.cat(kept)


def _survivors(conflict: Tensor) -> Tensor:
    """Who remains if all go by rank, and a survivor removes those it conflicts with.

    Everyone is in at first. Then, again and again, those are out that conflict with
    a better one who is in. After k rounds the first k verdicts are final, as each
    depends on better ranks only; a state that repeats is the answer. The number of
    rounds is the length of the longest chain of removals, a few in practice.

    Args:
        conflict: [n, n] booleans, ranked from the best.
    Returns:
        [n] booleans.
    """
    better = conflict.triu(1)  # [i, j]: i has the better rank and conflicts with j
    alive = torch.ones_like(better[0])
    while True:
        still = ~(better & alive[:, None]).any(0)
        if bool((still == alive).all()):
            return alive
        alive = still


class SoftSelection(NamedTuple):
    """What soft-NMS leaves: indices [K] in the order chosen, and their new scores [K]."""

    indices: Tensor
    scores: Tensor


def soft_nms(
    boxes: Tensor,
    scores: Tensor,
    *,
    method: Literal["gaussian", "linear"] = "gaussian",
    sigma: float = 0.5,
    iou_threshold: float = 0.3,
    score_threshold: float = 0.001,
) -> SoftSelection:
    """Overlap lowers a score instead of removing the box.

    Again and again the best box left is chosen, and the others lose by their IoU u:

        gaussian: s ← s exp(−u²/σ)        linear: s ← s(1 − u) where u ≥ threshold

    It ends when the best one left is below the score threshold. Takes N steps, and N²
    numbers of memory.

    Args:
        boxes: [N, 4] (x1, y1, x2, y2).
        scores: [N], finite and ≥ 0.
        method: which decay.
        sigma: σ > 0, for the Gaussian decay.
        iou_threshold: in [0, 1], for the linear decay.
        score_threshold: ≥ 0; what falls below it is dropped.
    Returns:
        indices by falling new score, the smaller first where equal; the new scores.
    Raises:
        ValueError: if a box, a score or a number is out of range; names it.
    Source:
        Bodla, Singh, Chellappa & Davis (2017).
    """
    _require_scored_boxes(boxes, scores)
    _require_soft_options(scores, method, sigma, iou_threshold, score_threshold)
    overlap = iou_table(boxes, boxes)
    if method == "gaussian":
        decay = (-overlap.square() / sigma).exp()
    else:
        decay = torch.where(overlap >= iou_threshold, 1 - overlap, 1)
    decay = decay.to(scores.dtype)
    left, order = scores, [scores.argsort()[:0]]
    waiting = torch.ones_like(scores, dtype=torch.bool)
    for _ in range(len(boxes)):
        best = torch.where(waiting, left, -1).argmax(0, keepdim=True)  # [1], the first
        if float(left[best]) < score_threshold:
            break
        order.append(best)
        waiting = waiting.index_fill(0, best, False)
        left = torch.where(waiting, left * decay[best[0]], left)
    indices = torch.cat(order)
    return SoftSelection(indices, left[indices])


# ------------------------------------------------------------------------------------------ checks


def _require_scored_boxes(boxes: Tensor, scores: Tensor) -> None:
    if boxes.ndim != 2:
        raise ValueError(f"boxes must be [N, 4], got {tuple(boxes.shape)}")
    require_boxes("boxes", boxes)
    require_shape("scores", scores, boxes.shape[:1])
    require_finite("scores", scores)


def _require_soft_options(
    scores: Tensor,
    method: str,
    sigma: float,
    iou_threshold: float,
    score_threshold: float,
) -> None:
    if method not in ("gaussian", "linear"):
        raise ValueError(f"method must be 'gaussian' or 'linear', got {method!r}")
    require_positive("sigma", sigma)
    require_unit_interval("iou_threshold", iou_threshold)
    if not score_threshold >= 0:
        raise ValueError(f"score_threshold must be ≥ 0, got {score_threshold}")
    if not bool((scores >= 0).all()):
        low = int(scores.argmin())
        raise ValueError(f"scores must be ≥ 0, got {float(scores[low]):g} at {low}")
