"""Means, bands and bars are where the data are."""

import numpy as np
import pytest
import torch

from d2lcompanion.plotting.seeds import plot_seeds

X = [1.0, 2.0, 4.0]
Y = torch.tensor([[1.0, 2.0, 3.0], [3.0, 6.0, 5.0]], requires_grad=True)  # 2 seeds
LABELS = {"xlabel": "x", "ylabel": "y"}


def line(figure, label: str):
    (found,) = [line for line in figure.figure.axes[0].lines if line.get_label() == label]
    return found


def test_the_curve_is_the_mean_and_the_band_one_sd():
    figure = plot_seeds({"a": (X, Y)}, **LABELS, log_y=False)
    mean = line(figure, "a (mean ± sd, 2 seeds)")
    np.testing.assert_allclose(mean.get_xydata(), [[1, 2], [2, 4], [4, 4]])
    band = figure.figure.axes[0].collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(4 + np.sqrt(8))
    assert band[:, 1].min() == pytest.approx(2 - np.sqrt(2))


def test_on_a_logarithmic_axis_the_band_ends_at_the_smallest_run():
    wild = [[1.0, 1.0], [1.0, 1.0], [1000.0, 1.0]]
    figure = plot_seeds({"a": ([1, 2], wild)}, **LABELS)
    band = figure.figure.axes[0].collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == 1
    assert figure.figure.axes[0].get_yscale() == "log"
    assert figure.figure.axes[0].get_xscale() == "linear"


def test_theory_takes_the_colour_of_its_curve_and_one_run_has_no_band():
    figure = plot_seeds(
        {"a": (X, Y), "b": (X, [1, 1, 1])},
        **LABELS,
        theory={"a": (X, [2, 4, 4]), "line": ([1, 4], [1, 4])},
        log_x=True,
    )
    ax = figure.figure.axes[0]
    assert ax.get_xscale() == "log"
    assert len(ax.collections) == 1
    assert line(figure, "a (theory)").get_color() == ax.lines[0].get_color()
    assert line(figure, "line").get_linestyle() == "--"
    assert line(figure, "b").get_color() != ax.lines[0].get_color()


def test_points_have_bars():
    figure = plot_seeds({"a": (X, Y)}, **LABELS, points=True)
    (container,) = figure.figure.axes[0].containers
    segments = container[2][0].get_segments()
    np.testing.assert_allclose(segments[1], [[2, 2], [2, 4 + np.sqrt(8)]])
    assert "a (mean ± sd, 2 seeds)" in repr(figure)


def test_medians_have_bars_to_the_lowest_and_the_highest_run():
    wild = [[1.0, 2.0], [3.0, 2.0], [1000.0, 5.0]]
    runs = {"a": ([1, 2], wild), "b": ([1, 2], wild)}
    figure = plot_seeds(runs, **LABELS, points=True, middle="median")
    first, second = figure.figure.axes[0].containers
    np.testing.assert_allclose(first[0].get_xydata(), [[1, 3], [2, 2]])
    np.testing.assert_allclose(first[2][0].get_segments()[0], [[1, 1], [1, 1000]])
    assert first[0].get_marker() != second[0].get_marker()
    assert "a (median, lowest, highest of 3 runs)" in repr(figure)
    with pytest.raises(ValueError, match="middle must be 'mean' or 'median', got 'mode'"):
        plot_seeds(runs, **LABELS, middle="mode")


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({}, "runs must hold at least one curve, got none"),
        ({"a": ([1, 2], [1, 2, 3])}, r"'a' must be .* got shapes \[2\] and \[3\]"),
        ({"a": ([], [])}, r"got shapes \[0\] and \[0\]"),
        ({"a": ([1], np.ones((2, 1, 1)))}, r"got shapes \[1\] and \[2, 1, 1\]"),
    ],
)
def test_curves_that_do_not_fit_are_refused(runs, message):
    with pytest.raises(ValueError, match=message):
        plot_seeds(runs, **LABELS)
