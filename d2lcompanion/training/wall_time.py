"""Seconds, measured honestly and shown where they do no harm.

A time differs at every run, so it must not enter the text that a chapter's stored
reference holds. In a notebook the value is shown in HTML only, and the output is marked
as a time.
"""

import html
import math
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import torch

from d2lcompanion.extras import require

METADATA = {"d2lc": {"wall_time": True}}


class Stopwatch:
    """Wall time of a block: `with Stopwatch() as watch: …`, then `watch.seconds`.

    Accelerators work asynchronously: with a device the clock waits for it, at both
    ends.

    Args:
        device: where the block computes; None or cpu needs no waiting.
    """

    def __init__(self, device: torch.device | None = None) -> None:
        self._device = device
        self._start: float | None = None
        self._seconds: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds of the block.

        Raises:
            RuntimeError: if the block has not ended.
        """
        if self._seconds is None:
            raise RuntimeError(
                "the stopwatch has not stopped: read seconds after the with block"
            )
        return self._seconds

    def __enter__(self) -> "Stopwatch":
        self._synchronize()
        self._seconds = None
        self._start = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._synchronize()
        if self._start is not None:
            self._seconds = time.perf_counter() - self._start

    def _synchronize(self) -> None:
        if self._device is not None and self._device.type != "cpu":
            torch.accelerator.synchronize(self._device)


def show_wall_time(label: str, seconds: float) -> None:
    """Show "label: 1.23 s": in a notebook in HTML only, elsewhere as a printed line.

    Raises:
        ValueError: if seconds is negative or not finite.
    """
    _require_measured("seconds", seconds)
    _show(label, _seconds_text(seconds), "wall time")


def show_wall_ratio(label: str, ratio: float) -> None:
    """Show "label: 3.2×", the ratio of two wall times, in the same way.

    Raises:
        ValueError: if ratio is negative or not finite.
    """
    _require_measured("ratio", ratio)
    text = f"{ratio:.3g}" if ratio < 999.5 else f"{ratio:.0f}"  # never 1.23e+03
    _show(label, f"{text}×", "ratio of wall times")


def show_wall_rate(label: str, amount: float, unit: str) -> None:
    """Show "label: 31.4 GFLOP/s", an amount a second, in the same way.

    Args:
        label: what was measured.
        amount: a second.
        unit: with its "/s".
    Raises:
        ValueError: if amount is negative or not finite.
    """
    _require_measured("amount", amount)
    text = f"{amount:.3g}" if amount < 999.5 else f"{amount:,.0f}"
    _show(label, f"{text} {unit}", "rate by the wall clock")


def show_on_this_machine(label: str, value: str) -> None:
    """Show "label: value" for what depends on the machine, as which files it has."""
    _show(label, value, "depends on the machine")


def device_clock(device: torch.device | None = None) -> Callable[[], float]:
    """A clock in seconds that waits for the device before it is read.

    Args:
        device: where the work is done; None or cpu needs no waiting.
    """
    watch = Stopwatch(device)

    def read() -> float:
        watch._synchronize()
        return time.perf_counter()

    return read


def bundle(label: str, value: str, kind: str) -> dict[str, str]:
    """The notebook's output: the value in HTML, none of it in the plain text."""
    return {
        "text/html": f"<p>{html.escape(label)}: {html.escape(value)}</p>",
        "text/plain": f"{label}: {kind}, shown in HTML only",
    }


def _show(label: str, value: str, kind: str) -> None:
    if not in_notebook():
        print(f"{label}: {value}")
        return
    display = require("IPython.display", "notebook").display
    display(bundle(label, value, kind), raw=True, metadata=METADATA)


def _require_measured(name: str, value: float) -> None:
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} must be ≥ 0 and finite, got {value}")


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this code (a plain or an IPython terminal does not)."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def _seconds_text(seconds: float) -> str:
    """820 µs, 35.1 ms, 1.23 s, 2 min 05 s; 999.7 µs counts as 1 ms, as it would read 1e+03."""
    if seconds < 0.9995e-3:
        return f"{seconds * 1e6:.3g} µs"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 99.95:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"
