"""The command `d2lc`, on a tiny experiment: what it prints, writes, and how it refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import Result
from typer.testing import CliRunner

import d2lcompanion.experiments.catalog  # found before the fixture hides its folder
from d2lcompanion import cli
from d2lcompanion.data import registry

EXPERIMENT = '''
"""A tiny experiment."""
from dataclasses import dataclass
import torch
from d2lcompanion.training.experiment import Column, Experiment, Text

@dataclass(frozen=True)
class Preset:
    steps: int
    rate: float = 0.5

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError(f"steps must be ≥ 1, got {self.steps}")

def run(preset, context):
    if preset.rate == 9:
        raise FileNotFoundError("table.dat does not exist: run `d2lc data fetch table`")
    loss = float(torch.rand(1, generator=context.generator))
    return {"steps": preset.steps, "loss": {"last": loss}, "curve": [1.0, loss]}

EXPERIMENT = Experiment(
    "tiny", Text("A tiny experiment", "小实验"), "optimization/tiny",
    {"ci": Preset(3), "laptop": Preset(30), "gpu": Preset(300)},
    {"ci": "counts", "laptop": "counts more", "gpu": "counts most"},
    run, (Column("loss.last", Text("loss", "损失"), ".3f"),),
)
'''


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path_factory):
    """The package of experiments holds the tiny one alone."""
    folder = tmp_path_factory.mktemp("experiments")
    (folder / "tiny.py").write_text(EXPERIMENT, encoding="utf-8")
    monkeypatch.setattr(d2lcompanion.experiments, "__path__", [str(folder)])
    monkeypatch.delitem(sys.modules, "d2lcompanion.experiments.tiny", raising=False)
    yield
    sys.modules.pop("d2lcompanion.experiments.tiny", None)


def d2lc(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def run_tiny(*arguments: str | Path) -> Result:
    return d2lc("run", "tiny", "--device", "cpu", *arguments)


def test_list_shows_every_scale_and_preset():
    result = d2lc("list")
    assert result.exit_code == 0
    assert "tiny: A tiny experiment (chapter optimization/tiny)" in result.stdout
    for text in ("ci", "counts more", "steps=300, rate=0.5"):
        assert text in result.stdout


def test_run_prints_a_table_and_no_progress():
    result = run_tiny("--seed", "4")
    assert result.exit_code == 0
    assert "tiny, ci, cpu, fp32, seed 4" in result.stdout
    assert "loss.last" in result.stdout
    assert "2 values" in result.stdout
    assert result.stderr == ""


def test_run_writes_json(tmp_path):
    path = tmp_path / "out.json"
    result = run_tiny("--scale", "laptop", "--set", "rate=1e-3", "--json", path)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{path}: tiny, laptop, ")
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["preset"] == {"steps": 30, "rate": 0.001}
    assert record["command"] == "d2lc run tiny --scale laptop --device cpu --seed 0 --set rate=1e-3"


def test_seeds_change_and_repeat_a_result(tmp_path):
    def loss(seed: int, name: str) -> float:
        run_tiny("--seed", str(seed), "--json", tmp_path / name)
        return json.loads((tmp_path / name).read_text(encoding="utf-8"))["metrics"]["loss"]["last"]

    assert loss(1, "a.json") == loss(1, "b.json") != loss(2, "c.json")


def test_resume_keeps_a_finished_run(tmp_path):
    path = tmp_path / "out.json"
    assert run_tiny("--json", path, "--resume").exit_code == 0
    before = path.read_bytes()
    again = run_tiny("--json", path, "--resume")
    assert again.stdout == f"{path} holds this run already\n"
    assert path.read_bytes() == before
    other = run_tiny("--json", path, "--resume", "--seed", "1")
    assert other.exit_code == 2
    assert "holds another run, `d2lc run tiny --scale ci --device cpu" in other.stderr
    assert run_tiny("--json", path, "--seed", "1").exit_code == 0
    assert path.read_bytes() != before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scale", "big"], "scale must be one of ci, laptop, gpu, got 'big'"),
        (["--device", "tpu"], "device must be one of auto, cpu, cuda, mps, npu, xpu, got 'tpu'"),
        (["--precision", "fp16"], "precision fp16 is not available on cpu"),
        (["--devices", "0"], "devices must be a whole number ≥ 1, got 0"),
        (["--devices", "2"], "accelerate launch --multi_gpu --num_processes 2"),
        (["--seed", "-1"], "seed must be a whole number ≥ 0, got -1"),
        (["--set", "steps"], "--set must look like key=value, got 'steps'"),
        (["--set", "steps=x"], "steps must be int, got 'x'; allowed: steps (int), rate (float)"),
        (["--set", "step=1"], "unknown key step=1; allowed: steps (int), rate (float)"),
        (["--set", "steps=0"], "steps must be ≥ 1, got 0"),
        (["--set", "rate=9"], "table.dat does not exist: run `d2lc data fetch table`"),
        (["--json", "/no/such/out.json"], "the folder /no/such does not exist: make it first"),
        (["--json", "/"], "/ is a folder; --json takes the name of a file"),
        (["--resume"], "--resume needs --json FILE"),
    ],
)
def test_a_bad_value_is_one_line_and_exit_code_2(arguments, message):
    result = run_tiny(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("d2lc: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_device_that_is_not_there_lists_what_is(monkeypatch):
    from d2lcompanion.training import devices

    monkeypatch.setattr(devices, "available_devices", lambda: ("cpu",))
    result = d2lc("run", "tiny", "--device", "xpu")
    assert result.exit_code == 2
    assert result.stderr == "d2lc: device xpu is not available here; available: cpu\n"


def test_an_unknown_experiment_is_named():
    result = d2lc("run", "tinny")
    assert result.exit_code == 2
    assert result.stderr == ("d2lc: no experiment 'tinny'; did you mean tiny? there is: tiny\n")


def test_an_unknown_option_is_exit_code_2():
    result = run_tiny("--sed", "1")
    assert result.exit_code == 2
    assert "No such option: --sed" in result.stderr


def test_the_report_speaks_both_languages(tmp_path):
    (tmp_path / "tiny").mkdir()
    run_tiny("--json", tmp_path / "tiny" / "ci-cpu-seed0.json")
    english, chinese = (
        d2lc("report", "--lang", lang, "--results", tmp_path) for lang in ("en", "zh")
    )
    assert english.stdout.startswith("## A tiny experiment (`tiny`)\n\n| scale | loss |")
    assert chinese.stdout.startswith("## 小实验 (`tiny`)\n\n| 规模 | 损失 |")
    assert "| `gpu` | — | — | — | — |" in chinese.stdout


def test_a_report_in_another_language_is_refused(tmp_path):
    result = d2lc("report", "--lang", "fr", "--results", tmp_path)
    assert result.exit_code == 2
    assert result.stderr == "d2lc: --lang must be en or zh, got 'fr'\n"


def test_data_list_shows_the_registry(monkeypatch, tmp_path):
    monkeypatch.setenv("D2LC_DATA_DIR", str(tmp_path))
    result = d2lc("data", "list")
    assert result.exit_code == 0
    for entry in registry.REGISTRY.values():
        assert entry.file_name in result.stdout
        assert entry.licence in result.stdout
    assert f"cache: {tmp_path}" in result.stdout


def test_data_fetch_prints_where_the_file_is(monkeypatch, tmp_path):
    asked = []

    def fetch(name: str, *, allow_unverified: bool) -> Path:
        asked.append((name, allow_unverified))
        return tmp_path / "table.dat"

    monkeypatch.setattr(registry, "REGISTRY", {"table": SimpleNamespace()})
    monkeypatch.setattr(registry, "fetch", fetch)
    result = d2lc("data", "fetch", "table", "--allow-unverified")
    assert result.stdout == f"{tmp_path / 'table.dat'}\n"
    assert asked == [("table", True)]


@pytest.mark.parametrize(
    "error", [ValueError("table has no checksum"), OSError("table could not be fetched")]
)
def test_data_that_cannot_be_fetched_is_exit_code_2(monkeypatch, error):
    def fetch(name: str, *, allow_unverified: bool) -> Path:
        raise error

    monkeypatch.setattr(registry, "REGISTRY", {"table": SimpleNamespace()})
    monkeypatch.setattr(registry, "fetch", fetch)
    result = d2lc("data", "fetch", "table")
    assert result.exit_code == 2
    assert result.stderr == f"d2lc: {error}\n"


def test_unknown_data_are_named(monkeypatch):
    monkeypatch.setattr(registry, "REGISTRY", {"table": SimpleNamespace()})
    result = d2lc("data", "fetch", "tabel")
    assert result.exit_code == 2
    assert result.stderr == "d2lc: unknown data set 'tabel'; known: table\n"


def test_a_missing_extra_is_one_line_with_the_cure(monkeypatch):
    from d2lcompanion.training import runner

    def missing(*arguments: object) -> None:
        raise ImportError('accelerate is not installed; run: pip install "d2lcompanion[run]"')

    monkeypatch.setattr(runner, "run_experiment", missing)
    result = run_tiny()
    assert result.exit_code == 2
    assert 'pip install "d2lcompanion[run]"' in result.stderr


def test_a_mistake_in_the_code_keeps_its_traceback(monkeypatch):
    from d2lcompanion.training import runner

    def broken(*arguments: object) -> None:
        raise ModuleNotFoundError("No module named 'nonsense'")

    monkeypatch.setattr(runner, "run_experiment", broken)
    assert isinstance(run_tiny().exception, ModuleNotFoundError)


def test_a_broken_result_is_named_by_report(tmp_path):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "ci.json").write_text("{", encoding="utf-8")
    result = d2lc("report", "--results", tmp_path)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"d2lc: {tmp_path / 'tiny' / 'ci.json'} is not a result")


def test_report_names_a_folder_that_does_not_exist(tmp_path):
    result = d2lc("report", "--results", tmp_path / "none")
    assert result.exit_code == 2
    assert result.stderr == f"d2lc: no folder of results at {tmp_path / 'none'}\n"


@pytest.mark.parametrize("arguments", [("data", "list"), ("data", "fetch", "airfoil")])
def test_data_without_its_extra_is_one_line_with_the_cure(monkeypatch, arguments):
    monkeypatch.delenv("D2LC_DATA_DIR", raising=False)
    monkeypatch.setitem(sys.modules, "pooch", None)  # as if it were not installed
    result = d2lc(*arguments)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert 'pip install "d2lcompanion[data]"' in result.stderr


@pytest.mark.parametrize("encoding", ["ascii", "gbk"])
def test_a_pipe_gets_utf_8_whatever_the_system_prefers(encoding):
    code = "from d2lcompanion import cli; cli.app = lambda: print('κ ² 中文'); cli.main()"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        check=True,
        capture_output=True,
        timeout=60,
    )
    assert answer.stdout.decode("utf-8").strip() == "κ ² 中文"


def test_help_answers_without_importing_torch():
    """In a fresh interpreter, as a reader types it."""
    code = "import sys; from d2lcompanion import cli; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert "run" in d2lc("--help").stdout
