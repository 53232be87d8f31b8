"""Devices and precisions: what is not there is an error that lists what is."""

import pytest
import torch

from d2lcompanion.training import devices
from d2lcompanion.training.devices import (
    available_devices,
    make_accelerator,
    resolve_device,
    resolve_precision,
)
from d2lcompanion.training.settings import Settings, SettingsError

CPU = torch.device("cpu")
FP32 = resolve_precision("fp32", "fp32", CPU)


@pytest.fixture
def two_devices(monkeypatch):
    """A machine that has CUDA and a CPU, as far as names go."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.xpu, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def only_cpu(monkeypatch):
    monkeypatch.setattr(devices, "available_devices", lambda: ("cpu",))


def test_the_cpu_is_always_there_and_last():
    assert available_devices()[-1] == "cpu"


def test_auto_prefers_an_accelerator(two_devices):
    assert available_devices() == ("cuda", "cpu")
    assert resolve_device("auto") == torch.device("cuda")
    assert resolve_device("cpu") == CPU


def test_auto_is_the_cpu_where_there_is_nothing_else(only_cpu):
    assert resolve_device("auto") == CPU


def test_an_npu_is_found_through_torch(monkeypatch):
    class Npu:
        @staticmethod
        def is_available() -> bool:
            return True

    monkeypatch.setattr(torch, "npu", Npu, raising=False)
    assert "npu" in available_devices()


@pytest.mark.parametrize("name", ["cuda", "mps", "npu", "xpu"])
def test_a_demand_that_cannot_be_met_lists_what_is_there(name, only_cpu):
    message = f"device {name} is not available here; available: cpu"
    with pytest.raises(SettingsError, match=message):
        resolve_device(name)


def test_an_unknown_device_is_named():
    with pytest.raises(SettingsError, match=r"device must be one of auto, cpu, .* got 'tpu'"):
        resolve_device("tpu")


@pytest.mark.parametrize(
    ("name", "own", "device", "expected"),
    [
        ("auto", "fp64", "cpu", ("fp64", torch.float64, "no")),
        ("auto", "fp64", "mps", ("fp32", torch.float32, "no")),
        ("auto", "bf16", "cuda", ("bf16", torch.float32, "bf16")),
        ("fp32", "fp64", "cpu", ("fp32", torch.float32, "no")),
        ("fp64", "fp32", "cuda", ("fp64", torch.float64, "no")),
        ("fp16", "fp32", "cuda", ("fp16", torch.float32, "fp16")),
    ],
)
def test_a_precision_is_a_dtype_and_a_type_of_products(name, own, device, expected):
    precision = resolve_precision(name, own, torch.device(device))
    assert (precision.name, precision.dtype, precision.mixed) == expected


@pytest.mark.parametrize(
    ("name", "device", "message"),
    [
        ("fp64", "mps", "fp64 is not available on mps"),
        ("fp16", "cpu", "fp16 is not available on cpu"),
        ("fp8", "cpu", "precision must be one of .* got 'fp8'"),
    ],
)
def test_a_precision_that_the_device_lacks_is_an_error(name, device, message):
    with pytest.raises(SettingsError, match=message):
        resolve_precision(name, "fp32", torch.device(device))


def test_two_runs_of_one_process_may_differ_in_precision():
    """Accelerate keeps its state and would refuse; a notebook runs what the reader changes."""
    first = make_accelerator(Settings(), CPU, FP32)
    second = make_accelerator(Settings(), CPU, resolve_precision("bf16", "fp32", CPU))
    assert (first.device, second.device) == (CPU, CPU)
    x = torch.ones(2, 2)
    with second.autocast():
        assert (x @ x).dtype == torch.bfloat16
    third = make_accelerator(Settings(), CPU, FP32)
    with third.autocast():
        assert (x @ x).dtype == torch.float32


def test_several_devices_need_several_processes():
    with pytest.raises(SettingsError, match="--devices is 3, but 1 process was started"):
        make_accelerator(Settings(devices=3), CPU, FP32)


def test_accelerate_on_another_device_is_an_error():
    cuda = torch.device("cuda")
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(SettingsError, match=r"cuda was asked for, but .* started for"):
        make_accelerator(Settings(), cuda, FP32)
