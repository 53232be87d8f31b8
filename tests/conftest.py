"""Options and rules for every test of the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Printed digits may not depend on the number of threads; two workers share two cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

REQUIRED = ("book", "browser", "nbval")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--forbid-skips",
        action="store_true",
        help="a skipped test of the book, the browser or a chapter is a failure (CI)",
    )


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root folder."""
    return Path(__file__).resolve().parents[1]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    if (
        report.skipped
        and not hasattr(report, "wasxfail")
        and item.config.getoption("--forbid-skips")
        and any(item.get_closest_marker(name) for name in REQUIRED)
    ):
        report.outcome = "failed"
        report.longrepr = f"skipped, which --forbid-skips makes a failure: {report.longrepr}"
    return report
