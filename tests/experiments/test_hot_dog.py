"""The comparison on hot dogs: on generated photos, since the real ones must be downloaded."""

import zipfile

import pytest
import torch
from PIL import Image

from d2lcompanion.data import hot_dogs
from d2lcompanion.data.hot_dogs import HotDogs, load_hot_dogs, load_resnet18_weights, middle
from d2lcompanion.experiments.hot_dog import HotDogPreset, compare_on_hot_dogs, standardized
from d2lcompanion.vision.resnet import ResNet18


def write_archive(path, *, count=2, damage=False, empty=False):
    """A zip as published: folders of PNG files of several sizes, red for hot dogs, else blue."""
    with zipfile.ZipFile(path, "w") as files:
        for part in ("train", "test"):
            for name, colour in (("hotdog", (250, 0, 0)), ("not-hotdog", (0, 0, 250))):
                for index in range(0 if empty and name == "hotdog" else count):
                    with files.open(f"hotdog/{part}/{name}/{index}.png", "w") as file:
                        if damage and index == 1:
                            file.write(b"no picture")
                        else:
                            Image.new("RGB", (300 + 50 * index, 280), colour).save(file, "PNG")


def test_photos_are_read_in_place(tmp_path):
    write_archive(tmp_path / "hotdog.zip")
    found = load_hot_dogs(tmp_path / "hotdog.zip")
    assert found.train_images.shape == found.test_images.shape == (4, 3, 256, 256)
    assert found.train_labels.tolist() == [0, 0, 1, 1]
    assert found.train_images[0, :, 5, 5].tolist() == [250, 0, 0]
    assert found.train_images[3, :, 5, 5].tolist() == [0, 0, 250]


def test_the_middle_square():
    wide = torch.zeros(3, 256, 512, dtype=torch.uint8)
    wide[..., 128:384] = 9
    assert middle(wide).unique().tolist() == [9]


def test_missing_and_broken_files_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("D2LC_DATA_DIR", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=r"hotdog.zip does not exist.*d2lc data fetch hotdog"
    ):
        load_hot_dogs()
    with pytest.raises(FileNotFoundError, match=r"f37072fd.pth does not exist.*resnet18-imagenet"):
        load_resnet18_weights()
    path = tmp_path / "hotdog.zip"
    write_archive(path, damage=True)
    with pytest.raises(ValueError, match=r"hotdog.zip, hotdog/train/hotdog/1.png cannot be read"):
        load_hot_dogs()
    write_archive(path, empty=True)
    with pytest.raises(ValueError, match=r"hotdog.zip has no hotdog/train/hotdog/\*.png"):
        load_hot_dogs()
    path.write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"hotdog.zip: broken archive"):
        load_hot_dogs()


def test_weights_are_known_by_the_digits_of_their_name(tmp_path, monkeypatch):
    path = tmp_path / "resnet18-f37072fd.pth"
    net = ResNet18(3, width=2)
    torch.save(net.state_dict(), path)
    with pytest.raises(ValueError, match=r"SHA-256 that begins with f37072fd; got [0-9a-f]{64}"):
        load_resnet18_weights(path)
    monkeypatch.setattr(hot_dogs, "RESNET18_SHA256", "")
    found = load_resnet18_weights(path)
    assert all(found[name].equal(value) for name, value in net.state_dict().items())


def test_red_is_told_from_blue():
    """Ten photos of each colour: head only and all learn it, and the source is not changed."""
    pixels = torch.zeros(20, 3, 256, 256, dtype=torch.uint8)
    pixels[:10, 0] = 250
    pixels[10:, 2] = 250
    labels = torch.arange(20) // 10
    source = ResNet18(5, width=4, generator=torch.Generator().manual_seed(0))
    before = {name: value.clone() for name, value in source.state_dict().items()}
    preset = HotDogPreset(epochs=6, batch_size=10, head_rate=0.5, body_rate=0.01)
    data = HotDogs(pixels, labels, pixels, labels)
    found = compare_on_hot_dogs(preset, 0, "cpu", data, source)
    assert set(found) == {"scratch", "probe", "groups"}
    assert found["groups"] == 1
    assert all(before[name].equal(value) for name, value in source.state_dict().items())


def test_the_book_s_rates_for_the_mean():
    preset = HotDogPreset()
    assert preset.body_rate == pytest.approx(6.4e-3)
    assert preset.head_rate == pytest.approx(6.4e-2)
    with pytest.raises(ValueError, match="epochs must be ≥ 1, got 0"):
        HotDogPreset(epochs=0)
    grey = standardized(torch.full((1, 3, 1, 1), 0.5)).flatten().tolist()
    assert grey == pytest.approx([0.0655, 0.1964, 0.4178], abs=1e-4)
