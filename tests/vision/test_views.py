"""Views against torchvision's kernels and closed forms, and by what must hold for all."""

import math

import pytest
import torch
from torchvision.transforms.v2 import functional as F

from d2lcompanion.vision.views import (
    ViewRecipe,
    random_erase,
    random_flip,
    random_jitter,
    random_resized_crop,
    random_view,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=200, size=12, seed=9):
    return torch.rand(n, 1, size, size, generator=generator(seed))


def ramp(n, size=24):
    """Pixels that say where they are: column centres in channel 0, row centres in channel 1."""
    place = (torch.arange(size) + 0.5) / size
    x = torch.stack([place.expand(size, -1), place.expand(size, -1).T])
    return x.expand(n, -1, -1, -1).contiguous()


def test_a_crop_is_a_rectangle_inside_with_the_area_and_ratio_asked_for():
    n, smallest = 4000, 0.25
    view = random_resized_crop(ramp(n), generator(), smallest=smallest)
    inner = view[:, :, 4:-4, 4:-4]  # away from the border, where nothing lies outside
    width = (inner[:, 0, 0, -1] - inner[:, 0, 0, 0]) * 24 / 15
    height = (inner[:, 1, -1, 0] - inner[:, 1, 0, 0]) * 24 / 15
    area, stretch = width * height, (width / height).log()
    free = (width < 0.98) & (height < 0.98)  # no side was cut at the image
    assert float(area.min()) > smallest - 1e-3
    assert float(area.max()) < 1 + 1e-3
    assert float(stretch.abs().max()) < math.log(4 / 3) + 1e-3
    assert float(free.float().mean()) > 0.6
    small = area < 0.5  # never cut: the area of a uniform law
    share = float(small.float().mean())
    assert abs(share - 0.25 / 0.75) < 4 * math.sqrt(1 / 3 * 2 / 3 / n)
    left = inner[:, 0, 0, 0] - 4.5 / 24 * width
    assert float(left.min()) > -1e-3
    assert float((left + width).max()) < 1 + 1e-3


def test_a_crop_equals_torchvisions_at_the_same_rectangle():
    """On smooth images, where both interpolate: places are recovered from a ramp."""
    place = (torch.arange(24) + 0.5) / 24
    smooth = torch.sin(4 * place)[:, None] * torch.cos(3 * place)
    x = torch.cat([ramp(20), smooth.expand(20, 1, -1, -1)], 1)
    view = random_resized_crop(x, generator(3), smallest=0.3)
    inside = slice(3, -3)
    expected = torch.sin(4 * view[:, 1]) * torch.cos(3 * view[:, 0])
    gap = (view[:, 2] - expected)[:, inside, inside]
    assert float(gap.abs().max()) < 5e-3  # of a bilinear interpolation between pixels 1/24 apart


def test_the_whole_image_is_kept_where_nothing_may_be_cut():
    x = images()
    assert torch.equal(random_resized_crop(x, generator(), smallest=1.0), x)


def test_a_flip_is_torchvisions_for_about_half():
    x = images(2000, 5)
    flipped = random_flip(x, generator())
    mirror = F.horizontal_flip(x)
    turned = (flipped == mirror).flatten(1).all(1)
    assert torch.equal(flipped[~turned], x[~turned])
    assert abs(float(turned.float().mean()) - 0.5) < 4 * 0.5 / math.sqrt(2000)
    assert torch.equal(random_flip(x, generator(), probability=0), x)
    assert torch.equal(random_flip(x, generator(), probability=1), mirror)


def test_jitter_is_torchvisions_contrast_then_brightness():
    x = 0.3 + 0.2 * images(8)  # nothing is clipped
    view = random_jitter(x, generator(4), strength=0.3)
    b, c = 1 + 0.3 * (2 * torch.rand(2, 8, generator=generator(4)) - 1)
    expected = torch.stack(
        [F.adjust_brightness(F.adjust_contrast(x[n], float(c[n])), float(b[n])) for n in range(8)]
    )
    torch.testing.assert_close(view, expected, rtol=1e-5, atol=1e-6)
    assert float(random_jitter(images(), generator(), strength=1.0).min()) >= 0
    torch.testing.assert_close(random_jitter(x, generator(), strength=0.0), x)


def test_a_hole_is_a_rectangle_of_zeros_of_the_size_asked_for():
    x = images(3000, 30) + 0.1
    holes = random_erase(x, generator(), largest=0.36) == 0
    rows, columns = holes[:, 0].any(2), holes[:, 0].any(1)
    assert torch.equal(holes[:, 0], rows[:, :, None] & columns[:, None, :])
    area = holes.float().mean((1, 2, 3))
    assert float(area.max()) < 0.36 + 0.05
    assert abs(float(area.mean()) - 0.18) < 0.01
    assert torch.equal(random_erase(x, generator(), largest=0.0), x)


def test_images_of_a_batch_get_different_views_and_one_seed_the_same():
    x = images(1, 12).expand(6, -1, -1, -1)
    recipe = ViewRecipe(erase=0.2)
    views = [random_view(x, recipe, generator(s)) for s in (0, 0, 1)]
    assert torch.equal(views[0], views[1])
    assert not torch.equal(views[0], views[2])
    assert len({tuple(view.flatten().tolist()) for view in views[0]}) == 6
    assert 0 <= float(views[0].min()) <= float(views[0].max()) <= 1


def test_a_recipe_of_nothing_changes_nothing():
    x = images()
    still = ViewRecipe(crop=1.0, flip=0.0, jitter=0.0, erase=0.0)
    torch.testing.assert_close(random_view(x, still, generator()), x)


def test_dtype_follows_the_images():
    for dtype in (torch.float32, torch.float64):
        assert random_view(images(4).to(dtype), ViewRecipe(), generator()).dtype == dtype


def test_bad_input_is_named():
    for function in (
        lambda x: random_view(x, ViewRecipe(), generator()),
        lambda x: random_erase(x, generator(), largest=0.2),
        lambda x: random_jitter(x, generator(), strength=0.2),
        lambda x: random_flip(x, generator()),
    ):
        with pytest.raises(
            ValueError, match=r"x must be \[n, c, H, W\] of floats, got shape \[3, 4\]"
        ):
            function(torch.zeros(3, 4))
    x = images(2)
    for call, message in (
        (lambda: random_resized_crop(x, generator(), smallest=0), "smallest must be in .*got 0"),
        (
            lambda: random_resized_crop(x, generator(), smallest=0.5, ratio=0.5),
            "ratio ≥ 1, got 0.5 and 0.5",
        ),
        (lambda: random_erase(x, generator(), largest=1), r"largest must be in \[0, 1\), got 1"),
        (lambda: random_jitter(x, generator(), strength=2), r"strength must be in \[0, 1\], got 2"),
        (lambda: random_flip(x, generator(), probability=-1), r"probability must be .* got -1"),
        (lambda: ViewRecipe(crop=0), "a view must keep something, got crop 0"),
        (lambda: ViewRecipe(jitter=1.5), r"jitter must be in \[0, 1\], got 1.5"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
