"""A function along straight lines: the graph against its chord."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from matplotlib import rc_context
from torch import Tensor

from d2lcompanion.plotting.figure import Figure
from d2lcompanion.plotting.style import COLOURS, GREY, STYLE, legend_above, new_figure

Values: TypeAlias = Sequence[float] | Any  # [T] or [runs, T]


@rc_context(STYLE)
def plot_segments(
    panels: Mapping[str, Values], *, ylabel: str, xlabel: str = "way from one end"
) -> Figure:
    """Values at T evenly spaced points from one end to the other, with the chord dashed.

    Args:
        panels: title → [T], or [runs, T] of two or more runs, of which mean and a band
            of ± one standard deviation (ddof 1) are drawn; the chord is that of the
            mean. Every panel has a scale of its own.
        ylabel: what is measured.
        xlabel: of every panel; 0 is one end and 1 the other.
    Raises:
        ValueError: if there is no panel, or one is neither [T ≥ 2] nor [runs ≥ 2, T ≥
            2].
    """
    if not panels:
        raise ValueError("panels must hold at least one segment, got none")
    fig, axes = new_figure(columns=len(panels), squeeze=False)
    for (title, values), ax in zip(panels.items(), axes[0], strict=True):
        if isinstance(values, Tensor):
            values = values.detach().cpu().double()
        y = np.asarray(values, dtype=np.float64)
        if y.ndim not in (1, 2) or y.shape[-1] < 2 or (y.ndim == 2 and len(y) < 2):
            raise ValueError(
                f"{title!r} must be [T ≥ 2] or [runs ≥ 2, T ≥ 2], got {list(y.shape)}"
            )
        t = np.linspace(0, 1, y.shape[-1])
        mean = y if y.ndim == 1 else y.mean(0)
        name = "loss on the way" if y.ndim == 1 else "loss on the way, mean ± sd"
        ax.plot(t, mean, color=COLOURS[0], label=name)
        if y.ndim == 2:
            sd = y.std(0, ddof=1)
            ax.fill_between(t, mean - sd, mean + sd, color=COLOURS[0], alpha=0.2, lw=0)
        ax.plot(
            [0, 1], mean[[0, -1]], "--o", color=GREY, lw=1.2, label="chord of the ends"
        )
        ax.set(title=title, xlabel=xlabel)
    axes[0, 0].set_ylabel(ylabel)
    legend_above(fig, axes)
    return Figure(fig)
