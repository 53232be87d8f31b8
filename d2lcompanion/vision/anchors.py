"""Anchors: boxes laid over the whole image, and what each of them is to learn.

An anchor is (x1, y1, x2, y2) in fractions of the image, so one set serves any image of
the same shape. Those that overlap a true box enough learn its class and the offsets
to it, all others learn that they are background.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.vision.anchor_matching import best_matches
from d2lcompanion.vision.boxes import encode_offsets
from d2lcompanion.vision.checks import (
    require_at_least,
    require_boxes,
    require_finite,
    require_positive,
    require_unit_interval,
)


def anchor_boxes(
    feature_shape: tuple[int, int],
    image_shape: tuple[int, int],
    sizes: Sequence[float],
    ratios: Sequence[float],
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Anchors around the centre of every cell of a feature map.

    In an image of H × W pixels size s and ratio r give a box H·s·√r wide and H·s/√r
    high: r is the ratio width/height in pixels, and s² the area in units of H². In
    fractions: s·√r·H/W and s/√r. Each cell gets n + m − 1 of the n·m pairs: every size
    with the first ratio, then the first size with every other ratio.

    d2l takes H/W from the feature map; that is the image's only where both have one
    aspect ratio (errata E22). torchvision's ratio is height/width.

    Args:
        feature_shape: (h, w), cells.
        image_shape: (H, W), pixels.
        sizes: n ≥ 1 numbers s > 0, fractions of the height of the image.
        ratios: m ≥ 1 numbers r > 0, width/height.
        device: where the anchors shall be.
        dtype: their type.
    Returns:
        [h·w·(n + m − 1), 4] (x1, y1, x2, y2) in fractions, row by row; at the edge they
        reach beyond the image.
    Raises:
        ValueError: if a number is not positive, or there is no size or no ratio.
    Source:
        Zhang et al., *Dive into Deep Learning* (d2l), §14.4.1.
    """
    for name, shape in (("feature_shape", feature_shape), ("image_shape", image_shape)):
        for side in shape:
            require_at_least(name, side, 1)
    _require_all_positive("sizes", sizes)
    _require_all_positive("ratios", ratios)
    pairs = [(s, ratios[0]) for s in sizes] + [(sizes[0], r) for r in ratios[1:]]
    aspect = image_shape[0] / image_shape[1]
    spans = [(s * math.sqrt(r) * aspect, s / math.sqrt(r)) for s, r in pairs]
    half = torch.tensor(spans, device=device, dtype=dtype) / 2  # [n + m − 1, 2]
    y, x = (
        (torch.arange(count, device=device, dtype=dtype) + 0.5) / count
        for count in feature_shape
    )
    center = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)[:, :, None]
    return torch.cat([center - half, center + half], -1).reshape(-1, 4)


def match_anchors(
    anchors: Tensor,
    truths: Tensor,
    iou_threshold: float = 0.5,
    *,
    valid: Tensor | None = None,
) -> Tensor:
    """Which true box each anchor stands for.

    First every true box gets an anchor of its own: again and again the largest IoU
    among those left is taken, and its anchor and its true box are out. Equal ones go by
    the smaller anchor, then the smaller true box. Then every other anchor takes the
    true box it overlaps most, if by at least the threshold.

    A true box that no anchor left overlaps gets none of its own; d2l gives it the
    first one left, which then learns a box far away.

    Args:
        anchors: [A, 4] (x1, y1, x2, y2).
        truths: [T, 4], or [B, T, 4] for B images, in the same unit.
        iou_threshold: in [0, 1]; an IoU of 0 is never a match.
        valid: booleans, [T] or [B, T]: which rows are no padding; all if left out.
    Returns:
        [A] or [B, A]: the row of the true box, −1 for background.
    Raises:
        ValueError: if a box is invalid (names the row), shapes do not fit, or the
            threshold is outside [0, 1].
    Source:
        d2l, §14.4.3.1; Liu et al. (2016), §2.2, where two true boxes may want one
        anchor.
    """
    require_unit_interval("iou_threshold", iou_threshold)
    require_boxes("anchors", anchors)
    require_boxes("truths", truths)
    _require_shapes(anchors, truths, valid)
    batch = truths if truths.ndim == 3 else truths[None]
    rows = None if valid is None else valid.reshape(batch.shape[:2])
    match = best_matches(anchors, batch, rows, iou_threshold)
    return match if truths.ndim == 3 else match[0]


class Targets(NamedTuple):
    """What a detector is trained towards, for B images and A anchors.

    offsets [B, A, 4]: to the true box, 0 for background. mask [B, A]: True where an
    anchor stands for a true box. classes [B, A]: 0 for background, else the class of
    the true box plus 1.
    """

    offsets: Tensor
    mask: Tensor
    classes: Tensor


def assign_targets(
    anchors: Tensor, labels: Tensor, iou_threshold: float = 0.5
) -> Targets:
    """The offsets and the class that each anchor is to learn, for a batch of images.

    d2l repeats the mask for the four offsets and flattens both to [B, 4A]; and it
    gives rows of padding an anchor too, which here they do not get.

    Args:
        anchors: [A, 4] (x1, y1, x2, y2), none of them empty.
        labels: [B, M, 5] (class, x1, y1, x2, y2) in the unit of the anchors; class is
            0, 1, 2, …, or −1 for a row of padding.
        iou_threshold: as for `match_anchors`.
    Returns:
        Offsets [B, A, 4] of the type of the labels, mask and classes [B, A].
    Raises:
        ValueError: if a class is not a whole number ≥ −1, a box is invalid or empty
            (names the row), or shapes do not fit.
    Source:
        d2l, §14.4.3.3.
    """
    if labels.ndim != 3 or labels.shape[-1] != 5:
        raise ValueError(f"labels must be [B, M, 5], got {list(labels.shape)}")
    real = _real_rows(labels[..., 0])
    unit = labels.new_tensor([0.0, 0.0, 1.0, 1.0])
    boxes = torch.where(real[..., None], labels[..., 1:], unit)
    require_boxes("labels", boxes, positive=True)
    require_unit_interval("iou_threshold", iou_threshold)
    require_boxes("anchors", anchors, positive=True)
    _require_shapes(anchors, boxes, real)
    match = best_matches(anchors, boxes, real, iou_threshold)
    mask = match >= 0
    offsets = labels.new_zeros(*match.shape, 4)
    classes = torch.zeros_like(match)
    image, anchor = mask.nonzero(as_tuple=True)
    row = match[image, anchor]
    offsets[image, anchor] = encode_offsets(
        anchors[anchor].to(boxes.dtype), boxes[image, row]
    )
    classes[image, anchor] = labels[image, row, 0].long() + 1
    return Targets(offsets, mask, classes)


# ------------------------------------------------------------------------------------------ checks


def _real_rows(classes: Tensor) -> Tensor:
    """[B, M]: which classes are not the −1 of padding."""
    require_finite("classes", classes)
    good = (classes >= -1) & (classes == classes.round())
    if not bool(good.all()):
        image, row = (~good).nonzero()[0].tolist()
        raise ValueError(
            f"a class must be a whole number ≥ 0, or −1 for padding, "
            f"got {float(classes[image, row]):g} in row {row} of image {image}"
        )
    return classes >= 0


def _require_shapes(anchors: Tensor, truths: Tensor, valid: Tensor | None) -> None:
    if anchors.ndim != 2:
        raise ValueError(f"anchors must be [A, 4], got {list(anchors.shape)}")
    if truths.ndim not in (2, 3):
        raise ValueError(
            f"truths must be [T, 4] or [B, T, 4], got {list(truths.shape)}"
        )
    if valid is None:
        return
    if valid.shape != truths.shape[:-1] or valid.dtype != torch.bool:
        raise ValueError(
            f"valid must be booleans {list(truths.shape[:-1])}, "
            f"got {valid.dtype} {list(valid.shape)}"
        )


def _require_all_positive(name: str, values: Sequence[float]) -> None:
    if len(values) == 0:
        raise ValueError(f"{name} must hold at least one number, got none")
    for value in values:
        require_positive(name, value)
