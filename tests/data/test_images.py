import gzip
import struct

import numpy as np
import pytest
import torch
from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor

from d2lcompanion.data.images import ImageData, read_idx, to_float

VALUES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
HEADER = struct.pack(">BBBB3I", 0, 0, 8, 3, 2, 3, 4)


@pytest.fixture
def file(tmp_path):
    def write(content: bytes):
        path = tmp_path / "images-idx3-ubyte"
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_reads_what_torchvision_reads(file, pack):
    path = file(HEADER + VALUES.tobytes())
    torchvision = read_sn3_pascalvincent_tensor(str(path))
    values = read_idx(file(pack(HEADER + VALUES.tobytes())))
    assert values.dtype == torch.uint8
    assert torch.equal(values, torchvision)
    np.testing.assert_array_equal(values, VALUES)


BROKEN = {
    "too short": (HEADER + VALUES.tobytes()[:-1], r"\[2, 3, 4\] needs 24 bytes, got 23"),
    "too long": (HEADER + VALUES.tobytes() + b"!", "needs 24 bytes, got 25"),
    "in the header": (HEADER[:10], "ends within its header"),
    "floats": (b"\0\0\x0d\1" + HEADER[4:], "got 00 00 0d 01"),
    "empty": (b"", "00 00 08"),
    "a web page": (b"<html>not found</html>", "got 3c 68 74 6d"),
    "half a gzip": (gzip.compress(HEADER + VALUES.tobytes())[:-9], "broken gzip"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=list(BROKEN))
def test_a_broken_file_is_named(file, content, message):
    with pytest.raises(ValueError, match=f"images-idx3-ubyte.*{message}"):
        read_idx(file(content))


def test_to_float_standardizes():
    images = torch.from_numpy(VALUES)
    x = to_float(images, mean=0.02, sd=0.5)
    assert x.shape == (2, 1, 3, 4)
    np.testing.assert_allclose(x[:, 0], (VALUES / 255 - 0.02) / 0.5, atol=1e-6)
    colour = torch.from_numpy(np.stack([VALUES] * 3, 1))
    assert to_float(colour, mean=0.02, sd=0.5).equal(x.expand(2, 3, 3, 4))
    with pytest.raises(ValueError, match=r"got \[2, 2, 3, 4\]"):
        to_float(colour[:, :2])
    with pytest.raises(ValueError, match="float32"):
        to_float(images.float())
    with pytest.raises(ValueError, match=r"got \[3, 4\]"):
        to_float(images[0])
    with pytest.raises(ValueError, match="sd must be > 0, got 0"):
        to_float(images, sd=0)


def test_images_and_labels_must_match():
    images, labels = torch.zeros(2, 3, 4, dtype=torch.uint8), torch.tensor([0, 1])
    ImageData("x", images, labels, images, labels, ("a", "b"), "")
    colour = images[:, None].expand(2, 3, 3, 4)
    ImageData("x", colour, labels, colour, labels, ("a", "b"), "")
    with pytest.raises(ValueError, match=r"x, train: images \[2, 2, 3, 4\]"):
        ImageData("x", colour[:, :2], labels, colour, labels, ("a", "b"), "")
    with pytest.raises(ValueError, match=r"x, test: images \[2, 3, 4\] and labels \[1\]"):
        ImageData("x", images, labels, images, labels[:1], ("a", "b"), "")
    with pytest.raises(ValueError, match=r"labels must be in \[0, 1\), got 0 to 1"):
        ImageData("x", images, labels, images, labels, ("a",), "")
