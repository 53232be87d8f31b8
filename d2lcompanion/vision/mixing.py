"""Parts of pictures replaced: by another picture (Mixup, CutMix) or by nothing (erasing).

A mixed picture has two labels. `Mixture` says whose they are and how much each counts;
`soft_labels` makes rows of probabilities of them, which cross-entropy takes.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from d2lcompanion.vision import draws
from d2lcompanion.vision.checks import (
    require_at_least,
    require_boxes,
    require_images,
    require_pixels,
    require_range,
    require_shape,
    require_unit_interval,
)


class Mixture(NamedTuple):
    """Pictures of two each.

    Attributes:
        images: [N, C, H, W].
        partner: [N] int64: image i has something of image partner[i].
        weight: [N] in [0, 1], the share of image i itself.
    """

    images: Tensor
    partner: Tensor
    weight: Tensor


def soft_labels(labels: Tensor, mixture: Mixture, classes: int) -> Tensor:
    """w e(label of i) + (1 − w) e(label of its partner), e one-hot: [N, classes].

    Args:
        labels: [N] int64 in 0 … classes − 1.
    Raises:
        ValueError: if a label is out of range; names it.
    """
    require_at_least("classes", classes, 1)
    require_shape("labels", labels, mixture.weight.shape)
    if labels.dtype != torch.int64:
        raise ValueError(f"labels must be int64, got {labels.dtype}")
    require_range("labels", labels, 0, classes - 1)
    weight = mixture.weight[:, None]
    own = one_hot(labels, classes).to(weight.dtype)
    return weight * own + (1 - weight) * own[mixture.partner]


def mixup(images: Tensor, partner: Tensor, weight: Tensor) -> Mixture:
    """xᵢ ← w xᵢ + (1 − w) x of its partner.

    Args:
        images: [N, C, H, W].
        partner: [N] int64.
        weight: [N] w in [0, 1].
    Source:
        Zhang, Cissé, Dauphin & Lopez-Paz (2018).
    """
    require_images("images", images)
    for name, value in (("partner", partner), ("weight", weight)):
        require_shape(name, value, images.shape[:1])
    require_range("partner", partner, 0, len(images) - 1)
    require_range("weight", weight, 0, 1)
    w = weight.to(images.dtype)[:, None, None, None]
    return Mixture(w * images + (1 - w) * images[partner], partner, weight)


def cutmix(images: Tensor, partner: Tensor, boxes: Tensor) -> Mixture:
    """Image i takes the pixels inside its box from its partner.

    The weight is the share of pixels that stay, counted: boxes may leave the picture.

    Args:
        images: [N, C, H, W].
        partner: [N] int64.
        boxes: [N, 4] (x1, y1, x2, y2) in pixels; a pixel counts if its centre is in.
    Source:
        Yun et al. (2019).
    """
    require_images("images", images)
    require_shape("partner", partner, images.shape[:1])
    require_range("partner", partner, 0, len(images) - 1)
    inside = pixels_inside(boxes, images)
    cut = inside.flatten(1).sum(1).to(images.dtype)
    weight = 1 - cut / (images.shape[2] * images.shape[3])
    mixed = torch.where(inside[:, None], images[partner], images)
    return Mixture(mixed, partner, weight)


def erase(images: Tensor, boxes: Tensor, value: float | Tensor = 0.0) -> Tensor:
    """The pixels inside each image's box become `value`.

    Args:
        images: [N, C, H, W].
        boxes: [N, 4] (x1, y1, x2, y2) in pixels; an empty one erases nothing.
        value: one number, or [N, C, H, W], as noise or another picture.
    Returns:
        [N, C, H, W], a new tensor.
    """
    require_images("images", images)
    inside = pixels_inside(boxes, images)[:, None]
    if isinstance(value, Tensor):
        require_shape("value", value, images.shape)
        return torch.where(inside, value, images)
    return images.masked_fill(inside, value)


def pixels_inside(boxes: Tensor, images: Tensor) -> Tensor:
    """Which pixels' centres lie in the image's box, x1 ≤ j + ½ < x2: [N, H, W] booleans.

    Args:
        boxes: [N, 4] (x1, y1, x2, y2).
        images: [N, C, H, W], for the shape.
    """
    require_shape("boxes", boxes, (len(images), 4))
    require_boxes("boxes", boxes)
    height, width = images.shape[2:]
    x = torch.arange(width, device=boxes.device, dtype=boxes.dtype) + 0.5
    y = torch.arange(height, device=boxes.device, dtype=boxes.dtype) + 0.5
    x1, y1, x2, y2 = boxes[..., None].unbind(1)  # [N, 1] each
    across, down = (x1 <= x) & (x < x2), (y1 <= y) & (y < y2)
    return down[:, :, None] & across[:, None, :]


# ------------------------------------------------------------------------------------------- draws


def random_mixup(
    images: Tensor, generator: torch.Generator, *, alpha: float = 0.2
) -> Mixture:
    """`mixup` with a random partner and w ~ Beta(α, α), for each image.

    The reference code draws one w a batch; torchvision's MixUp too.

    Args:
        images: [N, C, H, W], pixels in [0, 1].
        alpha: α > 0.
    """
    require_pixels("images", images)
    partner = draws.partners(images, generator)
    return mixup(images, partner, draws.beta_weights(images, generator, alpha))


def random_cutmix(
    images: Tensor, generator: torch.Generator, *, alpha: float = 1.0
) -> Mixture:
    """`cutmix` with a random partner and a box of the share 1 − λ, λ ~ Beta(α, α).

    The box has the image's proportions, sides √(1 − λ) of the image's, and its centre
    anywhere in it: where the box hangs over the edge, less than 1 − λ is cut.

    Args:
        images: [N, C, H, W], pixels in [0, 1].
        alpha: α > 0.
    """
    require_pixels("images", images)
    partner = draws.partners(images, generator)
    side = (1 - draws.beta_weights(images, generator, alpha)).sqrt()
    height, width = images.shape[2:]
    x = draws.uniform(images, generator, 0, width)
    y = draws.uniform(images, generator, 0, height)
    w, h = side * width / 2, side * height / 2
    boxes = torch.stack([x - w, y - h, x + w, y + h], -1).round()
    return cutmix(images, partner, boxes)


def random_erase(
    images: Tensor,
    generator: torch.Generator,
    *,
    probability: float = 0.5,
    area: tuple[float, float] = (0.02, 1 / 3),
    ratio: float = 10 / 3,
    value: float | Tensor = 0.0,
) -> Tensor:
    """A rectangle of each image is erased, with the given probability.

    Its share of the area is uniform, the logarithm of height : width uniform in
    ± log(ratio), the place uniform among those inside. Sides are rounded, and cut to
    the image's where longer (torchvision draws again, up to ten times).

    Args:
        images: [N, C, H, W], pixels in [0, 1].
        probability: in [0, 1].
        area: 0 ≤ low ≤ high ≤ 1.
        ratio: ≥ 1.
        value: as of `erase`.
    Source:
        Zhong, Zheng, Kang, Li & Yang (2020).
    """
    require_pixels("images", images)
    require_unit_interval("probability", probability)
    low, high = area
    if not (0 <= low <= high <= 1 and 1 <= ratio < math.inf):
        raise ValueError(
            f"area must be 0 ≤ low ≤ high ≤ 1 and ratio ≥ 1, got {area} and {ratio}"
        )
    height, width = images.shape[2:]
    chosen = draws.coins(images, generator, probability)
    share = draws.uniform(images, generator, low, high) * (height * width) * chosen
    stretch = ratio ** draws.uniform(images, generator, -1, 1)
    h = (share * stretch).sqrt().round().clamp(max=height)
    w = (share / stretch).sqrt().round().clamp(max=width)
    x1 = (draws.uniform(images, generator) * (width - w + 1)).floor()
    y1 = (draws.uniform(images, generator) * (height - h + 1)).floor()
    return erase(images, torch.stack([x1, y1, x1 + w, y1 + h], -1), value)
