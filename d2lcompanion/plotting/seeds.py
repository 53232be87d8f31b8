"""What depends on chance, drawn over anything: mean and spread of many runs."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, TypeAlias

import numpy as np
from matplotlib import rc_context
from numpy.typing import NDArray
from torch import Tensor

from d2lcompanion.plotting.figure import Figure
from d2lcompanion.plotting.style import COLOURS, GREY, STYLE, legend_above, new_figure

Numbers: TypeAlias = Sequence[float] | Any  # numbers, an array or a tensor


@rc_context(STYLE)
def plot_seeds(
    runs: Mapping[str, tuple[Numbers, Numbers]],
    *,
    xlabel: str,
    ylabel: str,
    theory: Mapping[str, tuple[Numbers, Numbers]] | None = None,
    log_x: bool = False,
    log_y: bool = True,
    points: bool = False,
) -> Figure:
    """Mean over seeds with a band of ± one standard deviation (ddof 1), over any x.

    On a logarithmic axis the band ends at the smallest run, as mean − sd may be ≤ 0.

    Args:
        runs: label → (x [m], y [seeds, m]); y [m] is one run without chance, no band.
        xlabel, ylabel: labels of the axes, with units.
        theory: label → (x, y), drawn dashed; a label that is also in `runs` takes the
            colour of that curve.
        log_x, log_y: logarithmic axes.
        points: mark the means and draw ± sd as bars, for few x.
    Raises:
        ValueError: if there is no curve, or the shapes of one do not fit.
    """
    if not runs:
        raise ValueError("runs must hold at least one curve, got none")
    fig, ax = new_figure()
    colours = dict(zip(runs, cycle(COLOURS), strict=False))
    for label, (x_values, y_values) in runs.items():
        x, y = _fitting(label, x_values, y_values)
        mean, colour = y.mean(0), colours[label]
        if len(y) == 1:
            ax.plot(x, mean, color=colour, label=label, marker="o" if points else None)
            continue
        sd = y.std(0, ddof=1)
        low = np.maximum(mean - sd, y.min(0)) if log_y else mean - sd
        name = f"{label} (mean ± sd, {len(y)} seeds)"
        if points:
            bars = np.stack([mean - low, sd])
            ax.errorbar(x, mean, bars, fmt="o", color=colour, label=name, capsize=3)
        else:
            ax.plot(x, mean, color=colour, label=name)
            ax.fill_between(x, low, mean + sd, color=colour, alpha=0.2, lw=0)
    for label, (x_values, y_values) in (theory or {}).items():
        x, y = _fitting(label, x_values, y_values)
        name = f"{label} (theory)" if label in runs else label
        ax.plot(x, y[0], "--", color=colours.get(label, GREY), label=name, lw=1.2)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if log_x:
        ax.set_xscale("log")
    if log_y:
        ax.set_yscale("log", nonpositive="clip")
    legend_above(fig, ax)
    return Figure(fig)


def _fitting(
    label: str, x: Numbers, y: Numbers
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x [m] and y [seeds, m] for matplotlib."""
    xs, ys = _array(x), np.atleast_2d(_array(y))
    if xs.ndim != 1 or ys.ndim != 2 or xs.size == 0 or ys.shape[1] != len(xs):
        raise ValueError(
            f"{label!r} must be (x [m], y [seeds, m] or [m]), "
            f"got shapes {list(xs.shape)} and {list(_array(y).shape)}"
        )
    return xs, ys


def _array(numbers: Numbers) -> NDArray[np.float64]:
    if isinstance(numbers, Tensor):
        numbers = numbers.detach().cpu().double()
    return np.asarray(numbers, dtype=np.float64)
