"""Progress bars that a terminal shows and that a file, a notebook or a test never sees."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from d2lcompanion.extras import require

Track: TypeAlias = Callable[[range, str], Iterable[int]]


def silent(steps: range, description: str) -> Iterable[int]:
    """The steps themselves: a `Track` that shows nothing."""
    return steps


def track(steps: range, description: str) -> Iterator[int]:
    """Yield the steps; show a bar on standard error while they last, if that is a terminal.

    Args:
        steps: what to count through.
        description: one or two words, shown beside the bar.
    """
    if not sys.stderr.isatty():
        yield from steps
        return
    console = require("rich.console", "run").Console(stderr=True)
    progress = require("rich.progress", "run")
    yield from progress.track(steps, description, console=console, transient=True)
