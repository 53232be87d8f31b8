"""Times: measured around the block, shown in HTML and never in the text a reference holds."""

import re
import sys
import time
from types import SimpleNamespace

import pytest
import torch

from d2lcompanion.training import wall_time
from d2lcompanion.training.wall_time import (
    Stopwatch,
    device_clock,
    show_on_this_machine,
    show_wall_rate,
    show_wall_ratio,
    show_wall_time,
)


def test_a_stopwatch_measures_the_block():
    start = time.perf_counter()
    with Stopwatch() as watch:
        time.sleep(0.02)
    assert 0.02 <= watch.seconds <= time.perf_counter() - start


def test_a_stopwatch_can_be_used_again():
    watch = Stopwatch(torch.device("cpu"))
    with watch:
        time.sleep(0.02)
    with watch:
        pass
    assert watch.seconds < 0.02


@pytest.mark.parametrize("started", [False, True])
def test_seconds_before_the_end_are_an_error(started):
    watch = Stopwatch()
    if started:
        watch.__enter__()
    with pytest.raises(RuntimeError, match="has not stopped"):
        _ = watch.seconds


def test_the_clock_waits_for_the_accelerator_at_both_ends(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.accelerator, "synchronize", waited.append)
    with Stopwatch(torch.device("cuda")):
        assert len(waited) == 1
    assert waited == [torch.device("cuda")] * 2


def test_an_error_in_the_block_is_not_swallowed():
    with pytest.raises(KeyError), Stopwatch() as watch:
        raise KeyError("x")
    assert watch.seconds >= 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 µs"),
        (2.5e-5, "25 µs"),
        (0.0009997, "1 ms"),
        (0.0351, "35.1 ms"),
        (0.9997, "1 s"),
        (1.234, "1.23 s"),
        (99.97, "1 min 40 s"),
        (125.4, "2 min 05 s"),
    ],
)
def test_a_terminal_prints_the_value(seconds, text, capsys):
    show_wall_time("descent", seconds)
    assert capsys.readouterr().out == f"descent: {text}\n"


def test_a_terminal_prints_the_ratio(capsys):
    show_wall_ratio("Newton / GD", 3.21)
    assert capsys.readouterr().out == "Newton / GD: 3.21×\n"


@pytest.mark.parametrize(
    ("ratio", "text"), [(0.0321, "0.0321"), (999.4, "999"), (999.6, "1000"), (1234.5, "1234")]
)
def test_a_ratio_is_written_without_an_exponent(ratio, text, capsys):
    show_wall_ratio("Newton / GD", ratio)
    assert capsys.readouterr().out == f"Newton / GD: {text}×\n"


@pytest.mark.parametrize("show", [show_wall_time, show_wall_ratio])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(show, value):
    with pytest.raises(ValueError, match=f"must be ≥ 0 and finite, got {value}"):
        show("label", value)


@pytest.fixture
def shown(monkeypatch):
    """A Jupyter kernel that records what is displayed."""
    displayed = []
    ipython = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", ipython)

    def display(bundle, *, raw, metadata):
        displayed.append((bundle, raw, metadata))

    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    return displayed


@pytest.mark.parametrize(
    ("show", "value", "html"), [(show_wall_time, 1.5, "1.5 s"), (show_wall_ratio, 2.0, "2×")]
)
def test_a_notebook_keeps_the_value_out_of_the_text(show, value, html, shown, capsys):
    show("a < b", value)
    [(bundle, raw, metadata)] = shown
    assert raw
    assert metadata == {"d2lc": {"wall_time": True}}
    assert bundle["text/html"] == f"<p>a &lt; b: {html}</p>"
    assert bundle["text/plain"].startswith("a < b: ")
    assert not re.search(r"\d", bundle["text/plain"])
    assert capsys.readouterr().out == ""


def test_an_ipython_terminal_is_no_notebook(monkeypatch):
    ipython = SimpleNamespace(get_ipython=lambda: SimpleNamespace())
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert not wall_time.in_notebook()


@pytest.mark.parametrize(
    ("amount", "text"), [(31.44, "31.4 GFLOP/s"), (123456.7, "123,457 GFLOP/s"), (0, "0 GFLOP/s")]
)
def test_a_rate_has_its_unit(amount, text, capsys):
    show_wall_rate("in full", amount, "GFLOP/s")
    assert capsys.readouterr().out == f"in full: {text}\n"


def test_a_rate_that_is_none_is_named():
    with pytest.raises(ValueError, match="amount must be ≥ 0 and finite, got nan"):
        show_wall_rate("x", float("nan"), "rows/s")


def test_the_device_clock_waits_before_every_reading(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.accelerator, "synchronize", waited.append)
    clock = device_clock(torch.device("cuda"))
    assert waited == []
    first, second = clock(), clock()
    assert waited == [torch.device("cuda")] * 2
    assert second >= first
    device_clock()()
    assert len(waited) == 2


def test_what_depends_on_the_machine_is_shown_as_it_is(capsys):
    show_on_this_machine("airfoil", "not here")
    assert capsys.readouterr().out == "airfoil: not here\n"
