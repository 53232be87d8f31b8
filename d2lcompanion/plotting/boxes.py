"""Boxes over the pictures that they belong to."""

from collections.abc import Collection, Mapping, Sequence
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from torch import Tensor

from d2lcompanion.plotting.figure import Figure
from d2lcompanion.plotting.fingerprint import UNTOLD
from d2lcompanion.plotting.style import STYLE, legend_above, new_figure

# Bright, so that they stand out from photos; the line behind them is dark.
BRIGHT = ("#ffd23f", "#56b4e9", "#ff8c69", "#7ee081", "#ff8fd0")
DASHES = ("-", "--", ":", "-.", "-")


class BoxedPicture(NamedTuple):
    """A picture with groups of boxes, a colour each.

    Attributes:
        image: [1 or 3, H, W] from 0, dark, to 1.
        boxes: label of the group → [N, 4] (x1, y1, x2, y2) in fractions.
        title: above the picture.
        notes: label of the group → what is written at each of its boxes.
    """

    image: Tensor
    boxes: Mapping[str, Tensor]
    title: str = ""
    notes: Mapping[str, Sequence[str]] = {}


@rc_context(STYLE)
def plot_boxes(
    pictures: Sequence[BoxedPicture],
    *,
    columns: int = 3,
    height: float = 2.1,
    digits: int = 3,
    learned: Collection[str] = (),
) -> Figure:
    """Pictures in rows of `columns`; one legend for all.

    Args:
        pictures: one or more.
        columns: in a row.
        height: of a row, in inches.
        digits: of the fingerprint.
        learned: labels of boxes that a training has found, which differ between
            processors: they are left out of the fingerprint.
    Raises:
        ValueError: if there is no picture, an image has another shape, boxes are not [N,
            4], or notes do not fit; names the picture.
    """
    if not pictures:
        raise ValueError("pictures must hold at least one, got none")
    labels = list(dict.fromkeys(label for p in pictures for label in p.boxes))
    styles = dict(zip(labels, cycle(zip(BRIGHT, DASHES, strict=True)), strict=False))
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    fig, axes = new_figure(columns, rows, height=height, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for number, (ax, picture) in enumerate(zip(axes.flat, pictures, strict=False)):
        _draw(ax, picture, styles, number, learned)
    legend_above(fig, axes)
    return Figure(fig, digits=digits)


def _draw(
    ax: Any,
    picture: BoxedPicture,
    styles: Mapping[str, tuple[str, str]],
    number: int,
    learned: Collection[str],
) -> None:
    image = picture.image.detach().cpu().float().clamp(0, 1)
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ValueError(
            f"picture {number} must be [1 or 3, H, W], got {list(image.shape)}"
        )
    height, width = image.shape[1:]
    pixels = image.permute(1, 2, 0).squeeze(2).numpy()
    ax.imshow(pixels, cmap="gray", vmin=0, vmax=1, extent=(0, width, height, 0))
    for label, boxes in picture.boxes.items():
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(
                f"{label!r} of picture {number} must be [N, 4], got {list(boxes.shape)}"
            )
        notes = picture.notes.get(label, [""] * len(boxes))
        if len(notes) != len(boxes):
            raise ValueError(
                f"{label!r} of picture {number} has {len(boxes)} boxes and {len(notes)} notes"
            )
        colour, dashes = styles[label]
        gid = UNTOLD if label in learned else None
        scale = np.array([width, height, width, height])
        for k, (box, note) in enumerate(
            zip(boxes.detach().cpu().numpy(), notes, strict=True)
        ):
            x1, y1, x2, y2 = box * scale
            corners = [x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1]
            ax.plot(*corners, color="black", lw=2.6, alpha=0.6, gid=gid)
            ax.plot(
                *corners, dashes, color=colour, lw=1.5, gid=gid,
                label=None if k else label,
            )  # fmt: skip
            if note:
                ax.text(
                    x1, y1, note, fontsize=7, va="bottom", color="black", gid=gid,
                    bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.8},
                )  # fmt: skip
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.set_title(picture.title, fontsize=9)
