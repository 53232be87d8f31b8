import numpy as np
import pytest
import torch

from d2lcompanion.plotting.segments import plot_segments


def test_a_panel_for_each_segment_with_its_chord():
    figure = plot_segments({"bowl": [4.0, 0.0, 2.0], "dome": torch.tensor([0.0, 1.0])}, ylabel="f")
    first, second = figure.figure.axes
    assert (first.get_title(), second.get_title()) == ("bowl", "dome")
    np.testing.assert_array_equal(first.lines[0].get_xdata(), [0, 0.5, 1])
    np.testing.assert_array_equal(first.lines[0].get_ydata(), [4, 0, 2])
    np.testing.assert_array_equal(first.lines[1].get_ydata(), [4, 2])
    assert first.get_ylabel() == "f"
    labels = [text.get_text() for text in figure.figure.legends[0].get_texts()]
    assert labels == ["loss on the way", "chord of the ends"]


def test_several_runs_are_mean_and_standard_deviation():
    runs = torch.tensor([[1.0, 2.0, 0.0], [3.0, 2.0, 0.0], [5.0, 5.0, 0.0]])
    [ax] = plot_segments({"": runs}, ylabel="f").figure.axes
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [3, 3, 0])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [3, 0])
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose([band.min(), band.max()], [0, 5])


@pytest.mark.parametrize("values", [[1.0], [[1.0, 2.0]], torch.zeros(2, 2, 2)])
def test_shapes_are_checked(values):
    with pytest.raises(ValueError, match=r"'x' must be \[T ≥ 2\] or \[runs ≥ 2, T ≥ 2\], got"):
        plot_segments({"x": values}, ylabel="f")


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="panels must hold at least one segment"):
        plot_segments({}, ylabel="f")
