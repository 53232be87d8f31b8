"""The description of the machine: useful, and without names or paths of the host."""

import json
import platform

import torch

from d2lcompanion.training.hardware import (
    accelerator_name,
    cpu_model,
    describe_hardware,
    describe_versions,
)


def test_the_description_is_complete_and_plain():
    hardware = describe_hardware(torch.device("cpu"))
    assert set(hardware) == {"cpu", "cores", "threads", "memory_gib", "accelerator"}
    assert hardware["cpu"] == cpu_model() != ""
    assert hardware["cores"] >= 1
    assert hardware["threads"] == torch.get_num_threads()
    assert hardware["memory_gib"] >= 1
    assert hardware["accelerator"] is None


def test_neither_host_name_nor_paths_are_recorded():
    text = json.dumps([describe_hardware(torch.device("cpu")), describe_versions()])
    assert platform.node() not in text
    assert not any(path in text for path in ("/home", "/root", "/tmp", "\\\\"))


def test_an_accelerator_is_named_by_its_backend(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"Card of {device}")
    assert accelerator_name(torch.device("cuda")) == "Card of cuda"
    assert accelerator_name(torch.device("mps")) == f"{cpu_model()} (Metal)"


def test_versions_say_what_the_numbers_depend_on():
    versions = describe_versions()
    assert versions["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert versions["python"] == platform.python_version()
    assert {"d2lcompanion", "numpy", "accelerate", "scikit-learn"} <= set(versions)
