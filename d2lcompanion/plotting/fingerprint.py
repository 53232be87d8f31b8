"""A figure's content as text: stable from one CPU to the next, and different when a reader's is.

Numbers are rounded twice: to 10⁻¹² of the axis' range, so that what is zero up to
rounding reads 0, and then to 4 significant digits. Of long data at most nine points are
written, evenly spaced, with the mean of all. What is not written: positions of labels,
fonts, sizes of ticks, and artists with the gid `UNTOLD`.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import Collection, PathCollection, QuadMesh
from matplotlib.colors import to_hex, to_rgba
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.quiver import Quiver
from matplotlib.spines import Spine
from matplotlib.text import Annotation, Text
from matplotlib.ticker import (
    FixedLocator,
    FormatStrFormatter,
    FuncFormatter,
    PercentFormatter,
    StrMethodFormatter,
)
from numpy.typing import NDArray

Array = NDArray[np.float64]
SAMPLES = 9
UNTOLD = "untold"  # the gid of what differs from one processor to the next
# What an author sets by hand, as against what matplotlib chooses by scale.
CHOSEN_FORMATTERS = (
    FormatStrFormatter,
    FuncFormatter,
    PercentFormatter,
    StrMethodFormatter,
)


def fingerprint(fig: Figure, *, digits: int = 4) -> str:
    """Describe every visible artist of a figure, one line each.

    Args:
        fig: a matplotlib figure; it need not have been drawn.
        digits: significant digits. What is below 10^(−3·digits) of the axis' range
            reads 0.
    Raises:
        ValueError: if digits is not between 1 and 5.
    """
    if not 1 <= digits <= 5:
        raise ValueError(f"digits must be between 1 and 5, got {digits}")
    width, height = fig.get_size_inches()
    lines = [f"figure {width:.4g} × {height:.4g} in"]
    lines += [
        f"  text {_quote(text.get_text())}" for text in fig.texts if text.get_text()
    ]
    lines += [f"  {_legend(legend)}" for legend in fig.legends]
    for ax in _all_axes(fig):
        lines += _axes(ax, digits)
    return "\n".join(lines)


@dataclass(frozen=True)
class _Rounding:
    """Numbers as text: first to a multiple of the quantum, then to significant digits."""

    digits: int
    quantum: float

    def __call__(self, value: float) -> str:
        value = float(value)
        if math.isfinite(value) and self.quantum > 0:
            value = round(value / self.quantum) * self.quantum
        return f"{value + 0.0:.{self.digits}g}"  # −0 + 0 = 0


def _rounding(values: Any, digits: int) -> _Rounding:
    """The rounding that suits an axis or an array with these values."""
    finite = np.asarray(values, dtype=np.float64).ravel()
    finite = finite[np.isfinite(finite)]
    span = float(finite.max() - finite.min()) if finite.size else 0.0
    return _Rounding(
        digits, 10.0 ** math.floor(math.log10(span) - 3 * digits) if span > 0 else 0.0
    )


# -------------------------------------------------------------------------------------------- axes


def _all_axes(fig: Figure) -> Iterator[Axes]:
    """The axes in the order in which they were made, each followed by its insets."""
    for ax in fig.axes:
        yield ax
        yield from (
            c for c in ax.child_axes if isinstance(c, Axes) and c not in fig.axes
        )


def _axes(ax: Axes, digits: int) -> list[str]:
    """A line for the axes, then one for each artist in drawing order."""
    if not ax.get_visible():
        return []
    x, y = _rounding(ax.get_xlim(), digits), _rounding(ax.get_ylim(), digits)
    cell = ax.get_subplotspec()
    where = "" if cell is None else f" ({cell.rowspan.start}, {cell.colspan.start})"
    titles = [ax.get_title(loc) for loc in ("left", "center", "right")]
    head = [f"axes{where}"] + [f"title {_quote(title)}" for title in titles if title]
    if ax.axison:
        head += [
            _axis("x", ax.xaxis, ax.get_xlim(), x),
            _axis("y", ax.yaxis, ax.get_ylim(), y),
        ]
    if ax.get_aspect() != "auto":
        head.append(f"aspect {ax.get_aspect()}")
    furniture = {ax.patch, ax.title, ax._left_title, ax._right_title}  # type: ignore[attr-defined]
    artists = [
        artist
        for artist in ax.get_children()
        if artist.get_visible()
        and artist.get_gid() != UNTOLD
        and artist not in furniture
        and not isinstance(artist, Spine | Axis | Axes)
    ]
    lines = ["; ".join(head)]
    for _, group in groupby(artists, key=_group_key):
        lines.append("  " + _artists(list(group), x, y))
    return lines


def _axis(name: str, axis: Any, limits: tuple[float, float], rounded: _Rounding) -> str:
    """Label, scale, limits, and the tick labels where they are not plain numbers.

    Limits that matplotlib chose on a logarithmic axis follow the smallest number, which
    may be rounding: they are left out.
    """
    low, high = map(rounded, limits)
    automatic = axis.get_scale() == "log" and axis._get_autoscale_on()
    span = "auto" if automatic else f"[{low}, {high}]"
    text = f"{name} {_quote(axis.get_label_text())} {axis.get_scale()} {span}"
    formatter = axis.get_major_formatter()
    ticks: list[str] = []
    if isinstance(axis.get_major_locator(), FixedLocator):
        ticks = formatter.format_ticks(axis.get_majorticklocs())
    elif isinstance(formatter, CHOSEN_FORMATTERS):
        ticks = [formatter(limit) for limit in limits]
    elif categories := getattr(axis.get_units(), "_mapping", None):
        ticks = list(categories)
    return text + (" ticks " + ", ".join(map(_quote, ticks)) if ticks else "")


# ----------------------------------------------------------------------------------------- artists


def _group_key(artist: Any) -> Any:
    """Bars of one colour belong together; every other artist stands alone."""
    if isinstance(artist, Patch):
        return type(artist).__name__, _patch_style(artist)
    return id(artist)


def _artists(group: list[Any], x: _Rounding, y: _Rounding) -> str:
    """One line for an artist, or for a run of equal patches."""
    artist = group[0]
    match artist:
        case Line2D():
            return _line(artist, x, y)
        case ContourSet():
            return _contours(artist, x, y)
        case Collection():
            return _collection(artist, x, y)
        case Patch():
            return _patches(group, x, y)
        case AxesImage():
            return _image(artist, x, y)
        case Text():
            return _text(artist, x, y)
        case Legend():
            return _legend(artist)
        case _:
            return type(artist).__name__


def _line(line: Line2D, x: _Rounding, y: _Rounding) -> str:
    colour = _colour(line.get_color(), line.get_alpha())
    style = f"{colour} {line.get_linestyle()} {line.get_linewidth():.4g} {line.get_marker()}"
    data = np.column_stack(
        [_array(line.get_xdata(orig=False)), _array(line.get_ydata(orig=False))]
    )
    return f"line {_name(line)} {style}: {_points(data, [x, y], _logarithmic(line))}"


def _collection(collection: Collection, x: _Rounding, y: _Rounding) -> str:
    """Scatter by its points, colour meshes by their values, anything else by its outline."""
    style = " ".join(
        _few([_colour(c) for c in colours])
        for colours in (collection.get_facecolor(), collection.get_edgecolor())
    )
    style += f" {_few([f'{w:.4g}' for w in np.atleast_1d(collection.get_linewidth())])}"
    style += f" {_few([_dashes(s) for s in collection.get_linestyle()])}"
    values = (
        "" if collection.get_array() is None else " " + _mapped(collection, x.digits)
    )
    if isinstance(collection, PathCollection):
        style += f" sizes {_few([f'{s:.4g}' for s in collection.get_sizes()])}"
        data = _array(collection.get_offsets())
    elif isinstance(collection, QuadMesh):
        data = _array(collection.get_coordinates()).reshape(-1, 2)
    elif isinstance(collection, Quiver):
        data = np.column_stack([_array(v) for v in (collection.X, collection.Y)])
        arrows = np.column_stack(
            [_array(v).ravel() for v in (collection.U, collection.V)]
        )
        own = _rounding(arrows, x.digits)
        values = f" arrows {_points(arrows, [own, own])} at"
    else:
        paths = [_array(path.vertices) for path in collection.get_paths()]
        data = np.concatenate(paths) if paths else np.empty((0, 2))
    kind = type(collection).__name__
    return f"{kind} {_name(collection)} {style}{values}: {_points(data, [x, y])}"


def _contours(contours: ContourSet, x: _Rounding, y: _Rounding) -> str:
    """Each level with the length and the centre of its curves, which move with the function."""
    colours = _few(
        [_colour(c) for c in (*contours.get_facecolor(), *contours.get_edgecolor())]
    )
    rounded, levels = _rounding(contours.levels, x.digits), list(contours.levels)
    parts = []
    for k in _sample(
        len(contours.get_paths())
    ):  # between two levels where contours are filled
        path = contours.get_paths()[k].deepcopy()
        # Simplified, a curve may close or not by its last bit.
        path.should_simplify = False
        pieces = path.to_polygons(closed_only=False)
        steps = np.concatenate(
            [np.empty((0, 2)), *(np.diff(_array(p), axis=0) for p in pieces)]
        )
        middles = np.concatenate(
            [np.empty((0, 2)), *((_array(p)[1:] + _array(p)[:-1]) / 2 for p in pieces)]
        )
        lengths = np.hypot(steps[:, 0], steps[:, 1])
        if total := float(lengths.sum()):
            centre = lengths @ middles / total
            length = _Rounding(x.digits, 0.0)(total)
            where = f"length {length} centre ({x(centre[0])}, {y(centre[1])})"
        else:
            where = "nothing"
        parts.append(f"{rounded(levels[k])}: {where}")
    return f"contours {colours}, {len(levels)} levels: " + "; ".join(parts)


def _patches(patches: list[Patch], x: _Rounding, y: _Rounding) -> str:
    """Bars and other shapes by their bounding boxes (x₁, y₁, x₂, y₂)."""
    boxes = [p.get_path().get_extents(p.get_patch_transform()).extents for p in patches]
    kind = type(patches[0]).__name__
    style = _patch_style(patches[0])
    return f"{kind} {style}: {_points(_array(boxes).reshape(-1, 4), [x, y, x, y])}"


def _patch_style(patch: Patch) -> str:
    face, edge = _colour(patch.get_facecolor()), _colour(patch.get_edgecolor())
    style = f"{face} {edge} {patch.get_linestyle()} {patch.get_linewidth():.4g}"
    return f"{_name(patch)} {style} {patch.get_hatch() or ''}".rstrip()


def _image(image: AxesImage, x: _Rounding, y: _Rounding) -> str:
    left, right, bottom, top = image.get_extent()
    extent = f"[{x(left)}, {x(right)}] × [{y(bottom)}, {y(top)}]"
    return f"image {_name(image)} {extent} {image.get_interpolation()} {_mapped(image, x.digits)}"


def _mapped(artist: Any, digits: int) -> str:
    """Numbers that are shown as colours: shape, mean, samples, colour map, range."""
    values = _array(artist.get_array())
    rounded = _rounding(values, digits)
    flat = values.ravel()
    some = ", ".join(rounded(flat[k]) for k in _sample(flat.size))
    colours = f"{artist.get_cmap().name} [{', '.join(map(rounded, artist.get_clim()))}]"
    if values.ndim == 3:  # RGB: no colour map takes part
        colours = "RGB"
    mean = rounded(float(np.nanmean(flat))) if flat.size else "nan"
    return f"{colours} values {' × '.join(map(str, values.shape))} mean {mean}: {some}"


def _text(text: Text, x: _Rounding, y: _Rounding) -> str:
    spot = text.xy if isinstance(text, Annotation) else text.get_position()
    colour = _colour(text.get_color(), text.get_alpha())
    return f"text {_quote(text.get_text())} {colour} at ({x(spot[0])}, {y(spot[1])})"


def _legend(legend: Legend) -> str:
    title = legend.get_title().get_text()
    entries = [_quote(text.get_text()) for text in legend.get_texts()]
    return f"legend {_quote(title) + ' ' if title else ''}" + ", ".join(entries)


# ------------------------------------------------------------------------------------------- parts


def _points(
    data: Array, roundings: list[_Rounding], logarithmic: list[bool] | None = None
) -> str:
    """Number of points, their mean (of log₁₀ on logarithmic axes), and up to nine of them."""
    if not len(data):  # as the dividers of a colour bar, unless they are asked for
        return "0 points"
    means = []
    for k, rounded in enumerate(roundings):
        column = data[:, k][np.isfinite(data[:, k])]
        if logarithmic and logarithmic[k]:  # what counts as 0 counts as the quantum
            column = np.log10(np.maximum(column, max(rounded.quantum, 1e-300)))
            rounded = _Rounding(rounded.digits, 10.0**-rounded.digits)
        means.append(rounded(float(column.mean())) if column.size else "nan")
    some = (
        "(" + ", ".join(r(v) for r, v in zip(roundings, data[k], strict=True)) + ")"
        for k in _sample(len(data))
    )
    return f"{len(data)} points, mean ({', '.join(means)}): " + " ".join(some)


def _logarithmic(line: Line2D) -> list[bool]:
    ax = line.axes
    return [ax is not None and scale == "log" for scale in _scales(ax)]


def _scales(ax: Any) -> tuple[str, str]:
    return (
        (ax.get_xscale(), ax.get_yscale()) if ax is not None else ("linear", "linear")
    )


def _sample(n: int) -> list[int]:
    """Up to nine evenly spaced indices of n, first and last among them."""
    return (
        sorted({round(k) for k in np.linspace(0, n - 1, min(n, SAMPLES))}) if n else []
    )


def _few(words: list[str]) -> str:
    """Up to nine words, and one where all are equal."""
    distinct = (
        [words[0]] if len(set(words)) == 1 else [words[k] for k in _sample(len(words))]
    )
    return "/".join(distinct) or "none"


def _array(values: Any) -> Array:
    return np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)


def _colour(colour: Any, alpha: float | None = None) -> str:
    return to_hex(to_rgba(colour, alpha), keep_alpha=True)


def _name(artist: Any) -> str:
    """The label, unless matplotlib invented it."""
    label = str(artist.get_label())
    return '""' if label.startswith("_") else _quote(label)


def _dashes(style: Any) -> str:
    """A line style (offset, (on, off, …)) as text; solid has no dashes."""
    _, pattern = style
    return (
        "-"
        if pattern is None
        else "dash " + ",".join(f"{length:.3g}" for length in pattern)
    )


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
