"""CIFAR-10 from small archives of its format, and what damaged or hostile ones are called."""

import os
import pickle
import tarfile
from functools import partial

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10

from d2lcompanion.data.cifar10 import CLASS_NAMES, load_cifar10
from d2lcompanion.data.registry import REGISTRY
from tests.data.cifar_files import PARTS, ROWS, part, python2, write_archive


@pytest.fixture
def archive(tmp_path):
    """Writes an archive into a folder of its own."""
    return partial(write_archive, tmp_path)


def test_the_hand_made_pickle_is_what_python_reads():
    data, labels = part(0)
    found = pickle.loads(python2(data, labels), encoding="bytes")
    assert np.array_equal(found[b"data"], data)
    assert found[b"labels"] == labels


def test_images_and_labels_are_those_that_torchvision_reads(archive, monkeypatch):
    path = archive()
    data = load_cifar10(path)
    with tarfile.open(path) as files:
        files.extractall(path.parent, filter="data")
    monkeypatch.setattr(CIFAR10, "_check_integrity", lambda _self: True)
    monkeypatch.setattr(CIFAR10, "_load_meta", lambda _self: None)
    for train, images, labels in (
        (True, data.train_images, data.train_labels),
        (False, data.test_images, data.test_labels),
    ):
        peer = CIFAR10(path.parent, train=train)
        assert images.equal(torch.from_numpy(peer.data).permute(0, 3, 1, 2))
        assert labels.tolist() == peer.targets
    assert data.source == ("CIFAR-10, 100 training and 20 test images of 32×32 pixels in colour.")


def test_it_is_found_in_the_data_directory(archive, monkeypatch):
    monkeypatch.setenv("D2LC_DATA_DIR", str(archive().parent))
    assert len(load_cifar10().train_images) == 5 * ROWS


def test_without_the_archive_the_error_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("D2LC_DATA_DIR", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="run `d2lc data fetch cifar-10`"):
        load_cifar10()


def pickled(**values):
    return pickle.dumps({key.encode(): value for key, value in values.items()}, 4)


class Hostile:
    def __reduce__(self):
        return (os.system, ("echo owned",))


DATA = PARTS["test_batch"][0]
BROKEN = {
    "a part is missing": (None, "cifar-10-batches-py/test_batch' not found"),
    "no pickle": (b"<html>", "test_batch: "),
    "half a pickle": (python2(*PARTS["test_batch"])[:-900], "test_batch: "),
    "a list": (pickle.dumps([1, 2]), "test_batch: must be a dictionary with data and labels"),
    "no labels": (python2(DATA, [1]), r"data must be \[1, 3072\] of uint8, got \[20, 3072\]"),
    "a label too many": (
        python2(DATA, [0, 1, 10, *range(17)]),
        "test_batch: label 10 in row 2 is not in 0 … 9",
    ),
    "code": (pickled(data=Hostile()), r"asks for (posix|nt)\.system, which is no array"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=list(BROKEN))
def test_a_broken_part_is_named(archive, content, message, capfd):
    with pytest.raises(ValueError, match=rf"cifar-10-python\.tar\.gz.*{message}"):
        load_cifar10(archive(test_batch=content))
    assert "owned" not in capfd.readouterr().out


@pytest.mark.parametrize("kept", [0, 100, 30_000])
def test_a_broken_archive_is_named(archive, kept):
    path = archive()
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"cifar-10-python\.tar\.gz: broken archive: "):
        load_cifar10(path)


def test_the_digest_is_the_one_that_torchvision_publishes():
    entry = REGISTRY["cifar-10"]
    assert (entry.checksum.algorithm, entry.checksum.digest) == ("md5", CIFAR10.tgz_md5)
    assert "torchvision 0.29.1" in entry.checksum.origin
    assert CIFAR10.url in entry.urls
    assert len(CLASS_NAMES) == 10
