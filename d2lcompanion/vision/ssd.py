"""A small single-shot detector: from a picture to boxes in one pass.

Convolutions halve the picture again and again. On the last few maps every cell asks, for
each of its anchors: which class is there, and how far off is the box? Large maps answer
for small objects, small maps for large ones.
"""

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from d2lcompanion.vision.anchors import anchor_boxes
from d2lcompanion.vision.boxes import clip_boxes, decode_offsets
from d2lcompanion.vision.checks import (
    require_at_least,
    require_images,
    require_unit_interval,
)
from d2lcompanion.vision.detection_metrics import Detections
from d2lcompanion.vision.nms import batched_nms, soft_nms


@dataclass(frozen=True)
class SSDConfig:
    """The form of the network.

    Attributes:
        channels: of the picture.
        classes: K ≥ 1, background not counted.
        widths: channels of each stage; every stage halves the map.
        sizes: of the anchors, for each of the last stages, as fractions of the height.
        ratios: width/height of the anchors.
    Raises:
        ValueError: if a number is below 1, or there are more maps than stages.
    """

    channels: int
    classes: int
    widths: tuple[int, ...] = (16, 32, 64, 64)
    sizes: tuple[tuple[float, ...], ...] = ((0.2, 0.27), (0.34, 0.42))
    ratios: tuple[float, ...] = (1.0, 2.0, 0.5)

    def __post_init__(self) -> None:
        require_at_least("channels", self.channels, 1)
        require_at_least("classes", self.classes, 1)
        for width in self.widths:
            require_at_least("widths", width, 1)
        if not 1 <= len(self.sizes) <= len(self.widths):
            raise ValueError(
                f"sizes must name 1 to {len(self.widths)} maps, got {len(self.sizes)}"
            )


class Prediction(NamedTuple):
    """What the network says of every anchor.

    anchors [A, 4] (x1, y1, x2, y2) in fractions. logits [B, A, K + 1], background first.
    offsets [B, A, 4], as `decode_offsets` takes them.
    """

    anchors: Tensor
    logits: Tensor
    offsets: Tensor


def _stage(width_in: int, width_out: int) -> nn.Sequential:
    """Two convolutions; the first halves the map."""
    layers: list[nn.Module] = []
    for width, stride in ((width_in, 2), (width_out, 1)):
        layers += [
            nn.Conv2d(width, width_out, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(width_out),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)


class SSD(nn.Module):
    """Stages of convolutions; on the last maps a head for classes, one for offsets."""

    def __init__(self, config: SSDConfig, generator: torch.Generator | None):
        """Weights from the generator (on the CPU); None keeps torch's own."""
        super().__init__()
        self.config = config
        widths = (config.channels, *config.widths)
        self.stages = nn.ModuleList(_stage(a, b) for a, b in itertools.pairwise(widths))
        heads = config.widths[-len(config.sizes) :]
        per_cell = [len(sizes) + len(config.ratios) - 1 for sizes in config.sizes]
        self.classify, self.locate = (
            nn.ModuleList(
                nn.Conv2d(width, count * numbers, 3, padding=1)
                for width, count in zip(heads, per_cell, strict=True)
            )
            for numbers in (config.classes + 1, 4)
        )
        if generator is not None:
            _initialize(self, generator)

    def forward(self, images: Tensor) -> Prediction:
        """Predictions for all anchors of all maps.

        Args:
            images: [B, channels, H, W], in [0, 1].
        Raises:
            ValueError: if the images have another shape, or are smaller than 2^stages.
        """
        require_images("images", images)
        least = 2 ** len(self.config.widths)
        if images.shape[1] != self.config.channels or min(images.shape[2:]) < least:
            raise ValueError(
                f"images must have {self.config.channels} channels and sides of at "
                f"least {least} pixels, got [n, c, H, W] = {list(images.shape)}"
            )
        maps, x = [], images
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        maps = maps[-len(self.config.sizes) :]
        boxes = [
            anchor_boxes(
                (m.shape[2], m.shape[3]), (images.shape[2], images.shape[3]),
                sizes, self.config.ratios, device=images.device, dtype=images.dtype,
            )
            for m, sizes in zip(maps, self.config.sizes, strict=True)
        ]  # fmt: skip
        classes = self.config.classes + 1
        return Prediction(
            torch.cat(boxes),
            torch.cat(
                [
                    _rows(h(m), classes)
                    for h, m in zip(self.classify, maps, strict=True)
                ],
                1,
            ),
            torch.cat(
                [_rows(h(m), 4) for h, m in zip(self.locate, maps, strict=True)], 1
            ),
        )


def _rows(x: Tensor, numbers: int) -> Tensor:
    """[B, a·numbers, h, w] → [B, h·w·a, numbers], in the order of the anchors."""
    return x.movedim(1, -1).reshape(len(x), -1, numbers)


def _initialize(model: SSD, generator: torch.Generator) -> None:
    """He's normal weights in the stages, small ones in the heads, biases 0."""
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif parameter.ndim == 4 and name.startswith("stages"):
            nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=generator)
        elif parameter.ndim == 4:
            nn.init.normal_(parameter, std=0.01, generator=generator)


@torch.no_grad()
def detect(
    model: SSD,
    images: Tensor,
    *,
    score_threshold: float = 0.05,
    iou_threshold: float = 0.45,
    soft: bool = False,
    limit: int = 100,
) -> list[Detections]:
    """Boxes of every image: one pass, decoding, suppression within each class.

    The model is left in the mode it was in, and runs in that of evaluation.

    Args:
        model: the network.
        images: [B, channels, H, W].
        score_threshold: in [0, 1]; what is less probable is dropped before suppression.
        iou_threshold: in [0, 1], for hard suppression.
        soft: soft-NMS (Gaussian) instead.
        limit: boxes an image, ≥ 1, the best; four times as many go into suppression.
    Returns:
        one entry an image, boxes in fractions inside [0, 1], best first; classes are
        0 … K − 1.
    Raises:
        ValueError: if an argument is out of range, or a prediction is not finite.
    """
    require_unit_interval("score_threshold", score_threshold)
    require_unit_interval("iou_threshold", iou_threshold)
    require_at_least("limit", limit, 1)
    training = model.training
    model.eval()
    try:
        anchors, logits, offsets = model(images)
    finally:
        model.train(training)
    scores = logits.float().softmax(-1)[..., 1:]
    boxes = clip_boxes(decode_offsets(anchors, offsets).to(scores), (1, 1))
    found = []
    for box, score in zip(boxes, scores, strict=True):
        anchor, label = (score >= score_threshold).nonzero(as_tuple=True)
        value = score[anchor, label]
        best = value.argsort(descending=True, stable=True)[: 4 * limit]
        candidates = Detections(box[anchor[best]], value[best], label[best])
        found.append(suppress(candidates, iou_threshold, soft=soft, limit=limit))
    return found


def suppress(
    candidates: Detections,
    iou_threshold: float = 0.45,
    *,
    soft: bool = False,
    limit: int = 100,
) -> Detections:
    """The best boxes of one image after suppression within each class.

    Args:
        candidates: of one image, in any order.
        iou_threshold: for the hard kind.
        soft: soft-NMS (Gaussian, σ = 0.5), which lowers scores.
        limit: ≥ 1.
    """
    boxes, scores, classes = candidates
    if not soft:
        kept = batched_nms(boxes, scores, classes, iou_threshold)[:limit]
        return Detections(boxes[kept], scores[kept], classes[kept])
    rows, values = [scores.argsort()[:0]], [scores[:0]]
    for label in classes.unique():  # type: ignore[no-untyped-call]
        own = (classes == label).nonzero()[:, 0]
        chosen = soft_nms(boxes[own], scores[own])
        rows.append(own[chosen.indices])
        values.append(chosen.scores)
    kept, value = torch.cat(rows), torch.cat(values)
    order = value.argsort(descending=True, stable=True)[:limit]
    return Detections(boxes[kept[order]], value[order], classes[kept[order]])
