"""What a measurement was made on: the machine's parts and the versions, never its name or paths."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path

import torch

from d2lcompanion.extras import require

PACKAGES = ("d2lcompanion", "torch", "numpy", "accelerate", "scikit-learn")


def describe_hardware(device: torch.device) -> dict[str, object]:
    """CPU model, cores, threads, memory and the accelerator's name.

    Args:
        device: where the run computes; for "cpu" the accelerator is None.
    Returns:
        {"cpu", "cores", "threads", "memory_gib", "accelerator"}; `threads` are those
        that torch uses, memory is rounded to whole GiB.
    """
    psutil = require("psutil", "run")
    return {
        "cpu": cpu_model(),
        "cores": psutil.cpu_count(logical=False) or psutil.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "accelerator": accelerator_name(device),
    }


def cpu_model() -> str:
    """The processor's name as its maker gives it, else its architecture."""
    if platform.system() == "Linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(
            command, check=True, capture_output=True, encoding="utf-8"
        ).stdout.strip()
    return platform.processor() or platform.machine()


def accelerator_name(device: torch.device) -> str | None:
    """ "NVIDIA H100 80GB HBM3" and the like; None for the CPU."""
    if device.type == "cpu":
        return None
    if device.type == "mps":
        return f"{cpu_model()} (Metal)"
    backend = getattr(torch, device.type)  # torch.cuda, torch.xpu, torch.npu
    return str(backend.get_device_name(device))


def describe_versions() -> dict[str, str]:
    """Versions of Python and of the packages that the numbers depend on."""
    versions = {"python": platform.python_version(), "system": platform.system()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions
