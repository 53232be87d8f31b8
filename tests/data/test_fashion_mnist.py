import gzip
import struct
from pathlib import Path

import pytest
import torch

from d2lcompanion.data import fashion_mnist
from d2lcompanion.data.fashion_mnist import (
    DEBIAN_FOLDER,
    FILES,
    first_of_each_class,
    load_fashion_mnist,
    write_subset,
)


def idx(values: torch.Tensor) -> bytes:
    header = struct.pack(f">4B{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    return header + values.to(torch.uint8).numpy().tobytes()


def test_the_subset_needs_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("D2LC_DATA_DIR", str(tmp_path))
    data = load_fashion_mnist()
    assert data.train_images.shape == (8000, 28, 28)
    assert data.test_images.shape == (2000, 28, 28)
    assert data.train_labels.bincount().tolist() == [800] * 10
    assert data.test_labels.bincount().tolist() == [200] * 10
    assert data.train_labels[:5].tolist() == [9, 0, 0, 3, 0], "as the published set begins"
    assert list(tmp_path.iterdir()) == []


def test_the_subset_is_what_it_is_called():
    """A nearest-centroid classifier: labels and images belong together."""
    data = load_fashion_mnist()
    x, z = data.train_images.flatten(1).float(), data.test_images.flatten(1).float()
    centroids = torch.stack([x[data.train_labels == label].mean(0) for label in range(10)])
    accuracy = (torch.cdist(z, centroids).argmin(1) == data.test_labels).double().mean()
    assert 0.65 < accuracy < 0.72  # published for 60,000 images: 0.6768


@pytest.mark.parametrize("packed", [True, False])
def test_the_full_set_is_read_and_held_to_its_digests(monkeypatch, tmp_path, packed):
    """Four small files in place of the real ones, with their own digests."""
    import hashlib

    generator = torch.Generator().manual_seed(0)
    parts = [
        torch.randint(0, 256, (20, 28, 28), generator=generator),
        torch.arange(20) % 10,
        torch.randint(0, 256, (10, 28, 28), generator=generator),
        torch.arange(10),
    ]
    names = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"]
    for name, values in zip(names, parts, strict=True):
        content, end = idx(values), ".gz" if packed else ""
        (tmp_path / f"{name}-ubyte{end}").write_bytes(gzip.compress(content) if packed else content)
    digests = [hashlib.sha256(idx(values)).hexdigest() for values in parts]
    monkeypatch.setattr(fashion_mnist, "FILES", dict(zip(FILES, digests, strict=True)))
    data = load_fashion_mnist("full", folder=tmp_path)
    assert torch.equal(data.train_images, parts[0].to(torch.uint8))
    assert torch.equal(data.test_labels, parts[3])
    monkeypatch.setenv("D2LC_DATA_DIR", str(tmp_path))
    assert torch.equal(load_fashion_mnist("full").train_images, data.train_images)

    monkeypatch.setattr(fashion_mnist, "FILES", FILES)
    with pytest.raises(ValueError, match="unpacks to SHA-256"):
        load_fashion_mnist("full", folder=tmp_path)


def test_errors_say_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("D2LC_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"d2lc data fetch.*apt install"):
        load_fashion_mnist("full")
    with pytest.raises(FileNotFoundError, match="has no fashion-mnist-train-images"):
        load_fashion_mnist("full", folder=tmp_path)
    with pytest.raises(ValueError, match="'subset' or 'full', got 'half'"):
        load_fashion_mnist("half")


def test_the_first_of_each_class():
    labels = torch.tensor([1, 0, 1, 1, 0, 0])
    assert first_of_each_class(labels, 2).tolist() == [0, 1, 2, 4]
    with pytest.raises(ValueError, match="label 0 must occur 4 times, got 3"):
        first_of_each_class(labels, 4)


@pytest.mark.skipif(not DEBIAN_FOLDER.is_dir(), reason=f"no full set in {DEBIAN_FOLDER}")
def test_the_subset_is_made_from_the_real_files(tmp_path):
    full = load_fashion_mnist("full", folder=DEBIAN_FOLDER)
    write_subset(full, tmp_path / "subset.npz")
    committed = Path(fashion_mnist.__file__).with_name("embedded") / fashion_mnist.SUBSET
    import numpy as np

    made, known = np.load(tmp_path / "subset.npz"), np.load(committed)
    assert set(made.files) == set(known.files)
    for name in made.files:
        np.testing.assert_array_equal(made[name], known[name])
