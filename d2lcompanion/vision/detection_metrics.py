"""How good a detector is: average precision (AP) as COCO defines it.

Detections are ranked by score. One that overlaps a true box not yet found is a hit, any
other is a false alarm. Going down the ranking recall rises and precision falls; AP is
the mean precision over recall, and COCO averages it over classes and thresholds of IoU.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from d2lcompanion.vision.boxes import box_iou
from d2lcompanion.vision.checks import (
    require_at_least,
    require_boxes,
    require_finite,
    require_shape,
    require_unit_interval,
)

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

# As pycocotools computes them, to the last bit: 0.50, 0.55, …, 0.95 and 0, 0.01, …, 1.
COCO_THRESHOLDS: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())
RECALL_POINTS: Floats = np.linspace(0.0, 1.0, 101)


class Detections(NamedTuple):
    """What a detector says of one image, in any order."""

    boxes: Tensor  # [D, 4] (x1, y1, x2, y2)
    scores: Tensor  # [D], the larger the surer
    classes: Tensor  # [D], whole numbers


class Truths(NamedTuple):
    """What there is in one image."""

    boxes: Tensor  # [G, 4] (x1, y1, x2, y2), in the unit of the detections
    classes: Tensor  # [G], whole numbers


class AveragePrecision(NamedTuple):
    """AP as one number in [0, 1], and the table [T, K] of which it is the mean.

    Rows are thresholds of IoU, columns the classes that have a true box, rising.
    """

    mean: float
    table: Floats
    thresholds: tuple[float, ...]
    classes: tuple[int, ...]


def average_precision(
    detections: Sequence[Detections],
    truths: Sequence[Truths],
    *,
    thresholds: Sequence[float] = COCO_THRESHOLDS,
    max_detections: int = 100,
) -> AveragePrecision:
    """COCO's AP: the mean over classes, thresholds of IoU and 101 points of recall.

    Per image and class the best detections, at most 100, go by falling score: each
    takes the true box left that it overlaps most, if the IoU reaches the threshold, of
    equal ones the last. All images are then ranked together, equal scores by image.
    The precision at recall r is the largest at any recall ≥ r, 0 if r is never reached.
    Classes without a true box are left out: their false alarms cost nothing.

    There are no crowds and no ranges of area. As in pycocotools the limit of 100 holds
    for a class in an image. It runs on the CPU, in float64.

    Args:
        detections: one entry an image.
        truths: one entry an image, in the same order.
        thresholds: T ≥ 1 thresholds of IoU, in [0, 1].
        max_detections: ≥ 1.
    Returns:
        The mean, and the table by threshold and class.
    Raises:
        ValueError: if the numbers of images differ, there is no true box, or a box, a
            score, a class or a threshold is invalid; names it.
    Source:
        Lin et al. (2014); cocodataset.org, *Detection Evaluation*; Everingham et al.
        (2010) for the precision at a recall.
    """
    _require_images(detections, truths)
    _require_options(thresholds, max_detections)
    classes = sorted({int(c) for truth in truths for c in truth.classes.tolist()})
    if not classes:
        raise ValueError("AP needs at least one true box, got none")
    columns = [
        _class_precision(detections, truths, c, thresholds, max_detections)
        for c in classes
    ]
    table = np.stack(columns, 1)
    return AveragePrecision(
        float(table.mean()), table, tuple(thresholds), tuple(classes)
    )


def _class_precision(
    detections: Sequence[Detections],
    truths: Sequence[Truths],
    wanted: int,
    thresholds: Sequence[float],
    limit: int,
) -> Floats:
    """[T]: the AP of one class at each threshold."""
    scores, hits, positives = [], [], 0
    for found, truth in zip(detections, truths, strict=True):
        own, true = found.classes == wanted, truth.classes == wanted
        order = found.scores[own].argsort(descending=True, stable=True)[:limit]
        iou = box_iou(found.boxes[own][order].double(), truth.boxes[true].double())
        scores.append(found.scores[own][order].double().cpu().numpy())
        hits.append(_hits(iou.cpu().numpy(), np.array(thresholds)))
        positives += iou.shape[1]
    rank = np.argsort(-np.concatenate(scores), kind="stable")
    return _mean_precision(np.concatenate(hits, 1)[:, rank], positives)


def _hits(iou: Floats, thresholds: Floats) -> Booleans:
    """[T, D]: which of an image's detections find a true box of their own.

    Args:
        iou: [D, G], detections by falling score.
        thresholds: [T].
    """
    detections, truths = iou.shape
    hits = np.zeros((len(thresholds), detections), dtype=np.bool_)
    if truths == 0:
        return hits
    free = np.ones((len(thresholds), truths), dtype=np.bool_)
    row = np.arange(len(thresholds))
    for d in range(detections):
        open_ = free & (iou[d] >= np.minimum(thresholds, 1 - 1e-10)[:, None])
        overlap = np.where(open_, iou[d], -1.0)
        best = truths - 1 - overlap[:, ::-1].argmax(1)  # the last of equal ones
        hits[:, d] = open_[row, best]
        free[row[hits[:, d]], best[hits[:, d]]] = False
    return hits


def _mean_precision(hits: Booleans, positives: int) -> Floats:
    """[T]: the mean over 101 points of recall of the precision there.

    Args:
        hits: [T, n], all detections of a class by falling score.
        positives: the number of true boxes, > 0.
    """
    count = np.arange(1, hits.shape[1] + 1)
    found = hits.cumsum(1)
    recall, precision = found / positives, found / count
    best = np.maximum.accumulate(precision[:, ::-1], 1)[
        :, ::-1
    ]  # at this recall or more
    best = np.pad(best, ((0, 0), (0, 1)))  # a recall never reached: 0
    at = [best[t, np.searchsorted(recall[t], RECALL_POINTS)] for t in range(len(hits))]
    mean: Floats = np.stack(at).mean(1)
    return mean


# ------------------------------------------------------------------------------------------ checks


def _require_images(detections: Sequence[Detections], truths: Sequence[Truths]) -> None:
    if len(detections) != len(truths):
        raise ValueError(
            f"one entry an image is needed in both, got {len(detections)} of detections "
            f"and {len(truths)} of truths"
        )
    for image, (found, truth) in enumerate(zip(detections, truths, strict=True)):
        for name, part in (("detections", found), ("truths", truth)):
            what = f"{name} of image {image}"
            require_boxes(f"boxes in {what}", part.boxes)
            require_shape(f"boxes in {what}", part.boxes, (len(part.boxes), 4))
            require_shape(f"classes in {what}", part.classes, part.boxes.shape[:1])
            if part.classes.is_floating_point() or part.classes.dtype == torch.bool:
                raise ValueError(
                    f"classes in {what} must be whole numbers, got {part.classes.dtype}"
                )
        what = f"scores in detections of image {image}"
        require_shape(what, found.scores, found.boxes.shape[:1])
        require_finite(what, found.scores)


def _require_options(thresholds: Sequence[float], max_detections: int) -> None:
    if len(thresholds) == 0:
        raise ValueError("thresholds must hold at least one number, got none")
    for value in thresholds:
        require_unit_interval("thresholds", value)
    require_at_least("max_detections", max_detections, 1)
