"""The form in which every image classification data set arrives, and the idx file format."""

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

IDX_UINT8 = 0x08  # the type byte of unsigned bytes
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, eq=False)
class ImageData:
    """Grey or colour images with one label each, in two parts that share no image.

    Attributes:
        name: short, for tables.
        train_images: [n, H, W], or [n, 3, H, W] in colour; uint8, 0 is black.
        train_labels: [n], int64, an index into class_names.
        test_images: as many dimensions, uint8.
        test_labels: [m], int64.
        class_names: what the labels stand for.
        source: a sentence: what was loaded, and from where.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    class_names: tuple[str, ...]
    source: str

    def __post_init__(self) -> None:
        for part, images, labels in (
            ("train", self.train_images, self.train_labels),
            ("test", self.test_images, self.test_labels),
        ):
            colour = images.ndim == 4 and images.shape[1] == 3
            if not (colour or images.ndim == 3) or labels.shape != images.shape[:1]:
                raise ValueError(
                    f"{self.name}, {part}: images {list(images.shape)} and labels "
                    f"{list(labels.shape)} do not match"
                )
            if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(
                self.class_names
            ):
                raise ValueError(
                    f"{self.name}, {part}: labels must be in [0, {len(self.class_names)}), "
                    f"got {int(labels.min())} to {int(labels.max())}"
                )


def to_float(images: Tensor, *, mean: float = 0.0, sd: float = 1.0) -> Tensor:
    """(pixel/255 − mean)/sd with a channel dimension: [n, H, W] uint8 → [n, 1, H, W] float32.

    Args:
        images: [n, H, W], or [n, 3, H, W], which keep their channels; uint8.
        mean, sd: of pixel/255 over the training part, to standardize; sd > 0.
    Raises:
        ValueError: if the images are not of that shape and uint8, or sd is not positive.
    """
    colour = images.ndim == 4 and images.shape[1] == 3
    if images.dtype != torch.uint8 or not (colour or images.ndim == 3):
        raise ValueError(
            "images must be [n, H, W] or [n, 3, H, W] of uint8, got "
            f"{list(images.shape)}, {images.dtype}"
        )
    if not sd > 0:
        raise ValueError(f"sd must be > 0, got {sd}")
    channels = images if colour else images[:, None]
    return (channels.float() / 255 - mean) / sd


def read_idx(path: Path | str) -> Tensor:
    """An idx file of unsigned bytes, as LeCun's MNIST defined it; gzip is unpacked.

    Four bytes: 0, 0, the type (0x08: unsigned byte), the number of dimensions; then each
    dimension as a big-endian 32-bit number, then the values in row-major order.

    Returns:
        uint8, of the shape that the file states.
    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file, if it is not whole or not of this format.
    """
    path = Path(path)
    data = path.read_bytes()
    if data.startswith(GZIP_MAGIC):
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path}: broken gzip: {error}") from error
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != IDX_UINT8 or not data[3]:
        raise ValueError(
            f"{path}: an idx file of unsigned bytes begins with 00 00 08 and the number "
            f"of dimensions, got {data[:4].hex(' ')}"
        )
    offset = 4 + 4 * data[3]
    if len(data) < offset:
        raise ValueError(f"{path}: ends within its header")
    shape = struct.unpack(f">{data[3]}I", data[4:offset])
    expected = int(np.prod(shape, dtype=np.int64))
    if len(data) - offset != expected:
        raise ValueError(
            f"{path}: {list(shape)} needs {expected} bytes, got {len(data) - offset}"
        )
    values = np.frombuffer(data, np.uint8, offset=offset).reshape(shape)
    return torch.from_numpy(values.copy())
