"""Coins, boots and surfaces: how many, where their edges are, and that nothing is made up."""

import numpy as np
import pytest
import scipy.ndimage
import skimage.data
import torch
from PIL import Image

from d2lcompanion.data import cutouts
from d2lcompanion.data.cutouts import find_coins, grey, load_boots, load_coins, load_surface
from d2lcompanion.data.fashion_mnist import load_fashion_mnist


def test_every_coin_is_one_round_piece_of_the_photo():
    """24 objects are in the photo; a disc fills π/4 of its box, and 4π area / outline² is 1."""
    photo = skimage.data.coins() / np.float32(255)
    coins = load_coins()
    assert len(coins) == 24
    places = set()
    for pixels, mask in coins:
        found = np.lib.stride_tricks.sliding_window_view(photo, pixels.shape)
        (where,) = np.argwhere((found == pixels.numpy()).all((2, 3)))  # once in the photo
        places.add(tuple(where))
        assert scipy.ndimage.label(mask.numpy())[1] == 1
        assert abs(float(mask.float().mean()) - np.pi / 4) < 0.06
        assert float(pixels[mask].mean()) > float(pixels[~mask].mean()) + 0.1
    assert len(places) == 24


@pytest.mark.parametrize("kind", [load_coins, lambda: load_boots("test", 50)])
def test_the_rectangle_is_the_smallest(kind):
    for pixels, mask in kind():
        assert pixels.shape == mask.shape
        assert mask.dtype == torch.bool
        assert 0 <= float(pixels.min()) <= float(pixels.max()) <= 1
        assert all(bool(edge.any()) for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))


def test_another_photo_is_refused():
    with pytest.raises(ValueError, match=r"must show 24 coins, got \d+"):
        find_coins(skimage.data.coins()[:150])
    with pytest.raises(ValueError, match=r"photo must be \[H, W\] of uint8, got .* float64"):
        find_coins(skimage.data.coins() / 255)
    with pytest.raises(ValueError, match=r"photo must be \[H, W\] of uint8, got \[512, 512, 3\]"):
        find_coins(skimage.data.astronaut())


def test_boots_are_those_of_fashion_mnist_and_parts_share_none():
    data = load_fashion_mnist("subset")
    boots = data.train_images[data.train_labels == 9]
    for picture, (pixels, mask) in zip(boots[:40], load_boots("train", 40), strict=True):
        kept = (pixels * 255 * mask).round()
        assert int(kept.sum()) <= int(picture.sum())
        assert int(kept.sum()) > 0.97 * int(picture.sum())  # what falls away are single specks
        assert scipy.ndimage.label(mask.numpy())[1] == 1
    keys = [{p.numpy().tobytes() for p, _ in load_boots(part, 150)} for part in ("train", "test")]
    assert not keys[0] & keys[1]


def test_bad_requests_for_boots_are_named():
    with pytest.raises(ValueError, match="part must be train or test, got 'val'"):
        load_boots("val", 3)  # type: ignore[arg-type]
    for count in (0, 201):
        with pytest.raises(ValueError, match=rf"count must be in \[1, 200\], got {count}"):
            load_boots("test", count)


@pytest.mark.parametrize("name", cutouts.SURFACES)
def test_surfaces_are_photos_of_scikit_image(name):
    photo = getattr(skimage.data, {"ihc": "immunohistochemistry"}.get(name, name))()
    surface = load_surface(name)
    assert surface.shape == (512, 512)
    by_pillow = np.asarray(Image.fromarray(photo).convert("L"))
    assert np.abs(surface.numpy() * 255 - by_pillow).max() < 1.01


def test_grey_is_pillow_s():
    pixels = torch.randint(256, (3, 9, 8), generator=torch.Generator().manual_seed(0))
    expected = Image.fromarray(pixels.byte().permute(1, 2, 0).numpy()).convert("L")
    assert np.abs(grey(pixels.byte()).numpy() * 255 - np.asarray(expected)).max() < 1.01


def test_an_unknown_surface_is_named():
    with pytest.raises(ValueError, match=r"name must be one of brick, .*, got 'snow'"):
        load_surface("snow")


def test_a_damaged_file_is_named(tmp_path, monkeypatch):
    (tmp_path / "brick.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    monkeypatch.setattr(cutouts, "require", lambda *_: type("M", (), {"__file__": tmp_path / "m"}))
    load_surface.cache_clear()
    with pytest.raises(ValueError, match=r"brick\.png cannot be read as a picture"):
        load_surface("brick")
    load_surface.cache_clear()
