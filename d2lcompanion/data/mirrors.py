"""Downloading one file from the first address that gives the right bytes.

pooch verifies a temporary file and renames it; the progress bar is Rich's.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from d2lcompanion.extras import require

TIMEOUT = 30  # seconds without a byte until the next mirror is tried


def download(
    name: str,
    urls: Sequence[str],
    path: Path,
    known_hash: str | None,
    progress: bool,
) -> None:
    """Try the mirrors in order; pooch verifies a temporary file, then renames it.

    Args:
        name: what errors call the file.
        urls: addresses of the same bytes.
        path: where they go.
        known_hash: "algorithm:digest", or None where nobody knows it.
        progress: show a progress bar, on a terminal.
    Raises:
        OSError: if no address gives the right bytes; the message tells what each one
            gave.
    """
    pooch = pooch_module()
    failures = []
    for url in urls:
        try:
            with _progress_bar(path.name, visible=progress) as bar:
                pooch.retrieve(
                    url,
                    known_hash,
                    fname=path.name,
                    path=path.parent,
                    downloader=pooch.HTTPDownloader(progressbar=bar, timeout=TIMEOUT),
                )
            return
        except (
            ValueError,
            OSError,
        ) as error:  # wrong bytes, no answer: the next mirror
            failures.append(f"{url}: {error}")
    raise OSError(f"{name} could not be fetched:\n  " + "\n  ".join(failures))


@contextmanager
def _progress_bar(description: str, *, visible: bool) -> Iterator["_RichBar"]:
    """A bar on standard error, or nothing where that is no terminal."""
    console = require("rich.console", "data").Console(stderr=True)
    columns = require("rich.progress", "data")
    hidden = not (visible and console.is_terminal)
    with columns.Progress(console=console, disable=hidden) as progress:
        yield _RichBar(progress, progress.add_task(description, total=None))


@dataclass
class _RichBar:
    """Rich's progress bar under the names that pooch calls (those of tqdm)."""

    progress: Any
    task: Any
    total: int = 0

    def update(self, count: int) -> None:
        self.progress.update(self.task, advance=count, total=self.total or None)

    def reset(self) -> None:
        self.progress.reset(self.task)

    def close(self) -> None:
        """The context manager closes, also after an error."""


def pooch_module() -> Any:
    """pooch, without what its tqdm says in a notebook: the progress bar here is Rich's."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="IProgress not found")
        return require("pooch", "data")
