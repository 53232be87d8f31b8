"""What the runner gives an experiment, for tests that call its parts."""

import torch

from d2lcompanion.training.devices import make_accelerator, resolve_precision
from d2lcompanion.training.experiment import RunContext
from d2lcompanion.training.progress import silent
from d2lcompanion.training.settings import Settings


def context(seed=0):
    """One process on the CPU, no progress bar."""
    settings, device = Settings(device="cpu", seed=seed), torch.device("cpu")
    precision = resolve_precision("auto", "fp32", device)
    return RunContext(
        settings,
        device,
        precision.dtype,
        torch.Generator().manual_seed(seed),
        silent,
        make_accelerator(settings, device, precision),
    )
