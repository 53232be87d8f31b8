"""RandAugment against torchvision's table and operations, one image at a time."""

import pytest
import torch
from scipy import stats
from torchvision.transforms import v2

from d2lcompanion.vision import draws
from d2lcompanion.vision.rand_augment import OPERATIONS, apply_operations, random_augment
from tests.vision.pictures import generator, photos

PEER = v2.RandAugment(num_magnitude_bins=31)
NAMES = list(PEER._AUGMENTATION_SPACE)


def peer(image, name, magnitude, sign):
    """What torchvision's transform does when it has drawn this."""
    strengths, signed = PEER._AUGMENTATION_SPACE[name]
    values = strengths(31, *image.shape[-2:])
    value = 0.0 if values is None else float(values[magnitude]) * (sign if signed else 1)
    return PEER._apply_image_or_video_transform(
        image, name, value, v2.InterpolationMode.BILINEAR, {type(image): None}
    )


def test_the_operations_are_torchvision_s_in_its_order():
    assert len(OPERATIONS) == len(NAMES) == 14


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("magnitude", [0, 1, 9, 14, 30])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_operation_is_torchvision_s(magnitude, sign, channels):
    images = photos(28, channels=channels, dtype=torch.float64)
    chosen = torch.arange(14).repeat(2)  # every operation for two images
    result = apply_operations(images, chosen, torch.full((28,), sign), magnitude)
    for number in range(28):
        name = NAMES[int(chosen[number])]
        expected = peer(images[number], name, magnitude, sign)
        torch.testing.assert_close(result[number], expected, atol=1e-6, rtol=0, msg=name)


def test_two_operations_are_drawn_one_after_the_other():
    images, random = photos(40), generator(3)
    before = images.clone()
    expected = images
    for _ in range(2):
        chosen = draws.integers(images, random, 14)
        sign = 1 - 2 * draws.integers(images, random, 2)
        expected = apply_operations(expected, chosen, sign, 9)
    result = random_augment(images, generator(3))
    assert result.equal(expected)
    assert images.equal(before)
    assert 0 <= result.min() <= result.max() <= 1


def test_each_operation_is_drawn_as_often():
    """Solarize at full strength turns a dark pixel into a bright one, and nothing else does."""
    images = torch.full((5000, 1, 8, 8), 0.2)
    bright = random_augment(images, generator(), operations=1, magnitude=30).mean((1, 2, 3)) > 0.7
    assert stats.binomtest(int(bright.sum()), 5000, 1 / 14).pvalue > 1e-3


def test_no_operation_is_a_copy():
    images = photos(2)
    result = random_augment(images, generator(), operations=0)
    assert result.equal(images)
    assert result.data_ptr() != images.data_ptr()


def test_what_is_wrong_is_named():
    images, number = photos(2), torch.tensor([0, 14])
    with pytest.raises(ValueError, match=r"chosen must be in \[0, 13\], got 14 at \[1\]"):
        apply_operations(images, number, torch.ones(2), 9)
    with pytest.raises(ValueError, match="magnitude must be ≤ 30, got 31"):
        random_augment(images, generator(), magnitude=31)
    with pytest.raises(ValueError, match="operations must be a whole number ≥ 0, got -1"):
        random_augment(images, generator(), operations=-1)
    with pytest.raises(ValueError, match="1 or 3 channels, got 2"):
        random_augment(images[:, :2], generator())
