"""Small images side by side: views of them, or what a network made of them."""

from collections.abc import Mapping

from matplotlib import rc_context
from torch import Tensor

from d2lcompanion.plotting.figure import Figure
from d2lcompanion.plotting.style import STYLE, new_figure


@rc_context(STYLE)
def plot_image_grid(columns: Mapping[str, Tensor], *, digits: int = 4) -> Figure:
    """One row for each image, one column for each thing that was done to it.

    Args:
        columns: title → [n, 1, H, W], 0 is white and 1 is black, or [n, 3, H, W], red,
            green and blue from 0, dark, to 1; what lies outside is cut.
        digits: of the fingerprint; fewer for what training made.
    Raises:
        ValueError: if there is no column, or the shapes differ.
    """
    shapes = {tuple(images.shape) for images in columns.values()}
    shape = next(iter(shapes), ())
    if len(shapes) != 1 or len(shape) != 4 or shape[1] not in (1, 3):
        raise ValueError(
            f"columns must be [n, 1 or 3, H, W], all alike, got {list(shapes)}"
        )
    count = len(next(iter(columns.values())))
    fig, axes = new_figure(len(columns), count, height=0.95, squeeze=False)
    for across, (title, images) in enumerate(columns.items()):
        for down, image in enumerate(images.detach().cpu().float()):
            ax = axes[down, across]
            pixels = image.clamp(0, 1).permute(1, 2, 0).squeeze(2).numpy()
            ax.imshow(pixels, cmap="gray_r", vmin=0, vmax=1)
            ax.set_axis_off()
        axes[0, across].set_title(title, fontsize=9)
    return Figure(fig, digits=digits)
