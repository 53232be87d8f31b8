"""One experiment from settings to result: seeds, scales, devices, and what is recorded."""

import math
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
import torch

from d2lcompanion.training.experiment import RunContext, Text
from d2lcompanion.training.progress import silent
from d2lcompanion.training.results import write_result
from d2lcompanion.training.runner import command_line, resume, run_experiment, same_run
from d2lcompanion.training.settings import Settings, SettingsError

CI = Settings(device="cpu")


def test_a_result_records_what_was_run(experiment):
    result = run_experiment(experiment, replace(CI, seed=5, overrides={"sizes": "4,5"}))
    assert (result.experiment, result.scale, result.seed) == ("tiny", "ci", 5)
    assert (result.device, result.devices, result.precision) == ("cpu", 1, "fp64")
    assert result.preset == {"steps": 3, "sizes": [4, 5]}
    assert result.metrics["steps"] == 3
    assert result.command == "d2lc run tiny --scale ci --device cpu --seed 5 --set sizes=4,5"
    assert result.seconds > 0
    assert datetime.fromisoformat(result.when).utcoffset() == timedelta(0)


def test_a_seed_repeats_and_another_seed_does_not(experiment):
    first, again, other = (
        run_experiment(experiment, replace(CI, seed=seed)).metrics for seed in (1, 1, 2)
    )
    assert first == again
    assert first["noise"] != other["noise"]


def test_the_global_generator_is_left_alone(experiment):
    before = torch.get_rng_state()
    run_experiment(experiment, CI)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_scale_changes_the_result(experiment):
    assert run_experiment(experiment, replace(CI, scale="laptop")).metrics["steps"] == 30


def test_the_precision_reaches_the_experiment(experiment):
    full, single = (run_experiment(experiment, replace(CI, precision=p)) for p in ("auto", "fp32"))
    assert (full.precision, single.precision) == ("fp64", "fp32")
    assert full.metrics["noise"] != single.metrics["noise"]


def test_a_metric_that_is_not_finite_is_refused_by_name(experiment):
    broken = replace(experiment, run=lambda preset, context: {"a": {"loss": math.nan}})
    with pytest.raises(ValueError, match=r"metrics\.a\.loss is nan"):
        run_experiment(broken, CI)


def test_several_devices_in_one_process_say_what_to_type(experiment):
    message = (
        r"--devices is 4, but 1 process was started; start them all with: accelerate launch "
        r"--multi_gpu --num_processes 4 --module d2lcompanion\.cli "
        r"run tiny --scale ci --device cpu --devices 4 --seed 0"
    )
    with pytest.raises(SettingsError, match=message):
        run_experiment(experiment, replace(CI, devices=4))


def test_mps_is_one_device(experiment, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(SettingsError, match="mps is a single device, --devices is 2"):
        run_experiment(experiment, Settings(device="mps", devices=2))


def test_the_command_quotes_what_a_shell_would_split():
    assert command_line("tiny", Settings(overrides={"name": "a b"})) == (
        "d2lc run tiny --scale ci --device auto --seed 0 --set 'name=a b'"
    )


def test_the_same_run_is_known_by_its_settings(experiment):
    result = run_experiment(experiment, CI)
    assert same_run(result, experiment, CI)
    assert same_run(result, experiment, replace(CI, precision="fp64", overrides={"steps": 3}))
    for change in (
        {"seed": 1},
        {"scale": "laptop"},
        {"precision": "fp32"},
        {"overrides": {"steps": "4"}},
        {"devices": 2},
    ):
        assert not same_run(result, experiment, replace(CI, **change))


def test_resuming_keeps_a_finished_run(experiment, tmp_path):
    path = tmp_path / "result.json"
    assert resume(path, experiment, CI) is None
    result = run_experiment(experiment, CI)
    write_result(result, path)
    assert resume(path, experiment, CI) == result
    with pytest.raises(
        SettingsError, match="holds another run, `d2lc run tiny --scale ci --device cpu"
    ):
        resume(path, experiment, replace(CI, seed=1))
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(SettingsError, match="is not a result"):
        resume(path, experiment, CI)


@pytest.mark.parametrize("field", ["presets", "notes"])
def test_an_experiment_has_all_scales(experiment, field):
    with pytest.raises(ValueError, match=f"{field} of tiny must have the scales ci, laptop, gpu"):
        replace(experiment, **{field: {"ci": getattr(experiment, field)["ci"]}})


def test_an_experiment_has_a_precision_of_its_own(experiment):
    with pytest.raises(ValueError, match="precision of tiny must be fixed, got 'auto'"):
        replace(experiment, precision="auto")


def test_a_text_has_two_languages():
    text = Text("step", "步")
    assert (text.of("en"), text.of("zh")) == ("step", "步")
    with pytest.raises(ValueError, match="lang must be en or zh, got 'fr'"):
        text.of("fr")


def test_rows_are_shared_between_processes_and_gathered(experiment):
    """Two processes, acted by one: each gets half of the padded rows, gather joins the halves."""
    rows = torch.arange(6.0).reshape(3, 2)

    class Half:
        num_processes = 2

        def split_between_processes(self, rows, apply_padding):
            assert apply_padding
            return nullcontext(rows[:2])

        def gather(self, results):
            last = rows[2:].sum(-1)  # what the other process computed, padded with its last row
            return torch.cat([results, last, last])

    context = RunContext(CI, torch.device("cpu"), torch.float64, torch.Generator(), iter, Half())
    assert context.map_rows(lambda part: part.sum(-1), rows).tolist() == [1.0, 5.0, 9.0]


@pytest.mark.parametrize("precision", ["no", "bf16", "fp16"])
def test_only_fp16_is_refused(precision):
    accelerator = SimpleNamespace(mixed_precision=precision)
    device, generator = torch.device("cpu"), torch.Generator()
    context = RunContext(Settings(), device, torch.float32, generator, silent, accelerator)
    if precision == "fp16":
        with pytest.raises(SettingsError, match="fp32 or bf16 here, got fp16"):
            context.refuse_fp16()
    else:
        context.refuse_fp16()
