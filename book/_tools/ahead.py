"""Execute chapters side by side before Sphinx, which reads one page after the other, looks for their outputs."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution

from book._tools import notebooks, project
from book._tools.project import LANGUAGES, ROOT, Page

KERNELS = 2  # at once; each takes about 2 GB


def is_executed(page: Page, root: Path = ROOT) -> bool:
    """Whether the cache holds the outputs of a page, or it has no code."""
    return page not in project.chapters(root) or _is_cached(page, root)


def _is_cached(page: Page, root: Path) -> bool:
    try:
        notebooks.executed(page, LANGUAGES[0], root)
    except KeyError:
        return False
    return True


def _run(slug: str, root: Path) -> tuple[str, str, float]:
    """Execute one chapter as myst-nb does: its slug, the notebook as JSON ("" if a cell raised), seconds."""
    os.environ.update(project.execution_environment(root=root))
    path = Page(slug).path(LANGUAGES[0], root)
    notebook = notebooks.read_for_cache(path)
    result = single_nb_execution(notebook, str(path.parent), notebooks.CELL_TIMEOUT, False)
    return slug, "" if result.err else nbformat.writes(notebook), result.time


def execute_missing(root: Path = ROOT) -> list[str]:
    """Fill the cache with the chapters that it lacks; returns their slugs as they were ready.

    A chapter with a cell that raises is left out: Sphinx executes it again and fails with the page and the line.
    """
    missing = [page.slug for page in project.chapters(root) if not _is_cached(page, root)]
    if len(missing) < 2:
        return []
    cache, ready = get_cache(project.execution_cache(root)), []
    with ProcessPoolExecutor(
        min(KERNELS, os.cpu_count() or 1), multiprocessing.get_context("spawn")
    ) as pool:
        # The later chapters take longer, so they start first.
        runs = [pool.submit(_run, slug, root) for slug in reversed(missing)]
        for run in as_completed(runs):
            slug, text, seconds = run.result()
            if not text:
                continue
            uri = str(Page(slug).path(LANGUAGES[0], root))
            bundle = CacheBundleIn(
                nbformat.reads(text, as_version=4), uri, data={"execution_seconds": seconds}
            )
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
            ready.append(slug)
            print(f"{slug}: {seconds:.0f} s", flush=True)
    return ready
