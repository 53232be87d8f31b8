"""A grid of images holds what it was given, in its places."""

import pytest
import torch

from d2lcompanion.plotting.image_grid import plot_image_grid


def test_every_image_stands_in_its_row_and_column():
    columns = {name: torch.rand(2, 1, 4, 4) for name in ("first", "second", "third")}
    axes = plot_image_grid(columns).figure.axes
    assert len(axes) == 6
    for place, ax in enumerate(axes):
        down, across = divmod(place, 3)
        drawn = torch.tensor(ax.images[0].get_array().data)
        assert torch.equal(drawn, list(columns.values())[across][down, 0])
    assert [ax.get_title() for ax in axes[:3]] == list(columns)


def test_what_lies_outside_is_cut_and_gradients_stay_behind():
    x = torch.full((1, 1, 2, 2), 3.0, requires_grad=True)
    (ax,) = plot_image_grid({"one": x}).figure.axes
    assert float(ax.images[0].get_array().max()) == 1


def test_colours_stay_what_they_are():
    x = torch.rand(1, 3, 4, 5)
    (ax,) = plot_image_grid({"one": x}).figure.axes
    drawn = torch.tensor(ax.images[0].get_array().data)
    assert torch.equal(drawn, x[0].permute(1, 2, 0))


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"a": torch.zeros(2, 2)},
        {"a": torch.zeros(1, 2, 2, 2)},
        {"a": torch.zeros(1, 1, 2, 2), "b": torch.zeros(2, 1, 2, 2)},
    ],
)
def test_what_does_not_fit_is_named(columns):
    with pytest.raises(ValueError, match=r"columns must be \[n, 1 or 3, H, W\], all alike, got"):
        plot_image_grid(columns)
