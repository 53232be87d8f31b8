"""Affine maps against torchvision's affine and rotate, and boxes against mapped masks."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as peer

from d2lcompanion.vision.warping import (
    affine_matrices,
    draw_affine,
    invert_matrices,
    random_affine,
    warp,
    warp_boxes,
)
from tests.vision.pictures import generator, photos

ANGLES = [0.0, 30.0, -75.0, 180.0]
SHIFTS = [[0.0, 0.0], [3.0, -2.0], [-4.0, 5.0], [1.0, 0.0]]
SCALES = [1.0, 1.3, 0.7, 1.0]
SHEARS = [[0.0, 0.0], [10.0, -20.0], [0.0, 15.0], [-25.0, 5.0]]
SHAPE = (24, 31)


def matrices(dtype=torch.float64, **other):
    given_ = {"angle": ANGLES, "shift": SHIFTS, "scale": SCALES, "shear": SHEARS}
    return affine_matrices(
        SHAPE, **{name: torch.tensor(value, dtype=dtype) for name, value in given_.items()}, **other
    )


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("center", [None, (4.0, 9.0)])
def test_it_is_torchvision_s_affine_one_by_one(mode, center):
    images = photos(4, dtype=torch.float64)
    expected = [
        peer.affine(
            x, angle, shift, scale, shear, InterpolationMode(mode), center=center and list(center)
        )
        for x, angle, shift, scale, shear in zip(
            images, ANGLES, SHIFTS, SCALES, SHEARS, strict=True
        )
    ]
    result = warp(images, matrices(center=center), mode=mode)
    different = (result - torch.stack(expected)).abs() > 1e-9
    # Where a pixel comes from the middle between two, rounding decides which is nearest.
    assert different.double().mean() <= (0 if mode == "bilinear" else 0.002)


def test_a_turn_is_torchvision_s_rotate_the_other_way_round():
    images = photos(1, dtype=torch.float64)
    one, none = torch.ones(1).double(), torch.zeros(1, 2).double()
    turned = warp(
        images, affine_matrices(SHAPE, angle=-20 * one, shift=none, scale=one, shear=none)
    )
    expected = peer.rotate(images, 20.0, InterpolationMode.BILINEAR)
    torch.testing.assert_close(turned, expected)


def test_a_quarter_turn_by_hand():
    """Clockwise to the eye: what was on top is on the right."""
    one, none = torch.ones(1), torch.zeros(1, 2)
    picture = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]) / 4
    quarter = affine_matrices((2, 2), angle=90 * one, shift=none, scale=one, shear=none)
    expected = torch.tensor([[[[3.0, 1.0], [4.0, 2.0]]]]) / 4
    torch.testing.assert_close(warp(picture, quarter), expected)
    torch.testing.assert_close(picture.rot90(-1, (2, 3)), expected)


def test_maps_go_one_after_the_other_as_their_product():
    """On points, exactly; a warp to another size moves pixels by whole steps."""
    back = invert_matrices(matrices())
    last = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(4, 1, 3)
    product = torch.cat([matrices(), last], 1) @ torch.cat([back, last], 1)
    torch.testing.assert_close(product, torch.eye(3).double().expand(4, 3, 3))
    images = photos(4)
    shift = torch.tensor([[1.0, 0, 2], [0, 1, -3]]).expand(4, 2, 3)
    moved = warp(images, shift, size=(21, 33))
    torch.testing.assert_close(moved[:, :, :, 2:], images[:, :, 3:], atol=1e-5, rtol=0)
    assert moved[:, :, :, :2].abs().max() < 1e-5
    kept = warp(images, shift, border="border")
    torch.testing.assert_close(kept[:, :, :20, 0], images[:, :, 3:23, 0], atol=1e-5, rtol=0)


@settings(max_examples=40, deadline=None)
@given(
    st.floats(-180, 180),
    st.floats(0.6, 1.6),
    st.floats(-20, 20),
    st.floats(-6, 6),
    st.floats(-6, 6),
)
def test_a_box_encloses_its_mapped_mask_and_touches_it(angle, scale, shear, dx, dy):
    number = lambda value: torch.tensor([value], dtype=torch.float64)  # noqa: E731
    maps = affine_matrices(
        (60, 80),
        angle=number(angle),
        shift=torch.tensor([[dx, dy]], dtype=torch.float64),
        scale=number(scale),
        shear=torch.tensor([[shear, 0.0]], dtype=torch.float64),
    )
    mask = torch.zeros(1, 1, 60, 80, dtype=torch.float64)
    mask[:, :, 25:37, 30:48] = 1
    box = torch.tensor([[[30.0, 25, 48, 37]]], dtype=torch.float64)
    x1, y1, x2, y2 = warp_boxes(box, maps, (60, 80))[0, 0].tolist()
    rows, columns = (warp(mask, maps, mode="nearest")[0, 0] > 0).nonzero().unbind(1)
    low = torch.stack([columns.min(), rows.min()]) + 0.5  # centres of pixels
    high = torch.stack([columns.max(), rows.max()]) + 0.5
    for found, side, sign in zip(
        [*low.tolist(), *high.tolist()], [x1, y1, x2, y2], [1, 1, -1, -1], strict=True
    ):
        gap = sign * (found - side)
        assert -1e-6 <= gap < 3  # a sharp corner may fall between pixel centres


def test_random_maps_stay_in_their_ranges():
    images = torch.zeros(4000, 1, 10, 20)
    maps = draw_affine(images, generator(), degrees=40, shift=0.2, scale=2)
    scale = (maps[:, 0, 0] * maps[:, 1, 1] - maps[:, 0, 1] * maps[:, 1, 0]).sqrt()
    angle = torch.atan2(maps[:, 1, 0], maps[:, 0, 0]).rad2deg()
    middle = maps[..., :2] @ torch.tensor([10.0, 5.0]) + maps[..., 2]
    shift = middle - torch.tensor([10.0, 5.0])
    for value, most in ((scale.log2(), 1), (angle, 40), (shift[:, 0], 4), (shift[:, 1], 2)):
        assert value.abs().max() <= most * 1.0001
        uniform_sd = most / math.sqrt(3)
        assert abs(value.mean()) < 4 * uniform_sd / math.sqrt(4000)
        assert value.std() == pytest.approx(uniform_sd, rel=0.05)


def test_no_strength_changes_nothing():
    images = photos(3)
    torch.testing.assert_close(random_affine(images, generator()), images, atol=1e-5, rtol=0)
    turned = random_affine(images, generator(), degrees=20, shear=5)
    assert turned.dtype == images.dtype
    assert not torch.allclose(turned, images, atol=0.05)


def test_what_is_wrong_is_named():
    flat = torch.tensor([[[1.0, 0, 0], [0, 1, 0]], [[1, 2, 0], [2, 4, 0]]])
    with pytest.raises(ValueError, match="matrix 1 has no inverse"):
        warp(photos(2), flat)
    with pytest.raises(ValueError, match=r"matrices must have shape \[2, 2, 3\], got \[2, 3, 3\]"):
        warp(photos(2), torch.eye(3).repeat(2, 1, 1))
    with pytest.raises(ValueError, match="degrees must be ≥ 0, got -5"):
        random_affine(photos(1), generator(), degrees=-5)
    with pytest.raises(ValueError, match="scale must be > 0"):
        random_affine(photos(1), generator(), scale=0)
    one = torch.ones(1)
    with pytest.raises(ValueError, match="angle must be finite, got nan"):
        affine_matrices(
            SHAPE, angle=one * math.nan, shift=one.expand(1, 2), scale=one, shear=one.expand(1, 2)
        )
    with pytest.raises(ValueError, match=r"shear must be in \[-89.9, 89.9\], got 90"):
        affine_matrices(
            SHAPE, angle=one, shift=one.expand(1, 2), scale=one, shear=90 * one.expand(1, 2)
        )
