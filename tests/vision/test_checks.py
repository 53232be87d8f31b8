"""The demands on arguments: what passes, what raises, and that the message names the value."""

import math

import pytest
import torch

from d2lcompanion.vision import checks

INSIDE = {
    checks.require_positive: (1e-300, 1, 1e300),
    checks.require_unit_interval: (0, 0.5, 1),
}
OUTSIDE = {
    checks.require_positive: (0, -1, math.inf, math.nan),
    checks.require_unit_interval: (-1e-300, 1.1, math.nan),
}


@pytest.mark.parametrize(
    ("check", "value"), [(check, value) for check, values in INSIDE.items() for value in values]
)
def test_values_inside_pass(check, value):
    check("sigma", value)


@pytest.mark.parametrize(
    ("check", "value"), [(check, value) for check, values in OUTSIDE.items() for value in values]
)
def test_values_outside_are_named(check, value):
    with pytest.raises(ValueError, match=f"^sigma must be .*got {value}$"):
        check("sigma", value)


@pytest.mark.parametrize("value", [0, 2.5, True, math.nan])
def test_whole_numbers(value):
    checks.require_at_least("rows", 1, 1)
    with pytest.raises(ValueError, match=f"^rows must be a whole number ≥ 1, got {value}$"):
        checks.require_at_least("rows", value, 1)


def test_shapes_and_finite_numbers():
    x = torch.tensor([[1.0, 2.0], [3.0, -math.inf]])
    checks.require_shape("x", x, (2, 2))
    with pytest.raises(ValueError, match=r"^x must have shape \[2\], got \[2, 2\]$"):
        checks.require_shape("x", x, (2,))
    checks.require_finite("x", x[0])
    checks.require_finite("x", x[:0])
    with pytest.raises(ValueError, match=r"^x must be finite, got -inf at \[1, 1\]$"):
        checks.require_finite("x", x)


def test_the_first_bad_row_is_named():
    rows = torch.tensor([[0.0, 0, 0, 0], [0, 0, 1, -1], [0, 0, -1, 1]])
    checks.require_last_four("r", rows, "a, b, c, d")
    checks.require_boxes("r", rows[:1])
    checks.require_sizes("r", rows[:1], "x, y, w, h")
    values = r"got \[0\.0, 0\.0, 1\.0, -1\.0\] in row 1$"
    with pytest.raises(ValueError, match=rf"^r must have x1 ≤ x2 and y1 ≤ y2, {values}"):
        checks.require_boxes("r", rows)
    with pytest.raises(ValueError, match=rf"^r must have w ≥ 0 and h ≥ 0 \(x, y, w, h\), {values}"):
        checks.require_sizes("r", rows, "x, y, w, h")
    with pytest.raises(ValueError, match=r"^r must have x1 < x2 and y1 < y2, got .* in row 0$"):
        checks.require_boxes("r", rows, positive=True)
    with pytest.raises(ValueError, match=r"^r: last dimension must be 4 \(.*\), got \(\)$"):
        checks.require_boxes("r", torch.tensor(1.0))


def test_images_have_four_sizes_and_are_floats():
    checks.require_images("x", torch.zeros(1, 1, 1, 1))
    with pytest.raises(ValueError, match=r"got shape \[0, 1, 3, 3\]"):
        checks.require_images("x", torch.zeros(0, 1, 3, 3))
    for bad in (torch.zeros(3, 4, 5), torch.zeros(1, 3, 0, 5), torch.zeros(1, 3, 4, 5).byte()):
        with pytest.raises(ValueError, match=r"^x must be \[n, c, H, W\] of floats, got shape"):
            checks.require_images("x", bad)


def test_pixels_lie_in_the_unit_interval_and_have_the_channels_allowed():
    x = torch.rand(2, 3, 4, 5)
    checks.require_pixels("x", x, (1, 3))
    with pytest.raises(
        ValueError, match=r"^x must have 1 or 4 channels, got 3 in .*\[2, 3, 4, 5\]"
    ):
        checks.require_pixels("x", x, (1, 4))
    for value in (math.nan, math.inf, -0.01, 1.01):
        x[1, 2, 3, 0] = value
        with pytest.raises(ValueError, match=r"^x must be in \[0, 1\], got .* at \[1, 2, 3, 0\]$"):
            checks.require_pixels("x", x)


def test_ranges_may_be_open_or_of_whole_numbers():
    checks.require_range("x", torch.tensor([0.0, 1e30]), 0, math.inf)
    checks.require_range("x", torch.empty(0), 0, 1)
    with pytest.raises(ValueError, match=r"^x must be in \[0, 9\], got 10 at \[1\]$"):
        checks.require_range("x", torch.tensor([9, 10]), 0, 9)
