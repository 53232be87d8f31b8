"""Where an optimizer went: points on a graph, paths over contours.

Functions are passed as callables of points, [..., d] → [...], as `Objective` is one.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from d2lcompanion.plotting.figure import Figure
from d2lcompanion.plotting.style import COLOURS, GREY, STYLE, legend_above, new_figure

Value = Callable[[Tensor], Tensor]


@rc_context(STYLE)
def plot_path_1d(
    value: Value,
    points: Tensor | Mapping[str, Tensor],
    xlim: tuple[float, float],
    *,
    xlabel: str = "x",
    ylabel: str = "f(x)",
) -> Figure:
    """The graph of f with the iterates on it, joined in their order; a circle marks the start.

    Args:
        value: f, [..., 1] → [...].
        points: [T+1] or [T+1, 1]; or several, title → points, which then get a panel
            each.
        xlim: the part of the axis to draw. Iterates outside it are not seen.
        xlabel, ylabel: labels of the axes.
    """
    panels = {"": points} if isinstance(points, Tensor) else points
    if not panels:
        raise ValueError("points must hold at least one path, got none")
    fig, axes = new_figure(columns=len(panels), squeeze=False, sharey=True)
    grid = torch.linspace(*xlim, 201, dtype=torch.float64)
    graph = value(grid[:, None])
    span = float(graph.max() - graph.min())
    for (title, path), ax in zip(panels.items(), axes[0], strict=True):
        x = path.detach().cpu().double().reshape(-1, 1)
        y = value(x)
        ax.plot(grid, graph, color=GREY, lw=1.4)
        ax.plot(x[:, 0], y, "-o", color=COLOURS[1], lw=1.0)
        ax.plot(x[:1, 0], y[:1], "o", color=COLOURS[1], ms=9, mfc="none")
        ax.set(xlabel=xlabel, xlim=xlim, title=title)
        ax.xaxis.set_major_locator(MaxNLocator(9 // len(panels) + 1))
        ax.set_ylim(float(graph.min()) - 0.05 * span, float(graph.max()) + 0.05 * span)
    axes[0, 0].set_ylabel(ylabel)
    return Figure(fig)


@rc_context(STYLE)
def plot_paths_2d(
    value: Value,
    paths: Mapping[str, Tensor],
    xlim: tuple[float, float],
    ylim: tuple[float, float],
    *,
    minimizers: Tensor | None = None,
    levels: int | Sequence[float] = 14,
    equal_scales: bool = False,
    xlabel: str = "x₁",
    ylabel: str = "x₂",
) -> Figure:
    """Contours of f with the paths of one or more optimizers; stars mark the minimizers.

    Args:
        value: f, [..., 2] → [...].
        paths: label → [T+1, 2].
        xlim, ylim: the part of the plane to draw.
        minimizers: [m, 2], as an `Objective` lists them.
        levels: the values to draw contours at, rising; or how many, then closer at the
            bottom.
        equal_scales: one unit of x₁ as long as one of x₂, so that right angles look
            right.
        xlabel, ylabel: labels of the axes.
    Raises:
        ValueError: if a path is not [T+1, 2].
    """
    fig, ax = new_figure(height=4.2)
    x, y = (
        torch.linspace(*limits, 201, dtype=torch.float64) for limits in (xlim, ylim)
    )
    z = value(torch.stack(torch.meshgrid(x, y, indexing="xy"), -1))  # [y, x]
    heights = _rising_levels(z, levels) if isinstance(levels, int) else list(levels)
    ax.contour(x, y, z, levels=heights, colors=GREY, linewidths=0.8, alpha=0.7)
    for (label, path), colour in zip(paths.items(), cycle(COLOURS), strict=False):
        if path.ndim != 2 or path.shape[1] != 2:
            raise ValueError(
                f"{label!r} must be [T+1, 2], got shape {list(path.shape)}"
            )
        points = path.detach().cpu().double()
        ax.plot(
            points[:, 0], points[:, 1], "-o", color=colour, label=label, lw=1.2, ms=3.5
        )
        ax.plot(points[:1, 0], points[:1, 1], "o", color=colour, ms=9, mfc="none")
    if minimizers is not None:
        best = minimizers.detach().cpu().double()
        ax.plot(
            best[:, 0],
            best[:, 1],
            "*",
            color=COLOURS[-1],
            ms=13,
            ls="none",
            label="minimum",
        )
    ax.set(xlabel=xlabel, ylabel=ylabel, xlim=xlim, ylim=ylim)
    ax.set_aspect("equal" if equal_scales else "auto")
    legend_above(fig, ax)
    return Figure(fig)


def _rising_levels(z: Tensor, count: int) -> list[float]:
    """Levels min + t^π·(max − min), t evenly spaced in (0, 1): dense where f is low.

    The power is irrational: a level that equals values on the grid, as t³ may, is drawn
    one way or another depending on rounding.
    """
    t = np.linspace(0, 1, count + 2)[1:-1]
    low, high = float(z.min()), float(z.max())
    return list(low + t**np.pi * (high - low))
