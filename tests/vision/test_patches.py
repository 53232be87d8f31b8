"""Patches against einops-like loops and torch's unfold; masks by what must hold."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import unfold

from d2lcompanion.vision.patches import (
    normalize_patches,
    patchify,
    random_masking,
    take,
    unpatchify,
    visible_patches,
)


def images(n=2, c=3, H=6, W=9, seed=0):
    return torch.randn(n, c, H, W, generator=torch.Generator().manual_seed(seed))


def test_patches_equal_a_slow_loop_and_unfold():
    x, p = images(), 3
    found = patchify(x, p)
    assert found.shape == (2, 6, 27)
    for image in range(2):
        for down in range(2):
            for across in range(3):
                square = x[image, :, down * p : down * p + p, across * p : across * p + p]
                assert torch.equal(found[image, down * 3 + across], square.flatten())
    assert torch.equal(found, unfold(x, p, stride=p).mT)


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 3), c=st.integers(1, 3), down=st.integers(1, 4), across=st.integers(1, 4),
    patch=st.integers(1, 4),
)  # fmt: skip
def test_there_and_back(n, c, down, across, patch):
    x = images(n, c, down * patch, across * patch)
    assert torch.equal(unpatchify(patchify(x, patch), patch, x.shape[1:]), x)


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="patch must divide 6 and 9, got 2"):
        patchify(images(), 2)
    with pytest.raises(ValueError, match="patch must be a whole number ≥ 1, got 0"):
        patchify(images(), 0)
    with pytest.raises(ValueError, match=r"patches must have shape \[2, 4, 9\], got \[2, 5, 9\]"):
        unpatchify(torch.zeros(2, 5, 9), 3, (1, 6, 6))
    with pytest.raises(ValueError, match=r"x must be \[n, c, H, W\]"):
        patchify(torch.zeros(6, 6), 2)


@pytest.mark.parametrize(
    ("patches", "share", "visible"), [(49, 0.75, 12), (16, 0.75, 4), (4, 0.5, 2)]
)
def test_how_many_are_visible(patches, share, visible):
    assert visible_patches(patches, share) == visible


@pytest.mark.parametrize(
    ("patches", "share"), [(4, 0.0), (4, 1.0), (4, 0.05), (4, 0.95), (4, float("nan"))]
)
def test_a_share_that_leaves_nothing_is_named(patches, share):
    with pytest.raises(ValueError, match=f"leave a patch visible and one hidden, got {share} of 4"):
        visible_patches(patches, share)
    with pytest.raises(ValueError, match=f"got {share} of 4"):
        random_masking(1, patches, share, torch.Generator())


def test_every_row_is_a_permutation_of_its_own_and_every_subset_is_equally_likely():
    order = random_masking(30_000, 4, 0.5, torch.Generator().manual_seed(0))
    assert torch.equal(order.sort(1).values, torch.arange(4).expand(30_000, -1))
    pairs = order[:, :2].sort(1).values @ torch.tensor([4, 1])
    counts = pairs.unique(return_counts=True)[1]
    assert len(counts) == 6
    chi_squared = float(((counts - 5000.0) ** 2 / 5000).sum())
    assert chi_squared < 20.5  # 5 degrees of freedom, 99.9 %


def test_one_seed_gives_one_order():
    drawn = [random_masking(5, 9, 0.6, torch.Generator().manual_seed(s)) for s in (3, 3, 4)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_take_equals_a_loop():
    x = torch.randn(3, 5, 2)
    index = torch.tensor([[4, 0], [1, 1], [2, 3]])
    expected = torch.stack([x[n, index[n]] for n in range(3)])
    assert torch.equal(take(x, index), expected)


def test_normalized_patches_have_mean_0_and_variance_1_or_are_even():
    patches = torch.randn(2, 3, 16, dtype=torch.float64) * 5 + 3
    patches[0, 0] = 7.0
    found = normalize_patches(patches)
    assert found[0, 0].abs().max() == 0
    rest = found.flatten(0, 1)[1:]
    torch.testing.assert_close(rest.mean(1), torch.zeros(5).double())
    torch.testing.assert_close(rest.var(1, correction=0), torch.ones(5).double(), rtol=1e-5, atol=0)
    with pytest.raises(ValueError, match="epsilon must be > 0"):
        normalize_patches(patches, 0)
