"""make.py on machines that lack something: one line that names the remedy."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys

import pytest

from book._tools.project import ROOT

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins are shell scripts")


@pytest.fixture
def make(monkeypatch, tmp_path):
    """make.py as a module, at work in an empty folder."""
    spec = importlib.util.spec_from_file_location("make_under_test", ROOT / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", str(tmp_path))
    monkeypatch.setattr(module, "VENV", str(tmp_path / ".venv"))
    monkeypatch.setattr(module, "CHOSEN", str(tmp_path / ".environment"))
    return module


def stand_in(path, says):
    """A Python that answers every question with one line."""
    path.write_text(f"#!/bin/sh\necho '{says}'\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def failing(make, capsys, *words):
    with pytest.raises(SystemExit) as caught:
        make.main(list(words))
    assert caught.value.code == 2
    text = capsys.readouterr().err
    assert text.count("\n") == 1, "one line"
    return text


def test_an_unsupported_python(make, capsys, tmp_path):
    text = failing(make, capsys, "setup", "PYTHON=" + stand_in(tmp_path / "python", "3.9 0 1"))
    assert "3.9" in text
    assert "make setup PYTHON=python3.11" in text


def test_a_python_without_ensurepip(make, capsys, tmp_path):
    text = failing(make, capsys, "setup", "PYTHON=" + stand_in(tmp_path / "python", "3.12 0 0"))
    assert "apt install python3.12-venv" in text


def test_a_python_that_is_not_there(make, capsys):
    assert "nowhere" in failing(make, capsys, "setup", "PYTHON=nowhere")


def test_too_little_disk(make, capsys, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 2.0e9})
    monkeypatch.setattr(make.shutil, "disk_usage", lambda path: usage)
    text = failing(make, capsys, "setup", "PYTHON=" + stand_in(tmp_path / "python", "3.11 0 1"))
    assert "2.0 GB" in text
    assert "10.0 GB" in text


def test_an_unknown_target_and_a_word_without_equals(make, capsys):
    assert "test-fast" in failing(make, capsys, "frobnicate")
    assert "NAME=VALUE" in failing(make, capsys, "book", "fast")


def test_an_environment_of_the_readers_own_is_remembered(make, tmp_path, monkeypatch):
    own = stand_in(tmp_path / "python", "3.11 1 1")
    monkeypatch.setattr(make, "install", lambda python: None)
    assert make.setup(own) == own
    assert make.chosen_python() == own
    assert make.setup("") == own


def test_an_interrupted_environment_is_made_again(make, tmp_path, monkeypatch):
    broken = tmp_path / ".venv" / "bin" / "python"
    broken.parent.mkdir(parents=True)
    broken.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setattr(make, "install", lambda python: None)
    monkeypatch.setattr(make, "create_environment", lambda python: "made again")
    assert make.setup("") == "made again"


def test_a_cpu_build_of_torch_is_kept(make, tmp_path, monkeypatch):
    (tmp_path / "requirements.lock").write_text(
        (ROOT / "requirements.lock").read_text(encoding="utf-8"), encoding="utf-8"
    )
    assert make.lock_without_cuda(stand_in(tmp_path / "cuda", "2.14.1")) == "requirements.lock"
    path = make.lock_without_cuda(stand_in(tmp_path / "cpu", "2.14.1+cpu"))
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        kept = file.read()
    names = set(re.findall(r"^([a-z0-9._-]+)==", kept, flags=re.M))
    whole = set(
        re.findall(
            r"^([a-z0-9._-]+)==",
            (ROOT / "requirements.lock").read_text(encoding="utf-8"),
            flags=re.M,
        )
    )
    assert {name for name in whole - names if not name.startswith(("nvidia-", "cuda-"))} == {
        "torch",
        "triton",
    }
    assert "torchvision" in names


def test_it_is_valid_on_an_old_python():
    """Whoever has an old Python gets the message, not a SyntaxError."""
    import ast

    ast.parse((ROOT / "make.py").read_text(encoding="utf-8"), feature_version=(3, 6))


def call_of(*words, **shell):
    """What `make` would run; the surrounding make's own settings are left out."""
    kept = {
        name: value for name, value in os.environ.items() if "MAKE" not in name and name != "MFLAGS"
    }
    command = ["make", "--dry-run", *words]
    done = subprocess.run(
        command, cwd=ROOT, env={**kept, **shell}, capture_output=True, text=True, encoding="utf-8"
    )
    return done.stdout.split()


def test_every_make_target_is_one_call_of_make_py(make):
    for target in make.TARGETS:
        assert call_of(target) == ["python3", "make.py", target]
    call = call_of("notebooks", "SCALE=laptop", "SET=a=1,b=2", PORT="1", DEVICE="of the shell")
    assert call == ["python3", "make.py", "notebooks", '"SCALE=laptop"', '"SET=a=1,b=2"']


def test_a_setting_that_a_target_does_not_take():
    command = [sys.executable, "-m", "book._tools", "book", "SCALE=gpu"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 2
    assert done.stderr.strip() == "make book: unknown setting SCALE=gpu; this target takes: none"


def test_an_unknown_chapter_names_the_known_ones():
    command = [sys.executable, "-m", "book._tools", "references", "CHAPTER=nothing"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 2
    assert done.stderr.startswith("make references: no chapter 'nothing'; there are: ")
