"""Boxes are drawn where they are, over the picture they belong to."""

import pytest
import torch

from d2lcompanion.plotting.boxes import BoxedPicture, plot_boxes
from d2lcompanion.plotting.fingerprint import fingerprint


def picture(**changes):
    boxes = {"true": torch.tensor([[0.1, 0.2, 0.5, 0.6], [0, 0, 1, 1]]), "found": torch.zeros(0, 4)}
    return BoxedPicture(torch.rand(3, 20, 40), boxes, "one")._replace(**changes)


def test_corners_are_fractions_of_width_and_height():
    figure = plot_boxes([picture(notes={"true": ["a", "b"]}), picture(image=torch.ones(1, 8, 8))])
    ax = figure.figure.axes[0]
    bright = [line for line in ax.lines if line.get_color() != "black"]
    assert len(bright) == 2
    x, y = bright[0].get_data()
    assert (min(x), max(x)) == pytest.approx((4, 20))
    assert (min(y), max(y)) == pytest.approx((4, 12))
    assert [t.get_text() for t in ax.texts] == ["a", "b"]
    assert ax.get_xlim() == (0, 40)
    assert ax.get_ylim() == (20, 0)  # y down
    assert len(figure.figure.axes) == 2
    (legend,) = figure.figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ["true"]


def test_groups_keep_their_colour_over_pictures():
    box = torch.tensor([[0.1, 0.1, 0.2, 0.2]])
    figure = plot_boxes([picture(boxes={"a": box, "b": box}), picture(boxes={"b": box})], columns=1)
    first, second = figure.figure.axes
    assert second.lines[1].get_color() == first.lines[3].get_color() != first.lines[1].get_color()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"image": torch.rand(2, 4, 4)}, r"picture 0 must be \[1 or 3, H, W\], got \[2, 4, 4\]"),
        ({"boxes": {"a": torch.zeros(4)}}, r"'a' of picture 0 must be \[N, 4\], got \[4\]"),
        ({"notes": {"true": ["x"]}}, "'true' of picture 0 has 2 boxes and 1 notes"),
    ],
)
def test_bad_pictures_are_named(bad, message):
    with pytest.raises(ValueError, match=message):
        plot_boxes([picture(**bad)])
    with pytest.raises(ValueError, match="at least one"):
        plot_boxes([])


def test_what_was_learned_is_drawn_and_not_told():
    true = torch.tensor([[0.1, 0.1, 0.2, 0.2]])
    drawn = [
        plot_boxes(
            [BoxedPicture(torch.ones(1, 8, 8), {"true": true + moved, "found": true + found}, "",
                          {"found": ["coin"]})],
            learned=["found"],
        ).figure
        for moved, found in ((0, 0), (0, 0.5), (0.5, 0))
    ]  # fmt: skip
    assert all(len(figure.axes[0].lines) == 4 for figure in drawn)
    assert [text.get_text() for text in drawn[0].axes[0].texts] == ["coin"]
    told = [fingerprint(figure) for figure in drawn]
    assert told[0] == told[1] != told[2]
    assert '"found"' in told[0]  # in the legend
