"""Tables of measured results, for a chapter and for `d2lc report`.

A scale that nobody measured shows a dash. Figures are never filled in.
"""

import json
import statistics
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from d2lcompanion.training.experiment import Experiment, Text
from d2lcompanion.training.results import Result, read_results
from d2lcompanion.training.settings import SCALES

MISSING = "—"
SCALE = Text("scale", "规模")
SEEDS = Text("seeds", "种子数")
SECONDS = Text("seconds", "用时（秒）")
HARDWARE = Text("hardware", "硬件")
THREADS = Text("{} ({} thread{s})", "{}（{} 线程）")


def results_table(
    experiment: Experiment[Any], lang: str, *, directory: Path | None = None
) -> str:
    """A Markdown table: one row for each scale, device and preset that was measured.

    Numbers are mean ± standard deviation over seeds where the seed changes them.

    Args:
        experiment: its columns are shown.
        lang: "en" or "zh".
        directory: of results; None is the committed one.
    Raises:
        ValueError: if lang is neither.
        KeyError: if a result lacks a column's metric.
    """
    columns = [column.header.of(lang) for column in experiment.columns]
    header = [
        SCALE.of(lang),
        *columns,
        SEEDS.of(lang),
        SECONDS.of(lang),
        HARDWARE.of(lang),
    ]
    results = read_results(directory, experiment.name)
    rows = []
    for scale in SCALES:
        groups = _groups(result for result in results if result.scale == scale)
        rows += [_row(experiment, runs, lang) for runs in groups]
        if not groups:
            rows.append([f"`{scale}`", *[MISSING] * (len(header) - 1)])
    return _markdown(header, rows)


def report(
    experiments: Iterable[Experiment[Any]], lang: str, *, directory: Path | None = None
) -> str:
    """Markdown of everything measured: a heading, the table and the commands, by experiment."""
    parts = []
    for experiment in experiments:
        table = results_table(experiment, lang, directory=directory)
        commands = [
            f"- `{run.command}`" for run in read_results(directory, experiment.name)
        ]
        heading = f"## {experiment.title.of(lang)} (`{experiment.name}`)"
        parts.append(
            "\n\n".join([heading, table, *(["\n".join(commands)] if commands else [])])
        )
    return "\n\n".join(parts) + "\n"


def format_number(value: float, spec: str) -> str:
    """A number by its format, exponents without padding: 6.7e-02 → 6.7e-2."""
    mantissa, e, exponent = format(value, spec).partition("e")
    return f"{mantissa}e{int(exponent)}" if e else mantissa


def _groups(results: Iterable[Result]) -> list[list[Result]]:
    """Runs that differ in the seed alone, together."""

    def kind(run: Result) -> str:
        return json.dumps(
            [run.device, run.devices, run.precision, run.preset, run.hardware]
        )

    return [list(group) for _, group in groupby(sorted(results, key=kind), key=kind)]


def _row(experiment: Experiment[Any], runs: Sequence[Result], lang: str) -> list[str]:
    first = runs[0]
    device = first.device if first.devices == 1 else f"{first.device} × {first.devices}"
    cells = [
        _cell([run.metric(column.key) for run in runs], column.format)
        for column in experiment.columns
    ]
    seconds = _cell([statistics.fmean(run.seconds for run in runs)], ".2g")
    scale = f"`{first.scale}`, {device}, {first.precision}"
    return [scale, *cells, str(len(runs)), seconds, _hardware(first, lang)]


def _cell(values: Sequence[Any], spec: str) -> str:
    """One value, or mean ± standard deviation where the seeds differ at the printed digits."""
    if None in values:  # what a run could not measure
        return MISSING
    if isinstance(values[0], str):
        return ", ".join(sorted(set(values)))
    texts = {format_number(value, spec) for value in values}
    if len(texts) == 1:
        return texts.pop()
    mean = format_number(statistics.fmean(values), spec)
    return f"{mean} ± {format_number(statistics.stdev(values), '.2g')}"


def _hardware(run: Result, lang: str) -> str:
    """The accelerator, or the CPU with the threads that were used."""
    accelerator = run.hardware.get("accelerator")
    if accelerator:
        return str(accelerator)
    threads = run.hardware["threads"]
    plural = "" if threads == 1 else "s"
    return THREADS.of(lang).format(run.hardware["cpu"], threads, s=plural)


def _markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    align = [":--", *["--:"] * (len(header) - 2), ":--"]
    lines = (
        [cell.replace("|", r"\|") for cell in row] for row in (header, align, *rows)
    )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
