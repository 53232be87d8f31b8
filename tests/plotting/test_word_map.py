"""The labels of a map of words: all there, none covering another, the same at every call."""

import itertools

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from d2lcompanion.plotting.word_map import plot_word_map


def crowded(seed: int, count: int = 36) -> dict[str, dict[str, list[float]]]:
    """Three groups of words, each a heap."""
    generator = torch.Generator().manual_seed(seed)
    xy = 0.15 * torch.randn(count, 2, generator=generator)
    xy += torch.tensor([[0.0, 0], [1, 0], [0.4, 1]]).repeat_interleave(count // 3, 0)
    names = [f"{['spacecraft', 'language', 'war'][k % 3]}{k}" for k in range(count)]
    size = count // 3
    return {
        f"group {g}": dict(
            zip(names[g * size :][:size], xy[g * size :][:size].tolist(), strict=True)
        )
        for g in range(3)
    }


def boxes(figure) -> dict:
    fig = figure.figure
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    renderer = canvas.get_renderer()
    return {t.get_text(): t.get_window_extent(renderer) for t in fig.axes[0].texts if t.get_text()}


@pytest.mark.parametrize("seed", range(4))
def test_labels_do_not_cover_each_other_and_stay_inside(seed):
    groups = crowded(seed)
    figure = plot_word_map(groups)
    found = boxes(figure)
    assert set(found) == {word for group in groups.values() for word in group}
    for (a, first), (b, second) in itertools.combinations(found.items(), 2):
        width = min(first.x1, second.x1) - max(first.x0, second.x0)
        height = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert width <= 0 or height <= 0.5, (a, b)
    frame = figure.figure.axes[0].bbox
    assert all(frame.x0 - 1 <= b.x0 and b.x1 <= frame.x1 + 1 for b in found.values())


def test_one_figure_for_one_set_of_points():
    first, second = plot_word_map(crowded(0)), plot_word_map(crowded(0))
    assert first.svg() == second.svg()
    assert 'text "spacecraft0"' in repr(first)
    assert 'legend "group 0", "group 1", "group 2"' in repr(first)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"words must be one or more and differ, got \[\]"):
        plot_word_map({})
    with pytest.raises(ValueError, match=r"differ, got \['a', 'a'\]"):
        plot_word_map({"x": {"a": [0, 0]}, "y": {"a": [1, 1]}})
    with pytest.raises(ValueError, match=r"points must be \[n, 2\] of finite numbers, got"):
        plot_word_map({"x": {"a": [0, float("nan")]}})
    with pytest.raises(ValueError, match=r"points must be \[n, 2\] of finite numbers"):
        plot_word_map({"x": {"a": [0, 1], "b": [1]}})
