"""Photos of packages, and files of every kind that a camera or an editor writes."""

import numpy as np
import pytest
import torch
from PIL import Image

from d2lcompanion.data.photos import PHOTOS, load_photo, read_photo


@pytest.fixture
def picture():
    """A piece of the coffee photo, [30, 40, 3]."""
    return load_photo("coffee").pixels[:, 100:130, 200:240].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("name", PHOTOS)
def test_photos_are_colour_bytes_with_a_source(name):
    photo = load_photo(name)
    assert photo.pixels.dtype == torch.uint8
    assert photo.pixels.shape[0] == 3
    assert min(photo.pixels.shape[1:]) >= 300
    assert photo.pixels.float().std() > 20
    assert not photo.pixels[0].equal(photo.pixels[2])
    assert photo.source.endswith(".")


def test_an_unknown_photo_is_named():
    with pytest.raises(ValueError, match=r"name must be one of cat, .*, got 'dog'"):
        load_photo("dog")


def test_a_png_comes_back_exactly(picture, tmp_path):
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert read_photo(tmp_path / "a.png").equal(torch.tensor(picture).permute(2, 0, 1))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_camera_gives_an_upright_picture(picture, tmp_path, orientation):
    """The eight notes of EXIF: how the stored picture came from the upright one."""
    stored = {
        1: lambda x: x,
        2: np.fliplr,
        3: lambda x: np.rot90(x, 2),
        4: np.flipud,
        5: lambda x: x.swapaxes(0, 1),
        6: lambda x: np.rot90(x, 1),
        7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
        8: lambda x: np.rot90(x, -1),
    }[orientation](picture)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    assert read_photo(tmp_path / "a.png").equal(torch.tensor(picture).permute(2, 0, 1))


@pytest.mark.parametrize(
    ("mode", "kind"), [("L", "png"), ("CMYK", "jpg"), ("CMYK", "tif"), ("1", "png"), ("P", "gif")]
)
def test_other_colours_become_red_green_and_blue(picture, tmp_path, mode, kind):
    file = tmp_path / f"a.{kind}"
    converted = Image.fromarray(picture).convert(mode)
    converted.save(file, **({"quality": 100} if kind == "jpg" else {}))
    result = read_photo(file)
    assert result.shape == (3, 30, 40)
    assert result.dtype == torch.uint8
    expected = np.asarray(converted.convert("RGB")).astype(int).transpose(2, 0, 1)
    assert np.abs(result.numpy().astype(int) - expected).mean() < 3  # JPEG loses a little


def test_sixteen_bits_of_grey_keep_their_range(tmp_path):
    grey = np.linspace(0, 65535, 12).astype(np.uint16).reshape(3, 4)
    Image.fromarray(grey).save(tmp_path / "a.png")
    result = read_photo(tmp_path / "a.png")
    assert result[0].numpy().tolist() == (grey // 256).tolist()
    assert result[1].equal(result[0])


def test_what_is_transparent_lies_on_white(picture, tmp_path):
    alpha = np.full((30, 40, 1), 255, dtype=np.uint8)
    alpha[:10] = 0
    Image.fromarray(np.concatenate([picture, alpha], 2)).save(tmp_path / "a.png")
    result = read_photo(tmp_path / "a.png")
    assert result[:, :10].eq(255).all()
    assert result[:, 10:].equal(torch.tensor(picture[10:]).permute(2, 0, 1))


def test_damaged_files_are_named(picture, tmp_path):
    good = tmp_path / "good.jpg"
    Image.fromarray(picture).save(good)
    for name, content in (
        ("cut.jpg", good.read_bytes()[:400]),
        ("empty.png", b""),
        ("text.jpg", "not a picture 不是图片".encode()),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} cannot be read as a picture"):
            read_photo(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"none\.jpg is not a file"):
        read_photo(tmp_path / "none.jpg")
