"""Curves over steps: how fast a quantity falls, beside what theory allows."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, TypeAlias

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from torch import Tensor

from d2lcompanion.plotting.figure import Figure
from d2lcompanion.plotting.style import COLOURS, GREY, STYLE, legend_above, new_figure

Curve: TypeAlias = Sequence[float] | Any  # numbers, an array or a tensor, [T+1]


@rc_context(STYLE)
def plot_convergence(
    curves: Mapping[str, Curve],
    *,
    ylabel: str,
    xlabel: str = "step",
    floor: float | None = None,
    log: bool = True,
    bounds: Mapping[str, Curve] | None = None,
) -> Figure:
    """Curves over steps 0, 1, 2, …

    Args:
        curves: label → [T+1]; the lengths may differ. Up to 15 points are marked.
        ylabel: what is measured, with its unit.
        xlabel: what is counted.
        floor: a value that no curve can go below, drawn as a dotted line.
        log: logarithmic y axis. The line to a value ≤ 0 then leaves at the bottom.
        bounds: label → [T+1], what theory says, drawn dashed; a label that is also in
            `curves` takes the colour of that curve.
    Raises:
        ValueError: if there is no curve, or one is not a sequence of numbers.
    """
    _require_curves(curves)
    fig, ax = new_figure()
    colours = dict(zip(curves, cycle(COLOURS), strict=False))
    for label, curve in curves.items():
        y = _numbers(label, curve)
        marker = "o" if len(y) <= 15 else None
        ax.plot(np.arange(len(y)), y, color=colours[label], label=label, marker=marker)
    for label, bound in (bounds or {}).items():
        y = _numbers(label, bound)
        name = f"{label} (theory)" if label in curves else label
        ax.plot(
            np.arange(len(y)),
            y,
            "--",
            color=colours.get(label, GREY),
            label=name,
            lw=1.2,
        )
    _finish(ax, xlabel, ylabel, floor, log)
    legend_above(fig, ax)
    return Figure(fig)


@rc_context(STYLE)
def plot_bands(
    runs: Mapping[str, Curve],
    *,
    ylabel: str,
    xlabel: str = "step",
    floor: float | None = None,
    log: bool = False,
    first: int = 0,
    every: int = 1,
) -> Figure:
    """Mean over seeds, with a band of ± one standard deviation (ddof 1).

    Args:
        runs: label → [seeds, m], two or more seeds.
        ylabel, xlabel, floor, log: as in `plot_convergence`.
        first, every: column k was measured at first + k · every.
    Raises:
        ValueError: if there is no entry, or one has fewer than two seeds.
    """
    _require_curves(runs)
    fig, ax = new_figure()
    for (label, seeds), colour in zip(runs.items(), cycle(COLOURS), strict=False):
        y = _array(seeds)
        if y.ndim != 2 or len(y) < 2 or y.shape[1] == 0:
            raise ValueError(
                f"{label!r} must be [seeds ≥ 2, m], got shape {list(y.shape)}"
            )
        mean, sd = y.mean(0), y.std(0, ddof=1)
        steps = first + every * np.arange(y.shape[1])
        ax.plot(steps, mean, color=colour, label=f"{label} (mean ± sd, {len(y)} seeds)")
        ax.fill_between(steps, mean - sd, mean + sd, color=colour, alpha=0.2, lw=0)
    _finish(ax, xlabel, ylabel, floor, log)
    legend_above(fig, ax)
    return Figure(fig)


def _finish(ax: Axes, xlabel: str, ylabel: str, floor: float | None, log: bool) -> None:
    if log:
        ax.set_yscale("log", nonpositive="clip")
    if floor is not None:
        ax.axhline(floor, color=GREY, ls=":", lw=1.5, label="floor")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel=xlabel, ylabel=ylabel)


def _require_curves(curves: Mapping[str, Curve]) -> None:
    if not curves:
        raise ValueError("curves must hold at least one curve, got none")


def _numbers(label: str, curve: Curve) -> NDArray[np.float64]:
    y = _array(curve)
    if y.ndim != 1 or len(y) == 0:
        raise ValueError(
            f"{label!r} must be a sequence [T+1], got shape {list(y.shape)}"
        )
    return y


def _array(curve: Curve) -> NDArray[np.float64]:
    """Numbers for matplotlib, from any device and dtype; the gradient stays behind."""
    if isinstance(curve, Tensor):
        curve = curve.detach().cpu().double()
    return np.asarray(curve, dtype=np.float64)
