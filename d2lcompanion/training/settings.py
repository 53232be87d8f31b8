"""What a reader may choose about a run: scale, device, precision, seed, single values.

The `d2lc` command and the notebooks read the same settings, the one from flags and the
other from variables named `D2LC_…`; a value that is not allowed is an error in both.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

Scale = Literal["ci", "laptop", "gpu"]
DeviceName = Literal["auto", "cpu", "cuda", "mps", "npu", "xpu"]
PrecisionName = Literal["auto", "fp64", "fp32", "bf16", "fp16"]

SCALES: tuple[str, ...] = get_args(Scale)
DEVICES: tuple[str, ...] = get_args(DeviceName)
PRECISIONS: tuple[str, ...] = get_args(PrecisionName)

PREFIX = "D2LC_"
VARIABLES = {  # variable → field of Settings
    "D2LC_SCALE": "scale",
    "D2LC_DEVICE": "device",
    "D2LC_PRECISION": "precision",
    "D2LC_DEVICES": "devices",
    "D2LC_SEED": "seed",
    "D2LC_SET": "overrides",
}
# read by other modules: where data are cached, where results lie
OTHER_VARIABLES = ("D2LC_DATA_DIR", "D2LC_RESULTS_DIR")


LARGEST_SEED = 2**32 - 1  # NumPy takes no larger one


class SettingsError(ValueError):
    """A value that a reader chose and that is not allowed; its message says what is."""


@dataclass(frozen=True)
class Settings:
    """One choice of how to run an experiment.

    Attributes:
        scale: "ci" (seconds on one CPU thread), "laptop" (at most 15 minutes on a CPU)
            or "gpu".
        device: "auto" takes an accelerator where there is one; any other name is a
            demand.
        precision: "auto" is the experiment's own; "fp64" and "fp32" are the type of
            every number, "bf16" and "fp16" the type of matrix products, with float32
            around them.
        devices: number of processes, one device each; more than one needs `accelerate
            launch`.
        seed: of every random number of the run, between 0 and 2³² − 1.
        overrides: preset key → value, as text or as the type itself, e.g. {"steps":
            "200"}.
    Raises:
        SettingsError: if a value is not allowed; the message names it and what is
            allowed.
    """

    scale: str = "ci"
    device: str = "auto"
    precision: str = "auto"
    devices: int = 1
    seed: int = 0
    overrides: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require_one_of("scale", self.scale, SCALES)
        _require_one_of("device", self.device, DEVICES)
        _require_one_of("precision", self.precision, PRECISIONS)
        _require_at_least("devices", self.devices, 1)
        _require_at_least("seed", self.seed, 0)
        if self.seed > LARGEST_SEED:
            raise SettingsError(f"seed must be ≤ {LARGEST_SEED}, got {self.seed}")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Settings from D2LC_SCALE, D2LC_DEVICE, D2LC_PRECISION, D2LC_DEVICES, D2LC_SEED, D2LC_SET.

        A variable that is absent or empty leaves the default. D2LC_SET is
        "key=value,key=value".

        Raises:
            SettingsError: if a value is not allowed, or a variable D2LC_… is not known:
                a misspelt name would otherwise run something else than was asked for.
        """
        allowed = sorted((*VARIABLES, *OTHER_VARIABLES))
        for name in sorted(environ):
            if name.startswith(PREFIX) and name not in allowed:
                raise SettingsError(
                    f"unknown variable {name}={environ[name]!r}; allowed: {', '.join(allowed)}"
                )
        chosen: dict[str, object] = {}
        for variable, name in VARIABLES.items():
            text = environ.get(variable, "").strip()
            if text:
                chosen[name] = _parse_variable(variable, text)
        return cls(**chosen)  # type: ignore[arg-type]

    def arguments(self) -> list[str]:
        """The flags of `d2lc run` that give these settings; scale, device and seed always."""
        flags = []
        for name, default in (
            ("scale", None), ("device", None), ("precision", "auto"), ("devices", 1), ("seed", None)
        ):  # fmt: skip
            if getattr(self, name) != default:
                flags += [f"--{name}", str(getattr(self, name))]
        for key, value in self.overrides.items():
            flags += ["--set", f"{key}={_as_text(value)}"]
        return flags


def parse_assignments(assignments: Iterable[str]) -> dict[str, str]:
    """["steps=200", "starts=8"] → {"steps": "200", "starts": "8"}.

    Raises:
        SettingsError: if an item has no "=" or no key, or a key comes twice.
    """
    overrides: dict[str, str] = {}
    for assignment in assignments:
        key, equals, value = (part.strip() for part in assignment.partition("="))
        if not (key and equals):
            raise SettingsError(f"--set must look like key=value, got {assignment!r}")
        if key in overrides:
            raise SettingsError(f"{key} is set twice: {overrides[key]!r} and {value!r}")
        overrides[key] = value
    return overrides


def split_assignments(text: str) -> list[str]:
    """Split "steps=200,sizes=1,2" at the commas before a key: ["steps=200", "sizes=1,2"]."""
    assignments: list[str] = []
    for part in text.split(","):
        if "=" in part or not assignments:
            assignments.append(part)
        else:  # part of a value that is itself a list
            assignments[-1] += f",{part}"
    return assignments


def _parse_variable(variable: str, text: str) -> object:
    """The text of one D2LC_… variable as the type of its field."""
    if variable == "D2LC_SET":
        return parse_assignments(split_assignments(text))
    if variable in ("D2LC_DEVICES", "D2LC_SEED"):
        try:
            return int(text)
        except ValueError:
            raise SettingsError(
                f"{variable} must be a whole number, got {text!r}"
            ) from None
    return text


def _as_text(value: object) -> str:
    """A value as `--set` reads it back: tuples with commas, booleans in lower case."""
    if isinstance(value, tuple | list):
        return ",".join(_as_text(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _require_one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SettingsError(
            f"{name} must be one of {', '.join(allowed)}, got {value!r}"
        )


def _require_at_least(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise SettingsError(f"{name} must be a whole number ≥ {least}, got {value!r}")
