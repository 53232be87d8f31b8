"""The command `d2lc`: list and run experiments, fetch data, print what was measured.

A value that is not allowed ends the command with exit code 2 and one line that says
what is.
"""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

try:
    import typer
    from rich.console import Console
    from rich.table import Table
except ModuleNotFoundError as error:
    raise SystemExit(
        f'd2lc: no {error.name}; run: pip install "d2lcompanion[run]"'
    ) from error

from d2lcompanion.training.settings import (
    DEVICES,
    PRECISIONS,
    SCALES,
    Settings,
    SettingsError,
    parse_assignments,
)

# torch and the experiments are imported by the commands that need them: --help answers at once

# a folder that does not exist or takes no file, a folder or a device in place of a file
PATH_ERRORS = (FileNotFoundError, IsADirectoryError, FileExistsError, PermissionError)

app = typer.Typer(
    name="d2lc",
    help="Experiments of the course: list them, run them at any scale, fetch their data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data_app = typer.Typer(
    help="Data sets at full scale.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(data_app, name="data")


def main() -> None:
    """Entry point of the command `d2lc`: UTF-8 into pipes and files, whatever the system's own.

    A terminal keeps its encoding; what it cannot show (κ, ≈) is written as \\u03ba.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
    app()


@app.command("list")
def list_experiments() -> None:
    """List every experiment, its chapter, and what it does at each scale."""
    from d2lcompanion.experiments.catalog import experiments
    from d2lcompanion.training.presets import describe_values

    for experiment in experiments().values():
        typer.echo(
            f"{experiment.name}: {experiment.title.en} (chapter {experiment.chapter})"
        )
        table = Table("scale", "what it does", "preset, see --set")
        for scale in SCALES:
            preset = describe_values(experiment.presets[scale])
            table.add_row(scale, experiment.notes[scale], preset)
        _print_table(table)


@app.command("run")
def run(
    name: Annotated[str, typer.Argument(help="As `d2lc list` shows it.")],
    scale: Annotated[str, typer.Option(help="|".join(SCALES))] = "ci",
    device: Annotated[str, typer.Option(help="|".join(DEVICES))] = "auto",
    precision: Annotated[str, typer.Option(help="|".join(PRECISIONS))] = "auto",
    devices: Annotated[int, typer.Option(help="Processes, one device each.")] = 1,
    seed: Annotated[int, typer.Option(help="Of every random number.")] = 0,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change the preset."),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the result there.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Keep FILE if it holds this very run already."),
    ] = False,
) -> None:
    """Run one experiment; print its metrics, and write them where --json says."""
    with _one_line_errors():
        settings = Settings(
            scale,
            device,
            precision,
            devices,
            seed,
            parse_assignments(assignments or ()),
        )
        if resume and json is None:
            raise SettingsError(
                "--resume needs --json FILE: the file is what it looks at"
            )
        _run(name, settings, json, resume)


@app.command("report")
def report(
    lang: Annotated[str, typer.Option(help="en|zh")] = "en",
    directory: Annotated[
        Path | None,
        typer.Option("--results", help="Folder of results; default: the committed."),
    ] = None,
) -> None:
    """Print all measured results as Markdown tables."""
    from d2lcompanion.experiments.catalog import experiments
    from d2lcompanion.training import results_table

    with _one_line_errors(ValueError):  # a file that is no result
        if lang not in ("en", "zh"):
            raise SettingsError(f"--lang must be en or zh, got {lang!r}")
        text = results_table.report(experiments().values(), lang, directory=directory)
    typer.echo(text, nl=False)


@data_app.command("list")
def list_data() -> None:
    """List the data sets that can be fetched."""
    from d2lcompanion.data.registry import REGISTRY, data_directory

    with _one_line_errors():
        cache = data_directory()
    table = Table("name", "file", "size", "licence", "checksum", "address tried")
    for entry in REGISTRY.values():
        checksum = entry.checksum
        table.add_row(
            entry.name,
            entry.file_name,
            "unknown"
            if entry.size_bytes is None
            else f"{entry.size_bytes / 1e6:.3g} MB",
            entry.licence,
            "unverified" if checksum is None else checksum.algorithm,
            "yes" if entry.tried else "no",
        )
    _print_table(table)
    typer.echo(f"cache: {cache}")


@data_app.command("fetch")
def fetch_data(
    name: Annotated[str, typer.Argument(help="As `d2lc data list` shows it.")],
    allow_unverified: Annotated[
        bool,
        typer.Option(
            "--allow-unverified", help="Accept a file without known checksum."
        ),
    ] = False,
) -> None:
    """Download one data set into the cache and verify it."""
    from d2lcompanion.data import registry

    # an unknown name, no checksum, other bytes in the way, no network
    with _one_line_errors(ValueError, OSError):
        path = registry.fetch(name, allow_unverified=allow_unverified)
    typer.echo(str(path))


def _run(name: str, settings: Settings, json: Path | None, resume: bool) -> None:
    from d2lcompanion.experiments.catalog import find
    from d2lcompanion.training import runner
    from d2lcompanion.training.results import require_writable, write_result

    experiment = find(name)
    if json is not None:
        require_writable(json)
        if resume and runner.resume(json, experiment, settings) is not None:
            typer.echo(f"{json} holds this run already")
            return
    result = runner.run_experiment(experiment, settings)
    if not runner.is_main_process():
        return
    if json is None:
        _print_metrics(result)
    else:
        write_result(result, json)
        typer.echo(
            f"{json}: {result.experiment}, {result.scale}, {result.seconds:.3g} s"
        )


def _print_metrics(result: Any) -> None:
    """Scalars in a table; lists (curves) are counted, `--json` has them in full."""
    head = f"{result.experiment}, {result.scale}, {result.device}, {result.precision}"
    typer.echo(f"{head}, seed {result.seed}: {result.seconds:.3g} s")
    table = Table("metric", "value")
    for name, value in _flat(result.metrics):
        text = f"{value:.6g}" if isinstance(value, float) else str(value)
        table.add_row(name, f"{len(value)} values" if isinstance(value, list) else text)
    _print_table(table)


def _flat(metrics: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested metrics under dotted names."""
    for name, value in metrics.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _print_table(table: Table) -> None:
    """As wide as the terminal; in a pipe as wide as it needs, so that no cell is cut."""
    console = Console()
    if not console.is_terminal:
        unbounded = console.options.update(max_width=1000)
        console = Console(width=console.measure(table, options=unbounded).maximum)
    console.print(table)


@contextmanager
def _one_line_errors(*more: type[Exception]) -> Iterator[None]:
    """What the reader can mend, in one line and with exit code 2; all else keeps its traceback.

    Args:
        more: what the reader can mend here, beside settings and the paths given.
    """
    mended = (SettingsError, ImportError, *PATH_ERRORS, *more)
    try:
        yield
    except Exception as error:
        # an ImportError of our own names the extra that is missing
        if isinstance(error, ModuleNotFoundError) or not isinstance(error, mended):
            raise
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    print(f"d2lc: {message}", file=sys.stderr)
    raise typer.Exit(2)


if __name__ == "__main__":  # for `accelerate launch --module d2lcompanion.cli`
    main()
