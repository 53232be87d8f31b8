"""The record of a run, one JSON file each: what was run, on what, and what came out.

Committed results are the only source of the numbers that a chapter quotes for a scale
it does not run itself. They hold no host names, no paths and no NaN.
"""

import json
import math
import os
import statistics
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

SCALAR = (bool, int, float, str)


@dataclass(frozen=True)
class Result:
    """One run.

    Attributes:
        experiment: its name, e.g. "gradient-descent".
        scale: "ci", "laptop" or "gpu".
        preset: the values it ran with, overrides applied.
        metrics: name → number, text, list or nested metrics; every number is finite.
        seconds: wall time of the experiment, loading its data included.
        seed: of every random number.
        device: "cpu", "cuda", …
        devices: number of processes, one device each.
        precision: "fp64", "fp32", "bf16" or "fp16".
        hardware: as `describe_hardware` gives it.
        versions: as `describe_versions` gives them.
        command: the line that repeats the run.
        when: start of the run, UTC, ISO 8601.
    Raises:
        ValueError: if a value cannot stand in JSON, above all NaN and infinity; the
            message has the dotted name, e.g. "metrics.newton.gap".
    """

    experiment: str
    scale: str
    preset: Mapping[str, Any]
    metrics: Mapping[str, Any]
    seconds: float
    seed: int
    device: str
    devices: int
    precision: str
    hardware: Mapping[str, Any]
    versions: Mapping[str, str]
    command: str
    when: str

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = _plain(getattr(self, entry.name), entry.name)
            object.__setattr__(
                self, entry.name, value
            )  # frozen: set once, tuples become lists

    def metric(self, key: str) -> Any:
        """A metric by its dotted name: "random_starts.gap_mean"; "seconds" is the wall time.

        Raises:
            KeyError: if there is none of that name; the message lists those beside it.
        """
        if key == "seconds":
            return self.seconds
        value: Any = self.metrics
        for part in key.split("."):
            if not isinstance(value, Mapping) or part not in value:
                beside = ", ".join(value) if isinstance(value, Mapping) else "none"
                raise KeyError(
                    f"{self.experiment} has no metric {key!r}; there is: {beside}"
                )
            value = value[part]
        return value

    @property
    def file_name(self) -> str:
        """`<experiment>/<scale>-<device>-seed<seed>.json`; several devices read `cudax4`."""
        device = self.device if self.devices == 1 else f"{self.device}x{self.devices}"
        return f"{self.experiment}/{self.scale}-{device}-seed{self.seed}.json"


def write_result(result: Result, path: Path) -> None:
    """Write the file whole or not at all: a temporary file beside it takes its place at once.

    Raises:
        FileNotFoundError: if the folder does not exist.
    """
    require_writable(path)
    text = json.dumps(asdict(result), ensure_ascii=False, allow_nan=False, indent=1)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text + "\n", encoding="utf-8", newline="\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def require_writable(path: Path) -> None:
    """Check the target before minutes are spent on the run.

    Raises:
        FileNotFoundError: if the folder does not exist.
        IsADirectoryError: if the path is a folder itself.
        FileExistsError: if it is something else than a file, such as /dev/null, which
            would be replaced.
        PermissionError: if nothing can be written in the folder.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"the folder {path.parent} does not exist: make it first"
        )
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; --json takes the name of a file")
    if path.exists() and not path.is_file():
        raise FileExistsError(f"{path} is not a file, and a result would replace it")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:  # read-only, or full
        raise PermissionError(
            f"nothing can be written in {path.parent}: {error.strerror}"
        ) from error


def read_result(path: Path) -> Result:
    """Read one file.

    Raises:
        ValueError: if it is not JSON, or its keys are not those of `Result`; names the
            file.
    """
    try:
        record = json.loads(
            path.read_text(encoding="utf-8"), parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a result: {error}") from error
    names = {entry.name for entry in fields(Result)}
    if not isinstance(record, dict) or set(record) != names:
        found = set(record) if isinstance(record, dict) else set()
        raise ValueError(
            f"{path} is not a result: missing {sorted(names - found)}, "
            f"unknown {sorted(found - names)}"
        )
    try:
        return Result(**record)
    except ValueError as error:  # 1e999 is JSON, and infinite
        raise ValueError(f"{path} is not a result: {error}") from error


def results_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Where committed results lie: D2LC_RESULTS_DIR, else `results/` of this checkout.

    Raises:
        FileNotFoundError: if there is none, as after an installation without the
            repository.
    """
    chosen = environ.get("D2LC_RESULTS_DIR", "")
    directory = Path(chosen) if chosen else Path(__file__).parents[2] / "results"
    if not directory.is_dir():
        raise FileNotFoundError(
            f"no folder of results at {directory}: clone the repository, "
            "or set D2LC_RESULTS_DIR to its results folder"
        )
    return directory


def read_results(
    directory: Path | None = None, experiment: str | None = None
) -> list[Result]:
    """All results below a folder, in the order of their paths.

    Args:
        directory: None is `results_directory()`.
        experiment: a name; None is every experiment.
    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if a file in it is not a result; names it.
    """
    root = results_directory() if directory is None else directory
    if not root.is_dir():
        raise FileNotFoundError(f"no folder of results at {root}")
    results = [read_result(path) for path in sorted(root.glob("*/*.json"))]
    return [result for result in results if experiment in (None, result.experiment)]


class Band(NamedTuple):
    """One metric over the seeds of one scale."""

    mean: float
    sd: float  # of the sample (n − 1); 0 for a single seed
    low: float  # the smallest
    high: float  # the largest
    seeds: tuple[int, ...]

    def holds(self, value: float, *, width: float = 4.0) -> bool:
        """Whether a live run lies within mean ± width · sd."""
        return abs(value - self.mean) <= width * self.sd


def metric_band(results: Iterable[Result], key: str) -> Band:
    """The spread of a metric over results that differ in their seed alone.

    Args:
        results: of one experiment, scale and preset.
        key: dotted name, see `Result.metric`.
    Raises:
        ValueError: if there are none, a seed comes twice, or the runs differ in more
            than the seed.
    """
    runs = sorted(results, key=lambda result: result.seed)
    seeds = tuple(run.seed for run in runs)
    kinds = {json.dumps([r.experiment, r.scale, r.preset, r.precision]) for r in runs}
    if len(kinds) != 1 or len(set(seeds)) != len(seeds):
        raise ValueError(
            f"a band needs runs that differ in the seed alone, got seeds {list(seeds)} "
            f"of {len(kinds)} kinds"
        )
    values = [float(run.metric(key)) for run in runs]
    sd = statistics.stdev(values) if len(values) > 1 else 0.0
    return Band(statistics.fmean(values), sd, min(values), max(values), seeds)


def _plain(value: object, name: str) -> Any:
    """The value as JSON would give it back: dictionaries, lists and finite scalars.

    Raises:
        ValueError: with the dotted name of the part that does not fit.
    """
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"{name} has the key {key!r}, which is not text")
        return {key: _plain(part, f"{name}.{key}") for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, f"{name}[{k}]") for k, part in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} is {value}, and JSON has no such number")
    if value is None or type(value) in SCALAR:
        return value
    raise ValueError(f"{name} is a {type(value).__name__}, which JSON does not have")


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")
