"""Boxes: three ways to write them, how much two overlap, and offsets to an anchor.

Unless a name says otherwise a box is its corners (x1, y1, x2, y2) with x1 ≤ x2 and
y1 ≤ y2, x to the right and y down, in any one unit: pixels, or fractions of the image.
Coordinates are continuous: a box from 0 to 2 is 2 wide, no pixel is added.
"""

from typing import Literal, TypeAlias

import torch
from torch import Tensor

from d2lcompanion.vision.checks import (
    require_boxes,
    require_last_four,
    require_positive,
    require_sizes,
)

BoxFormat: TypeAlias = Literal["xyxy", "cxcywh", "xywh"]

FORMATS = {"xyxy": "x1, y1, x2, y2", "cxcywh": "cx, cy, w, h", "xywh": "x, y, w, h"}

# SSD's code divides offsets of the centre by 0.1, of the size by 0.2: near unit variance.
CENTER_STD, SIZE_STD = 0.1, 0.2

# ---------------------------------------------------------------------------------------- formats


def box_convert(boxes: Tensor, source: BoxFormat, target: BoxFormat) -> Tensor:
    """The same boxes in another format.

    `xyxy` is (x1, y1, x2, y2), two corners; `cxcywh` is (cx, cy, w, h), the centre and
    the size, of d2l and YOLO; `xywh` is (x1, y1, w, h), the upper left corner and the
    size, of COCO's files.

    Args:
        boxes: [..., 4] floats in the format `source`, in any one unit.
        source, target: the format they have, and the one they shall have.
    Returns:
        [..., 4], a new tensor.
    Raises:
        ValueError: if a format is unknown or a box is invalid; names the row.
    """
    for name, value in (("source", source), ("target", target)):
        if value not in FORMATS:
            raise ValueError(f"{name} must be one of {list(FORMATS)}, got {value!r}")
    if source == "xyxy":
        require_boxes("boxes", boxes)
    else:
        require_sizes("boxes", boxes, FORMATS[source])
    if source == target:
        return boxes.clone()
    return _from_corners(_to_corners(boxes, source), target)


def _to_corners(boxes: Tensor, source: BoxFormat) -> Tensor:
    first, second = boxes[..., :2], boxes[..., 2:]
    if source == "cxcywh":
        return torch.cat([first - second / 2, first + second / 2], -1)
    return boxes if source == "xyxy" else torch.cat([first, first + second], -1)


def _from_corners(boxes: Tensor, target: BoxFormat) -> Tensor:
    low, high = boxes[..., :2], boxes[..., 2:]
    if target == "cxcywh":
        return torch.cat([(low + high) / 2, high - low], -1)
    return boxes if target == "xyxy" else torch.cat([low, high - low], -1)


def clip_boxes(boxes: Tensor, image_shape: tuple[float, float]) -> Tensor:
    """The part of each box inside the image: x into [0, W], y into [0, H].

    A box that lies outside becomes an empty one on the border.

    Args:
        boxes: [..., 4] (x1, y1, x2, y2).
        image_shape: (H, W) in the unit of the boxes; (1, 1) for fractions.
    Returns:
        [..., 4].
    Raises:
        ValueError: if a box is invalid, or a side of the image is not positive.
    """
    require_boxes("boxes", boxes)
    for name, value in zip(("height", "width"), image_shape, strict=True):
        require_positive(f"image {name}", value)
    height, width = image_shape
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    return torch.stack([x, y], -1).flatten(-2)


# ---------------------------------------------------------------------------------------- overlap


def box_area(boxes: Tensor) -> Tensor:
    """(x2 − x1)(y2 − y1).

    Args:
        boxes: [..., 4] (x1, y1, x2, y2), in any one unit.
    Returns:
        [...] ≥ 0, in the square of the unit; half types are widened to float32.
    Raises:
        ValueError: if a box is invalid; names the row.
    """
    require_boxes("boxes", boxes)
    return _area(_widened(boxes))


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Pairwise intersection over union: |A ∩ B| / |A ∪ B|.

    Args:
        a: [N, 4] boxes (x1, y1, x2, y2) with x1 ≤ x2, y1 ≤ y2, in any one unit.
        b: [M, 4] boxes in the same unit.
    Returns:
        [N, M] in [0, 1]; 0 where the union is empty (torchvision and d2l give nan).
        Half types are widened to float32.
    Raises:
        ValueError: if a or b is not a list of boxes, or a box is invalid; names the row.
    Source:
        Zhang et al., *Dive into Deep Learning* (d2l), §14.4.2.
    """
    _require_lists(a, b)
    return iou_table(a, b)


def iou_table(a: Tensor, b: Tensor) -> Tensor:
    """`box_iou` without its checks, for boxes that have passed them: [N, 4], [M, 4] → [N, M]."""
    a, b = _widened(a), _widened(b)
    intersection, area = _overlap(a, b), _area(a)
    area = area + (area == 0)  # an empty box shares nothing: 0 of 1, if both are empty
    return intersection.div_((area[:, None] + _area(b)).sub_(intersection))


def generalized_box_iou(a: Tensor, b: Tensor) -> Tensor:
    """GIoU = IoU − |C \\ (A ∪ B)| / |C|, with C the smallest box around both.

    IoU is flat for boxes apart; GIoU tells near from far, so 1 − GIoU is a loss.

    Args:
        a: [N, 4] boxes (x1, y1, x2, y2), in any one unit.
        b: [M, 4] boxes in the same unit.
    Returns:
        [N, M] in [−1, 1]; a quotient counts as 0 where its denominator is empty
        (torchvision gives nan). Half types are widened to float32.
    Raises:
        ValueError: if a or b is not a list of boxes, or a box is invalid; names the row.
    Source:
        Rezatofighi et al. (2019), algorithm 1.
    """
    _require_lists(a, b)
    a, b = _widened(a), _widened(b)
    intersection = _overlap(a, b)
    union = _area(a)[:, None] + _area(b) - intersection
    low = torch.minimum(a[:, None, :2], b[:, :2])
    high = torch.maximum(a[:, None, 2:], b[:, 2:])
    hull = (high - low).prod(-1)
    return _ratio(intersection, union) - _ratio((hull - union).clamp(min=0), hull)


def _require_lists(a: Tensor, b: Tensor) -> None:
    for name, boxes in (("a", a), ("b", b)):
        if boxes.ndim != 2:
            raise ValueError(f"{name} must be [N, 4], got {tuple(boxes.shape)}")
        require_boxes(name, boxes)


def _overlap(a: Tensor, b: Tensor) -> Tensor:
    """Area of the intersection of every pair, [N, M]."""
    # Columns of numbers side by side in memory: [4, N, 1] against [4, 1, M]. With left
    # and upper edges negated, one minimum finds all four edges of the intersection, in
    # one block of memory: to fetch several anew would cost more than the arithmetic.
    sign = a.new_tensor([-1.0, -1.0, 1.0, 1.0])
    own, other = ((boxes * sign).T.contiguous() for boxes in (a, b))
    edges = torch.minimum(own[:, :, None], other[:, None])
    width, height = edges[2:].add_(edges[:2]).clamp_(min=0).unbind()
    return width * height


def _area(boxes: Tensor) -> Tensor:
    width, height = (boxes[..., 2:] - boxes[..., :2]).unbind(-1)
    return width * height


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """part / whole, and 0 where the whole is empty: then the part is 0 too. Uses up the part."""
    return part.div_(whole.masked_fill(whole <= 0, 1))


def _widened(boxes: Tensor) -> Tensor:
    """At least float32: the area of a photo, in pixels, does not fit into float16."""
    return boxes.float() if boxes.element_size() < 4 else boxes


# ---------------------------------------------------------------------------------------- offsets


def encode_offsets(
    anchors: Tensor,
    boxes: Tensor,
    *,
    center_std: float = CENTER_STD,
    size_std: float = SIZE_STD,
) -> Tensor:
    """What a detector learns: how to move and stretch an anchor to make it the box.

        ((cx − cxₐ)/(wₐσ), (cy − cyₐ)/(hₐσ), ln(w/wₐ)/τ, ln(h/hₐ)/τ)

    with σ = 0.1 and τ = 0.2, so that typical offsets are near 1. d2l computes
    ln(10⁻⁶ + w/wₐ), which its inverse does not undo.

    Args:
        anchors: [..., 4] (x1, y1, x2, y2), broadcast with the boxes.
        boxes: [..., 4] in the same unit.
        center_std, size_std: σ > 0 and τ > 0.
    Returns:
        [..., 4] without unit.
    Raises:
        ValueError: if a box is invalid or empty (names the row), or a number ≤ 0.
    Source:
        Liu et al. (2016), equation (2); d2l, §14.4.3.2.
    """
    require_boxes("anchors", anchors, positive=True)
    require_boxes("boxes", boxes, positive=True)
    require_positive("center_std", center_std)
    require_positive("size_std", size_std)
    own, other = _from_corners(anchors, "cxcywh"), _from_corners(boxes, "cxcywh")
    shift = (other[..., :2] - own[..., :2]) / own[..., 2:] / center_std
    return torch.cat([shift, (other[..., 2:] / own[..., 2:]).log() / size_std], -1)


def decode_offsets(
    anchors: Tensor,
    offsets: Tensor,
    *,
    center_std: float = CENTER_STD,
    size_std: float = SIZE_STD,
) -> Tensor:
    """The boxes that the offsets make of the anchors: undoes `encode_offsets`.

    No offset is clamped: float32 overflows for an offset of size beyond 443
    (torchvision stops at a factor of 62.5).

    Args:
        anchors: [..., 4] (x1, y1, x2, y2), broadcast with the offsets.
        offsets: [..., 4] as `encode_offsets` gives them.
        center_std, size_std: σ > 0 and τ > 0, as they were when encoding.
    Returns:
        [..., 4] (x1, y1, x2, y2) in the unit of the anchors.
    Raises:
        ValueError: if an anchor is empty, a row not finite, or a number not > 0.
    Source:
        d2l, §14.4.4.
    """
    require_boxes("anchors", anchors, positive=True)
    require_last_four("offsets", offsets, "dx, dy, dw, dh")
    require_positive("center_std", center_std)
    require_positive("size_std", size_std)
    own = _from_corners(anchors, "cxcywh")
    center = own[..., :2] + offsets[..., :2] * center_std * own[..., 2:]
    size = own[..., 2:] * (offsets[..., 2:] * size_std).exp()
    return _to_corners(torch.cat([center, size], -1), "cxcywh")
