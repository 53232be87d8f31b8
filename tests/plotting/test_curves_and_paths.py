import numpy as np
import pytest
import torch

from d2lcompanion.plotting.convergence import plot_bands, plot_convergence
from d2lcompanion.plotting.style import COLOURS, GREY
from d2lcompanion.plotting.trajectories import plot_path_1d, plot_paths_2d


def lines(figure, axes: int = 0) -> dict[str, object]:
    return {line.get_label(): line for line in figure.figure.axes[axes].lines}


def bowl(x: torch.Tensor) -> torch.Tensor:
    return x.square().sum(-1)


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.figure.legends[0].get_texts()]


def test_convergence_draws_curves_theory_and_floor():
    gaps = torch.tensor([1.0, 0.5, 0.25])
    figure = plot_convergence(
        {"descent": gaps, "Newton": [1.0, 1e-9]},
        ylabel="gap",
        floor=1e-3,
        bounds={"descent": [2.0, 1.0, 0.5], "1/k": [1, 1 / 2, 1 / 3]},
    )
    drawn = lines(figure)
    assert legend(figure) == ["descent", "Newton", "descent (theory)", "1/k", "floor"]
    np.testing.assert_array_equal(drawn["descent"].get_xdata(), [0, 1, 2])
    np.testing.assert_array_equal(drawn["descent"].get_ydata(), gaps)
    assert drawn["descent"].get_color() == drawn["descent (theory)"].get_color() == COLOURS[0]
    assert drawn["1/k"].get_color() == GREY
    assert drawn["1/k"].get_linestyle() == "--"
    assert figure.figure.axes[0].get_yscale() == "log"
    assert figure.figure.axes[0].get_xlabel() == "step"


def test_tensors_of_any_dtype_are_drawn_without_their_gradient():
    wants_gradients = torch.tensor([1.0, 0.5], requires_grad=True)
    half = torch.tensor([1.0, 0.5], dtype=torch.bfloat16)
    drawn = lines(plot_convergence({"a": wants_gradients, "b": half}, ylabel="gap"))
    np.testing.assert_array_equal(drawn["a"].get_ydata(), [1, 0.5])
    np.testing.assert_array_equal(drawn["b"].get_ydata(), [1, 0.5])
    bands = plot_bands({"a": torch.stack([half, half])}, ylabel="gap")
    np.testing.assert_array_equal(bands.figure.axes[0].lines[0].get_ydata(), [1, 0.5])


def test_colours_start_again_where_there_are_more_curves():
    drawn = lines(plot_convergence({str(k): [1.0, 0.5] for k in range(8)}, ylabel="gap"))
    colours = [drawn[str(k)].get_color() for k in range(8)]
    assert colours == [*COLOURS, *COLOURS[:2]]


def test_convergence_without_floor_differs():
    with_floor, without = (
        plot_convergence({"a": [1.0, 0.5]}, ylabel="gap", floor=f) for f in (0.1, None)
    )
    assert repr(with_floor) != repr(without)


def test_a_gap_of_zero_leaves_at_the_bottom_of_a_logarithmic_axis():
    figure = plot_convergence({"Newton": [1.0, 0.0], "descent": [1.0, 0.5]}, ylabel="gap")
    assert figure.figure.axes[0].get_ylim()[0] > 0
    assert "(0, 1) (1, 0)" in repr(figure)


def test_long_legends_get_a_higher_figure_and_leave_the_axes_alone():
    labels = [f"a rather long label of curve {k}" for k in range(6)]
    one, six = (
        plot_convergence({label: [1.0, 0.5] for label in labels[:n]}, ylabel="gap") for n in (1, 6)
    )
    heights = []
    for figure in (one, six):
        figure.figure.draw_without_rendering()
        box = figure.figure.axes[0].get_window_extent()
        heights.append(box.height)
        assert figure.figure.legends[0].get_window_extent().y0 >= box.y1
        assert figure.figure.legends[0].get_window_extent().x1 <= figure.figure.bbox.width
    assert heights[1] == pytest.approx(heights[0], rel=0.1)


def test_bands_stand_where_they_were_measured():
    figure = plot_bands({"a": torch.rand(3, 4)}, ylabel="loss", first=1, every=10)
    line = figure.figure.axes[0].lines[0]
    assert line.get_xdata().tolist() == [1, 11, 21, 31]


def test_bands_are_mean_and_standard_deviation():
    runs = torch.tensor([[1.0, 2.0], [3.0, 2.0], [5.0, 5.0]])
    figure = plot_bands({"sgd": runs}, ylabel="loss", floor=0.5)
    mean = lines(figure)["sgd (mean ± sd, 3 seeds)"].get_ydata()
    np.testing.assert_allclose(mean, [3.0, 3.0])
    band = figure.figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose([band.min(), band.max()], [1.0, 5.0])  # 3 ± 2, 3 ± √3


def test_path_1d_has_a_panel_for_each_path():
    figure = plot_path_1d(
        bowl, {"η = 0.1": torch.tensor([[2.0], [1.0]]), "η = 1": torch.tensor([2.0, -2.0])}, (-3, 3)
    )
    first, second = figure.figure.axes
    assert (first.get_title(), second.get_title()) == ("η = 0.1", "η = 1")
    np.testing.assert_allclose(first.lines[1].get_ydata(), [4, 1])
    assert second.get_xlim() == (-3, 3)
    np.testing.assert_allclose(first.lines[0].get_ydata(), first.lines[0].get_xdata() ** 2)


def test_path_1d_takes_one_tensor():
    figure = plot_path_1d(bowl, torch.tensor([1.0, 0.5]), (-1, 1), ylabel="x²")
    assert figure.figure.axes[0].get_ylabel() == "x²"


def test_paths_2d_over_contours():
    path = torch.tensor([[1.0, 1.0], [0.0, 0.5]])
    figure = plot_paths_2d(
        bowl, {"descent": path}, (-2, 2), (-1, 1), minimizers=torch.zeros(1, 2), levels=[1.0]
    )
    assert legend(figure) == ["descent", "minimum"]
    np.testing.assert_array_equal(lines(figure)["descent"].get_xydata(), path)
    circle = figure.figure.axes[0].collections[0].get_paths()[0].vertices
    np.testing.assert_allclose(np.hypot(*circle.T), 1, atol=1e-3)


def test_paths_2d_do_not_swap_the_axes():
    def valley(x: torch.Tensor) -> torch.Tensor:
        return x[..., 0] ** 2 + 9 * x[..., 1] ** 2

    figure = plot_paths_2d(valley, {}, (-2, 2), (-2, 2), levels=[1.0], equal_scales=True)
    ellipse = figure.figure.axes[0].collections[0].get_paths()[0].vertices
    np.testing.assert_allclose(ellipse.max(0), [1, 1 / 3], atol=1e-2)
    assert figure.figure.axes[0].get_aspect() == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot_convergence({}, ylabel="gap"), "at least one curve, got none"),
        (
            lambda: plot_convergence({"a": [[1.0]]}, ylabel="gap"),
            r"'a' must be .* got shape \[1, 1\]",
        ),
        (lambda: plot_bands({"a": [[1.0]]}, ylabel="gap"), r"'a' must be .* got shape \[1, 1\]"),
        (lambda: plot_path_1d(bowl, {}, (0, 1)), "at least one path, got none"),
        (
            lambda: plot_paths_2d(bowl, {"a": torch.zeros(3)}, (0, 1), (0, 1)),
            r"'a' must be \[T\+1, 2\], got shape \[3\]",
        ),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
