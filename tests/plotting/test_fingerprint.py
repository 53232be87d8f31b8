"""CI compares fingerprints: they must move with the figure, and must not move with the CPU."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from d2lcompanion.plotting.fingerprint import fingerprint

STEPS = np.arange(50)
LOSS = 3 * 0.9**STEPS


def loss_figure(x=STEPS, y=LOSS, *, floor=True, scale="log", **style):
    fig, ax = plt.subplots()
    plt.close(fig)
    ax.plot(x, y, **{"label": "loss", "color": "C0", "ls": "-", **style})
    if floor:
        ax.axhline(0.01, ls=":")
    ax.set(xlabel="step", ylabel="loss", yscale=scale, title="descent")
    ax.legend()
    return fig


def percent_figure():
    fig = loss_figure()
    fig.axes[0].yaxis.set_major_formatter("{x:.0%}")
    return fig


def axes_changed(**settings):
    fig = loss_figure()
    fig.axes[0].set(**settings)
    return fig


CHANGES = {
    "swapped axes": lambda: loss_figure(LOSS, STEPS),
    "data": lambda: loss_figure(y=LOSS * 1.001),
    "one point between the samples": lambda: loss_figure(y=np.where(STEPS == 3, 9.0, LOSS)),
    "two points swapped": lambda: loss_figure(y=LOSS[[1, 0, *range(2, 50)]]),
    "fewer points": lambda: loss_figure(STEPS[:-1], LOSS[:-1]),
    "colour": lambda: loss_figure(color="C1"),
    "transparency": lambda: loss_figure(alpha=0.5),
    "line style": lambda: loss_figure(ls="--"),
    "line width": lambda: loss_figure(lw=3),
    "marker": lambda: loss_figure(marker="o"),
    "legend entry": lambda: loss_figure(label="cost"),
    "floor removed": lambda: loss_figure(floor=False),
    "scale": lambda: loss_figure(scale="linear"),
    "hidden line": lambda: loss_figure(visible=False),
    "x label": lambda: axes_changed(xlabel="epoch"),
    "y label": lambda: axes_changed(ylabel="error"),
    "title": lambda: axes_changed(title="ascent"),
    "tick format": percent_figure,
    "limits": lambda: axes_changed(xlim=(0, 49)),
    "aspect": lambda: axes_changed(aspect="equal"),
    "logarithmic limits": lambda: axes_changed(ylim=(1e-3, 10)),
    "tick labels": lambda: axes_changed(xticks=[0, 25], xticklabels=["first", "half"]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_what_a_reader_would_see_changes_it(change):
    assert fingerprint(change()) != fingerprint(loss_figure())


def test_equal_figures_have_equal_fingerprints():
    assert fingerprint(loss_figure()) == fingerprint(loss_figure())


def test_drawing_does_not_change_it():
    fig = loss_figure()
    before = fingerprint(fig)
    fig.draw_without_rendering()
    assert fingerprint(fig) == before


def test_rounding_errors_do_not_change_it():
    noise = np.random.default_rng(0).uniform(-1e-14, 1e-14, LOSS.shape)
    assert fingerprint(loss_figure(y=LOSS * (1 + noise))) == fingerprint(loss_figure())


def test_zero_up_to_rounding_is_zero():
    values = np.array([0.3, 1e-3, 2.2e-16, 4.4e-17])
    other = np.array([0.3, 1e-3, 1.1e-16, 8.9e-17])
    first, second = (loss_figure(STEPS[:4], y, floor=False) for y in (values, other))
    assert fingerprint(first) == fingerprint(second)
    assert "(2, 0) (3, 0)" in fingerprint(first)


def test_what_is_small_but_no_rounding_is_kept():
    fig = loss_figure([0, 1, 2], [1.0, 1e-6, 1e-14], scale="linear")
    fig.axes[0].set_ylim(0, 1)
    assert "(0, 1) (1, 1e-06) (2, 0)" in fingerprint(fig)


def test_zero_has_no_sign():
    above, below = (loss_figure([0, 1], [1.0, y], scale="linear") for y in (1e-17, -1e-17))
    assert fingerprint(above) == fingerprint(below)
    zeros = np.zeros((2, 2))
    assert drawn(lambda ax: ax.imshow(-zeros)) == drawn(lambda ax: ax.imshow(zeros))


def test_the_mean_on_a_logarithmic_axis_is_that_of_the_logarithms():
    assert "3 points, mean (1, -3): " in fingerprint(loss_figure([0, 1, 2], [1.0, 1e-2, 1e-7]))


def test_limits_chosen_by_matplotlib_count_on_a_linear_axis():
    wide = loss_figure()
    wide.axes[0].margins(x=0.5)
    assert fingerprint(wide) != fingerprint(loss_figure())
    assert "linear [-24.5, 73.5]" in fingerprint(wide)  # 0 … 49, and half of it on both sides


def test_long_data_are_sampled_at_nine_points_with_both_ends():
    line = next(row for row in fingerprint(loss_figure()).splitlines() if 'line "loss"' in row)
    sampled = [int(pair.split(",")[0]) for pair in line.split("): ")[1][1:].split(") (")]
    assert sampled == [round(k * 49 / 8) for k in range(9)]


def test_the_centre_of_a_contour_is_weighted_by_length():
    # The line x = ¼, cut at y = 0.1 and 0.2: its centre is at ½ all the same.
    y = np.array([0.0, 0.1, 0.2, 1.0])
    x, y = np.meshgrid([0.0, 1.0], y)
    assert "0.25: length 1 centre (0.25, 0.5)" in drawn(
        lambda ax: ax.contour(x, y, x, levels=[0.25])
    )


def test_fewer_digits_forgive_more():
    changed = loss_figure(y=LOSS * 1.00001)
    assert fingerprint(changed, digits=5) != fingerprint(loss_figure(), digits=5)
    assert fingerprint(changed, digits=2) == fingerprint(loss_figure(), digits=2)


def test_it_can_be_read():
    fig, ax = plt.subplots(figsize=(6, 3))
    plt.close(fig)
    ax.plot([0, 1, 2], [1, 0.5, 0.25], color="#0072b2", ls="--", marker="o", label="gap")
    ax.set(xlabel="step", ylabel="f(x) − f*", xlim=(0, 2), ylim=(0, 1))
    assert fingerprint(fig) == (
        "figure 6 × 3 in\n"
        'axes (0, 0); x "step" linear [0, 2]; y "f(x) − f*" linear [0, 1]\n'
        '  line "gap" #0072b2ff -- 1.5 o: 3 points, mean (1, 0.5833): (0, 1) (1, 0.5) (2, 0.25)'
    )


@pytest.mark.parametrize("digits", [0, 6])
def test_digits_out_of_range_are_named(digits):
    with pytest.raises(ValueError, match=f"between 1 and 5, got {digits}"):
        fingerprint(loss_figure(), digits=digits)


# ---------------------------------------------------------------------------- every kind of artist


def drawn(draw):
    fig, ax = plt.subplots()
    plt.close(fig)
    draw(ax)
    return fingerprint(fig)


GRID = np.linspace(-1, 1, 21)
X, Y = np.meshgrid(GRID, GRID)
IMAGE = np.arange(12.0).reshape(3, 4)

KINDS = {
    "scatter": (lambda ax: ax.scatter([1, 2], [3, 4]), lambda ax: ax.scatter([1, 2], [3, 5])),
    "scatter sizes": (
        lambda ax: ax.scatter([1, 2], [3, 4], s=9),
        lambda ax: ax.scatter([1, 2], [3, 4], s=16),
    ),
    "scatter values": (
        lambda ax: ax.scatter([1, 2], [3, 4], c=[0.0, 1.0]),
        lambda ax: ax.scatter([1, 2], [3, 4], c=[1.0, 0.0]),
    ),
    "bars": (lambda ax: ax.bar(["a", "b"], [1, 2]), lambda ax: ax.bar(["a", "b"], [2, 1])),
    "categories": (lambda ax: ax.bar(["a", "b"], [1, 2]), lambda ax: ax.bar(["a", "c"], [1, 2])),
    "histogram": (lambda ax: ax.hist([1, 1, 2]), lambda ax: ax.hist([1, 2, 2])),
    "contours": (lambda ax: ax.contour(X, Y, X**2 + 2 * Y), lambda ax: ax.contour(X, Y, X**2 + Y)),
    "transposed contours": (
        lambda ax: ax.contour(X, Y, (X - 0.3) ** 2 + 4 * Y**2, levels=[0.2, 1]),
        lambda ax: ax.contour(X, Y, (Y - 0.3) ** 2 + 4 * X**2, levels=[0.2, 1]),
    ),
    "contour levels": (
        lambda ax: ax.contour(X, Y, X, levels=[0.1, 0.2]),
        lambda ax: ax.contour(X, Y, X, levels=[0.1, 0.3]),
    ),
    "filled contours": (lambda ax: ax.contourf(X, Y, X), lambda ax: ax.contourf(X, Y, Y)),
    "band": (
        lambda ax: ax.fill_between(GRID, GRID - 1, GRID + 1),
        lambda ax: ax.fill_between(GRID, GRID - 1, GRID + 1.1),
    ),
    "dashes of many lines": (
        lambda ax: ax.hlines([1, 2], 0, 1, linestyles="--"),
        lambda ax: ax.hlines([1, 2], 0, 1, linestyles=":"),
    ),
    "error bars": (
        lambda ax: ax.errorbar([1, 2], [3, 4], yerr=[0.1, 0.2]),
        lambda ax: ax.errorbar([1, 2], [3, 4], yerr=[0.1, 0.3]),
    ),
    "image": (lambda ax: ax.imshow(IMAGE), lambda ax: ax.imshow(IMAGE[::-1])),
    "image extent": (
        lambda ax: ax.imshow(IMAGE),
        lambda ax: ax.imshow(IMAGE, extent=(0, 1, 0, 1)),
    ),
    "colour map": (lambda ax: ax.imshow(IMAGE), lambda ax: ax.imshow(IMAGE, cmap="gray")),
    "mesh": (lambda ax: ax.pcolormesh(IMAGE), lambda ax: ax.pcolormesh(IMAGE + (IMAGE == 5))),
    "text": (lambda ax: ax.text(0.1, 0.2, "here"), lambda ax: ax.text(0.1, 0.2, "there")),
    "text position": (lambda ax: ax.text(0.1, 0.2, "a"), lambda ax: ax.text(0.2, 0.1, "a")),
    "annotation": (
        lambda ax: ax.annotate("a", (0.1, 0.2), (0.5, 0.5)),
        lambda ax: ax.annotate("a", (0.1, 0.3), (0.5, 0.5)),
    ),
    "arrows": (
        lambda ax: ax.quiver([0], [0], [1], [2]),
        lambda ax: ax.quiver([0], [0], [2], [1]),
    ),
    "rectangle": (
        lambda ax: ax.add_patch(plt.Rectangle((0, 0), 0.5, 0.2)),
        lambda ax: ax.add_patch(plt.Rectangle((0, 0), 0.2, 0.5)),
    ),
}


@pytest.mark.parametrize(("first", "second"), KINDS.values(), ids=list(KINDS))
def test_every_kind_of_artist_is_seen(first, second):
    assert drawn(first) == drawn(first)
    assert drawn(first) != drawn(second)


def test_subplots_have_their_places():
    def panels(order):
        fig, axes = plt.subplots(1, 2)
        plt.close(fig)
        for k, ax in zip(order, axes, strict=True):
            ax.plot([0, k])
        return fingerprint(fig)

    assert panels([1, 2]) != panels([2, 1])
    assert "axes (0, 1)" in panels([1, 2])


def test_titles_and_legends_of_the_whole_figure_count():
    fig = loss_figure()
    before = fingerprint(fig)
    fig.suptitle("two runs")
    assert fingerprint(fig) != before
    fig.legend(["loss"], title="runs")
    assert 'legend "runs" "loss"' in fingerprint(fig)


def test_an_artist_without_points_has_no_mean():
    """nan would agree with nothing, not even with itself; a colour bar has such an artist."""
    fig, ax = plt.subplots()
    plt.close(fig)
    fig.colorbar(ax.imshow([[0.0, 1.0], [2.0, 3.0]]), ax=ax)
    assert "0 points" in fingerprint(fig)
    assert "nan" not in fingerprint(fig)
