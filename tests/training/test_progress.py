"""Progress: every step comes through, and only a terminal sees a bar."""

import sys

import pytest

from d2lcompanion.training.progress import silent, track


@pytest.mark.parametrize("follow", [silent, track])
def test_steps_come_through_and_nothing_is_printed(follow, capfd):
    assert list(follow(range(1, 4), "training")) == [1, 2, 3]
    assert capfd.readouterr() == ("", "")


def test_a_terminal_sees_a_bar(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    assert list(track(range(3), "training")) == [0, 1, 2]
    printed = capsys.readouterr()
    assert "training" in printed.err
    assert printed.out == ""
