"""Small archives of CIFAR-10's format, for tests."""

import io
import struct
import tarfile

import numpy as np

from d2lcompanion.data.cifar10 import TEST, TRAIN

ROWS = 20


def python2(data: np.ndarray, labels: list[int]) -> bytes:
    """A part as Python 2 pickled it in 2009, where strings are bytes: protocol 2 by hand."""

    def string(value: bytes) -> bytes:
        return b"T" + struct.pack("<I", len(value)) + value

    def number(value: int) -> bytes:
        return b"K" + bytes([value])

    dtype = b"cnumpy\ndtype\n" + string(b"u1") + number(0) + number(1) + b"\x87R("
    dtype += number(3) + string(b"|") + b"NNN" + b"J\xff\xff\xff\xff" * 2 + number(0) + b"tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + number(0) + b"\x85"
    array += string(b"b") + b"\x87R(" + number(1)
    array += b"".join(b"J" + struct.pack("<i", size) for size in data.shape) + b"\x86"
    array += dtype + b"\x89" + string(data.tobytes()) + b"tb"
    rows = b"](" + b"".join(map(number, labels)) + b"e"
    return b"\x80\x02}(" + string(b"data") + array + string(b"labels") + rows + b"u."


def part(index: int) -> tuple[np.ndarray, list[int]]:
    """Random pictures, and every class as often, in a random order."""
    generator = np.random.default_rng(index)
    data = generator.integers(0, 256, (ROWS, 3072), dtype=np.uint8)
    return data, generator.permutation(np.arange(ROWS) % 10).tolist()


PARTS = {name: part(index) for index, name in enumerate((*TRAIN, TEST))}


def write_archive(folder, **changed):
    """A whole archive, with other content in place of some parts, None to leave one out."""
    path = folder / "cifar-10-python.tar.gz"
    with tarfile.open(path, "w:gz") as files:
        for name, values in PARTS.items():
            content = changed.get(name, python2(*values))
            if content is not None:
                member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
                member.size = len(content)
                files.addfile(member, io.BytesIO(content))
    return path
