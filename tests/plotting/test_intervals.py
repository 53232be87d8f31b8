import numpy as np
import pytest

from d2lcompanion.plotting.intervals import plot_intervals
from d2lcompanion.plotting.style import GREY


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.figure.legends[0].get_texts()]


def test_points_intervals_and_upper_bounds():
    figure = plot_intervals(
        {1: (0.4, 0.5, 0.6), 2: (0.1, 0.2, 0.4), 3: (0.0, 0.0, 0.01)},
        xlabel="n",
        ylabel="share",
        exact={1: 0.5, 2: 0.21, 3: 1e-3},
        references={"2⁻ⁿ": {1: 0.5, 2: 0.25}, "3⁻ⁿ": {1: 1 / 3, 2: 1 / 9}},
    )
    assert set(legend(figure)) == {"exact", "2⁻ⁿ", "3⁻ⁿ", "estimate", "estimate: upper bound"}
    ax = figure.figure.axes[0]
    assert ax.get_yscale() == "log"
    drawn = {line.get_label(): line for line in ax.lines}
    np.testing.assert_array_equal(drawn["exact"].get_ydata(), [0.5, 0.21, 1e-3])
    np.testing.assert_array_equal(drawn["estimate: upper bound"].get_xydata(), [[3, 0.01]])
    assert drawn["2⁻ⁿ"].get_color() == GREY
    assert drawn["2⁻ⁿ"].get_linestyle() != drawn["3⁻ⁿ"].get_linestyle()
    bars = ax.collections[0].get_segments()
    np.testing.assert_allclose(bars[0], [[1, 0.4], [1, 0.6]])
    np.testing.assert_allclose(bars[1], [[2, 0.1], [2, 0.4]])


def test_only_bounds_and_a_linear_axis():
    figure = plot_intervals({1: (0, 0, 0.5)}, xlabel="n", ylabel="p", label="draws", log=False)
    assert legend(figure) == ["draws: upper bound"]
    assert figure.figure.axes[0].get_yscale() == "linear"


def test_what_is_wrong_is_named():
    with pytest.raises(ValueError, match="at least one, got none"):
        plot_intervals({}, xlabel="n", ylabel="p")
    with pytest.raises(ValueError, match=r"must hold, got 0.3, 0.2, 0.4 at 2"):
        plot_intervals({2: (0.3, 0.2, 0.4)}, xlabel="n", ylabel="p")
