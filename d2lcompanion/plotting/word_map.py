"""Words as points in the plane, with labels that do not cover each other."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, TypeAlias

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Bbox
from torch import Tensor

from d2lcompanion.plotting.figure import Figure
from d2lcompanion.plotting.style import COLOURS, GREY, STYLE, legend_above, new_figure

Points: TypeAlias = Sequence[Sequence[float]] | Any  # [n, 2]
GAP = 2.0  # points between a mark and its label, and between labels
RADII = (5, 9, 14, 20, 27, 35, 44, 54)  # of the places that are tried, in points
ANGLES = np.linspace(0, 2 * np.pi, 16, endpoint=False)


@rc_context(STYLE)
def plot_word_map(
    groups: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    xlabel: str = "first direction",
    ylabel: str = "second direction",
    height: float = 5.0,
) -> Figure:
    """Each word at its point, a colour a group; labels move to where there is room.

    A label goes to the nearest free place around its point, and a thin line leads back
    where it had to go far. Places are tried in a fixed order: the same points give the
    same figure.

    Args:
        groups: name of the group → word → (x, y).
        xlabel, ylabel: labels of the axes.
        height: in inches.
    Raises:
        ValueError: if there is no word, one stands in two groups, or a point is not two
            finite numbers.
    """
    words = [word for group in groups.values() for word in group]
    if not words or len(set(words)) < len(words):
        raise ValueError(f"words must be one or more and differ, got {words}")
    fig, ax = new_figure(height=height)
    colours = [
        colour
        for group, colour in zip(groups.values(), cycle(COLOURS), strict=False)
        for _ in group
    ]
    points = _points([xy for group in groups.values() for xy in group.values()])
    start = 0
    for name, group in groups.items():
        part = points[start : start + len(group)]
        ax.plot(part[:, 0], part[:, 1], "o", color=colours[start], label=name, ms=4)
        start += len(group)
    ax.margins(0.12)
    ax.set(xlabel=xlabel, ylabel=ylabel, xticks=[], yticks=[])
    legend_above(fig, ax)
    _label(fig, ax, words, points, colours)
    return Figure(fig)


def _label(
    fig: Any, ax: Any, words: list[str], points: Any, colours: list[str]
) -> None:
    """Annotate the points one by one, each beside what is there already."""
    canvas: Any = FigureCanvasAgg(fig)
    canvas.draw()  # lays the axes out, so that sizes on the page are known
    fig.set_layout_engine("none")
    renderer = canvas.get_renderer()
    unit = fig.dpi / 72
    places = ax.transData.transform(points)
    marks = [Bbox.from_bounds(x - 3, y - 3, 6, 6) for x, y in places]
    taken: list[Bbox] = []
    for k, (word, colour) in enumerate(zip(words, colours, strict=True)):
        text = ax.annotate(
            word, points[k], (0, 0), textcoords="offset points", color=colour,
            fontsize=9, ha="center", va="center",
        )  # fmt: skip
        size = text.get_window_extent(renderer)
        offset, box = _free_place(
            places[k], size.width, size.height, unit, ax.bbox, [*taken, *marks]
        )
        text.set_position(tuple(offset))
        taken.append(box)
        if np.hypot(*offset) > RADII[3] + size.width / unit / 2:
            ax.annotate(
                "", points[k], tuple(offset), textcoords="offset points",
                arrowprops={"arrowstyle": "-", "color": GREY, "lw": 0.6},
            )  # fmt: skip


def _free_place(
    place: Any, width: float, height: float, unit: float, frame: Bbox, taken: list[Bbox]
) -> tuple[Any, Bbox]:
    """The first offset, in points, whose box overlaps least: nothing, where there is room."""
    best: tuple[float, Any, Bbox] = (np.inf, np.zeros(2), Bbox.null())
    for radius in RADII:
        for angle in ANGLES:
            direction = np.array([np.cos(angle), np.sin(angle)])
            offset = direction * (radius + np.array([width, height]) / unit / 2)
            x, y = place + offset * unit
            box = Bbox.from_bounds(
                x - width / 2 - GAP, y - height / 2, width + 2 * GAP, height
            )
            outside = (
                0.0 if frame.containsx(box.x0) and frame.containsx(box.x1) else 1e6
            )
            outside += (
                0.0 if frame.containsy(box.y0) and frame.containsy(box.y1) else 1e6
            )
            covered = outside + sum(_overlap(box, other) for other in taken)
            if covered < best[0]:
                best = covered, offset, box
            if covered == 0:
                return offset, box
    return best[1], best[2]


def _overlap(a: Bbox, b: Bbox) -> float:
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    return float(max(width, 0) * max(height, 0))


def _points(points: Points) -> Any:
    """[n, 2] of finite numbers for matplotlib."""
    if isinstance(points, Tensor):
        points = points.detach().cpu().double()
    try:
        found = np.asarray(points, dtype=np.float64)
    except ValueError:
        found = np.empty(0)
    if found.ndim != 2 or found.shape[1] != 2 or not np.isfinite(found).all():
        raise ValueError(f"points must be [n, 2] of finite numbers, got {points}")
    return found
