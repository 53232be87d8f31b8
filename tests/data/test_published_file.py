"""A published file: what was named, what is there, what would have to be fetched."""

from __future__ import annotations

import pytest

from d2lcompanion.data import published_file as module
from d2lcompanion.data.published_file import published_file


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("D2LC_DATA_DIR", str(tmp_path))

    def fetch(name, *, allow_unverified):
        path = tmp_path / f"fetched {name} {allow_unverified}"
        path.touch()
        return path

    monkeypatch.setattr(module, "fetch", fetch)
    return tmp_path


def test_the_path_that_was_given_wins_and_is_never_fetched(folder):
    mine = folder / "mine.dat"
    with pytest.raises(FileNotFoundError, match=r"mine\.dat does not exist: .*data fetch airfoil"):
        published_file("airfoil", mine, download=True)
    assert list(folder.iterdir()) == []
    mine.touch()
    assert published_file("airfoil", str(mine), download=True) == mine


def test_a_file_of_the_data_directory_is_used_and_fetched_only_if_missing_and_asked(folder):
    there = folder / "airfoil_self_noise.dat"
    with pytest.raises(FileNotFoundError, match=r"airfoil_self_noise\.dat.*D2LC_DATA_DIR"):
        published_file("airfoil")
    assert published_file("airfoil", download=True).name == "fetched airfoil False"
    taken = published_file("airfoil", download=True, allow_unverified=True)
    assert taken.name == "fetched airfoil True"
    there.touch()
    assert published_file("airfoil", download=True) == there
    assert published_file("airfoil") == there


def test_unknown_names_are_refused(folder):
    with pytest.raises(ValueError, match="unknown data set 'none'; known: "):
        published_file("none", folder)
