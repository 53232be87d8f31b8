"""What depends on chance, drawn over anything: mean and spread of many runs."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, Literal, NamedTuple, TypeAlias

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
    middle: Literal["mean", "median"] = "mean",
) -> Figure:
    """Mean over seeds with a band of ± one standard deviation (ddof 1), over any x.

    On a logarithmic axis the band ends at the smallest run, as mean − sd may be ≤ 0.
    Medians, for what other work on a machine disturbs, have a band over all runs.

    Args:
        runs: label → (x [m], y [seeds, m]); y [m] is one run without chance, no band.
        xlabel, ylabel: labels of the axes, with units.
        theory: label → (x, y), drawn dashed; a label that is also in `runs` takes the
            colour of that curve.
        log_x, log_y: logarithmic axes.
        points: mark the means and draw ± sd as bars, for few x.
        middle: the mean ± sd, or the median between the lowest and the highest run.
    Raises:
        ValueError: if there is no curve, the shapes of one do not fit, or middle is neither.
    """
    if not runs:
        raise ValueError("runs must hold at least one curve, got none")
    fig, ax = new_figure()
    colours, marks = dict(zip(runs, cycle(COLOURS), strict=False)), cycle("os^D")
    for label, (x_values, y_values) in runs.items():
        x, y = _fitting(label, x_values, y_values)
        colour = colours[label]
        if len(y) == 1:
            ax.plot(x, y[0], color=colour, label=label, marker="o" if points else None)
            continue
        center, low, high, spread = _spread(y, middle, log_y)
        name = f"{label} ({spread})"
        if points:
            mark = next(marks) if middle == "median" else "o"
            bars = np.stack([center - low, high - center])
            ax.errorbar(x, center, bars, fmt=mark, color=colour, label=name, capsize=3)
        else:
            ax.plot(x, center, color=colour, label=name)
            ax.fill_between(x, low, high, color=colour, alpha=0.2, lw=0)
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


class _Spread(NamedTuple):
    """Where a curve runs, between what, and in words."""

    center: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    words: str


def _spread(y: NDArray[np.float64], middle: str, log_y: bool) -> _Spread:
    """Of y [seeds, m]."""
    if middle == "median":
        words = f"median, lowest, highest of {len(y)} runs"
        return _Spread(np.median(y, axis=0), y.min(0), y.max(0), words)
    if middle != "mean":
        raise ValueError(f"middle must be 'mean' or 'median', got {middle!r}")
    mean, sd = y.mean(0), y.std(0, ddof=1)
    low = np.maximum(mean - sd, y.min(0)) if log_y else mean - sd
    return _Spread(mean, low, mean + sd, f"mean ± sd, {len(y)} seeds")


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
