"""One style for every figure of the book.

Six colours that stay apart for colour-blind readers, have a contrast of at least 3 : 1
on white, and keep it when a dark page inverts the figure (CSS `invert(1)
hue-rotate(180deg)`). Nothing is filled behind the data: the page shows through.
"""

import math
from typing import Any

import numpy as np
from cycler import cycler
from matplotlib import rc_context
from matplotlib.figure import Figure as MatplotlibFigure

COLOURS = ("#0072b2", "#d55e00", "#2f9c8c", "#5b1a8b", "#3f5200", "#222222")
GREY = "#757575"  # what is there for comparison: floors, contours, theory
WIDTH = 6.0  # inches; on a telephone 390 px wide the labels are then about 9 px high

STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.facecolor": "none",
    "axes.formatter.use_mathtext": False,
    "axes.grid": True,
    "axes.labelsize": 11,
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "figure.facecolor": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11,
    "grid.alpha": 0.3,
    "grid.color": GREY,
    "grid.linewidth": 0.6,
    "image.cmap": "viridis",
    "legend.fontsize": 10,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
}


@rc_context(STYLE)
def new_figure(
    columns: int = 1, rows: int = 1, *, height: float = 3.2, **subplots: Any
) -> tuple[MatplotlibFigure, Any]:
    """An empty figure in the style of the book, 6 inches wide.

    It is not registered with pyplot: it needs no display, no backend, and is never left
    open.

    Args:
        columns, rows: the grid of axes.
        height: of one row, in inches.
        subplots: `sharex`, `sharey`, `width_ratios` … as `Figure.subplots` takes them.
    Returns:
        (figure, axes): one `Axes` for a single cell, else an array of them as from
        `matplotlib.pyplot.subplots`.
    """
    fig = MatplotlibFigure(figsize=(WIDTH, height * rows), layout="constrained")
    return fig, fig.subplots(rows, columns, **subplots)


@rc_context(STYLE)
def legend_above(fig: MatplotlibFigure, axes: Any) -> None:
    """One legend for all axes, above them, where it covers no data; equal labels appear once.

    The figure grows by the height of the legend, so that the axes keep theirs.
    """
    entries: dict[str, Any] = {}
    for ax in np.ravel(axes):
        handles, labels = ax.get_legend_handles_labels()
        entries.update(
            {k: h for h, k in zip(handles, labels, strict=True) if k not in entries}
        )
    if not entries:
        return
    widest = max(map(len, entries)) + 6  # characters, with the line and the gap
    columns = max(1, min(len(entries), 72 // widest))
    rows = math.ceil(len(entries) / columns)
    fig.set_figheight(fig.get_figheight() + 0.2 * rows)
    fig.legend(
        entries.values(), entries.keys(), loc="outside upper left", ncols=columns
    )
