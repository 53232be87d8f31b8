"""Where a run computes and with which numbers: devices and precisions, checked before use.

Accelerate places the work; what a reader demands and this machine cannot give is an
error, never a silent step back to the CPU.
"""

from dataclasses import dataclass
from typing import Any

import torch

from d2lcompanion.extras import require
from d2lcompanion.training.settings import DEVICES, PRECISIONS, Settings, SettingsError


def available_devices() -> tuple[str, ...]:
    """The devices of this machine, the preferred one first (in Accelerate's order), "cpu" last."""
    npu = getattr(torch, "npu", None)  # there once the package torch_npu is installed
    present = {
        "mps": torch.backends.mps.is_available(),
        "npu": npu is not None and npu.is_available(),
        "cuda": torch.cuda.is_available(),
        "xpu": torch.xpu.is_available(),
        "cpu": True,
    }
    return tuple(name for name, there in present.items() if there)


def resolve_device(name: str) -> torch.device:
    """ "auto" is the first of `available_devices`; any other name is a demand.

    Raises:
        SettingsError: if the name is unknown, or the device is not there; lists those
            that are.
    """
    available = available_devices()
    if name == "auto":
        return torch.device(available[0])
    if name not in DEVICES:
        raise SettingsError(f"device must be one of {', '.join(DEVICES)}, got {name!r}")
    if name not in available:
        raise SettingsError(
            f"device {name} is not available here; available: {', '.join(available)}"
        )
    return torch.device(name)


@dataclass(frozen=True)
class Precision:
    """A precision, resolved.

    Attributes:
        name: "fp64", "fp32", "bf16" or "fp16".
        dtype: of parameters and data: float64 for fp64, else float32.
        mixed: Accelerate's name for the type of matrix products: "no", "bf16" or
            "fp16".
    """

    name: str
    dtype: torch.dtype
    mixed: str


def resolve_precision(name: str, own: str, device: torch.device) -> Precision:
    """The precision to compute in.

    Args:
        name: what was asked for; "auto" is the experiment's own, with one exception: on
            mps, which has no 64-bit floats, fp64 becomes fp32. The result's record says
            which it was.
        own: the experiment's own precision.
        device: where it will compute.
    Raises:
        SettingsError: if the name is unknown, or the device cannot: fp64 on mps, and
            fp16 on cpu (Accelerate would compute in fp32 there without a word).
    """
    if name not in PRECISIONS:
        raise SettingsError(
            f"precision must be one of {', '.join(PRECISIONS)}, got {name!r}"
        )
    if name == "auto":
        name = "fp32" if own == "fp64" and device.type == "mps" else own
    if name == "fp64" and device.type == "mps":
        raise SettingsError(
            "precision fp64 is not available on mps; use fp32 or bf16, or cpu"
        )
    if name == "fp16" and device.type == "cpu":
        raise SettingsError(
            "precision fp16 is not available on cpu; use bf16, fp32 or fp64"
        )
    dtype = torch.float64 if name == "fp64" else torch.float32
    return Precision(name, dtype, mixed=name if name in ("bf16", "fp16") else "no")


def make_accelerator(
    settings: Settings, device: torch.device, precision: Precision
) -> Any:
    """Accelerate's `Accelerator` for this device and precision.

    Accelerate keeps its state for the life of the process and refuses to change it. In
    a notebook two runs in a row may differ, so in a single process the state is made
    anew.

    Raises:
        SettingsError: if Accelerate was launched on another device, or with another
            number of processes than the settings have.
    """
    accelerate = require("accelerate", "run")
    state = accelerate.state
    single = not state.is_initialized() or state.AcceleratorState().num_processes == 1
    if state.is_initialized() and single:
        state.AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = accelerate.Accelerator(
        cpu=device.type == "cpu", mixed_precision=precision.mixed
    )
    if accelerator.device.type != device.type:
        raise SettingsError(
            f"device {device.type} was asked for, but Accelerate was started for "
            f"{accelerator.device.type}; give both the same, or set ACCELERATE_TORCH_DEVICE"
        )
    if accelerator.num_processes != settings.devices:
        raise SettingsError(
            f"--devices is {settings.devices}, but {accelerator.num_processes} "
            f"process{'es were' if accelerator.num_processes > 1 else ' was'} started"
        )
    return accelerator
