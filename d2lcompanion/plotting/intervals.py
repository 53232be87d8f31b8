"""Estimates with their intervals, beside what is known exactly."""

from collections.abc import Mapping, Sequence
from itertools import cycle

from matplotlib import rc_context
from matplotlib.ticker import MaxNLocator

from d2lcompanion.plotting.figure import Figure
from d2lcompanion.plotting.style import COLOURS, GREY, STYLE, legend_above, new_figure


@rc_context(STYLE)
def plot_intervals(
    estimates: Mapping[float, tuple[float, float, float]],
    *,
    xlabel: str,
    ylabel: str,
    label: str = "estimate",
    exact: Mapping[float, float] | None = None,
    references: Mapping[str, Mapping[float, float]] | None = None,
    log: bool = True,
) -> Figure:
    """Points with their intervals; where the lower end is 0, an arrow down from the upper end.

    Args:
        estimates: x → (low, estimate, high).
        xlabel, ylabel: labels of the axes.
        label: of the estimates.
        exact: x → the true value, drawn as a line with marks.
        references: label → (x → value), drawn dashed.
        log: logarithmic y axis.
    Raises:
        ValueError: if there is no estimate, or not 0 ≤ low ≤ estimate ≤ high.
    """
    if not estimates:
        raise ValueError("estimates must hold at least one, got none")
    for x, (low, middle, high) in estimates.items():
        if not 0 <= low <= middle <= high:
            raise ValueError(
                f"0 ≤ low ≤ estimate ≤ high must hold, got {low}, {middle}, {high} at {x}"
            )
    fig, ax = new_figure()
    if exact:
        ax.plot(*_columns(exact), "-o", color=COLOURS[0], label="exact")
    for (name, values), style in zip(
        (references or {}).items(), cycle(("--", ":", "-.")), strict=False
    ):
        ax.plot(*_columns(values), style, color=GREY, lw=1.4, label=name)
    seen = {x: e for x, e in estimates.items() if e[0] > 0}
    bounds = {x: e[2] for x, e in estimates.items() if e[0] == 0}
    if seen:
        middles = {x: e[1] for x, e in seen.items()}
        ends = [
            [e[1] - e[0] for e in seen.values()],
            [e[2] - e[1] for e in seen.values()],
        ]
        ax.errorbar(
            *_columns(middles), yerr=ends, fmt="s", color=COLOURS[1], capsize=4, mfc="none",
            ms=8, label=label,
        )  # fmt: skip
    if bounds:
        ax.plot(
            *_columns(bounds), "v", color=COLOURS[1], ms=8, mfc="none",
            label=f"{label}: upper bound",
        )  # fmt: skip
    if log:
        ax.set_yscale("log")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel=xlabel, ylabel=ylabel)
    legend_above(fig, ax)
    return Figure(fig)


def _columns(values: Mapping[float, float]) -> tuple[Sequence[float], Sequence[float]]:
    return list(values), list(values.values())
