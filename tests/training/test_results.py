"""The record of a run: it comes back as it went in, whole or not at all, and holds no NaN."""

import json
import math
import os
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from d2lcompanion.training.results import (
    Band,
    metric_band,
    read_result,
    read_results,
    require_writable,
    results_directory,
    write_result,
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
trees = st.recursive(
    scalars,
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text("abc", max_size=3), children)
    ),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    metrics=st.dictionaries(st.text("xyz", min_size=1, max_size=3), trees, max_size=4),
    seed=st.integers(0, 2**40),
    seconds=st.floats(0, 1e6),
)
def test_what_is_written_is_read(make_result, tmp_path, metrics, seed, seconds):
    result = make_result(metrics=metrics, seed=seed, seconds=seconds)
    write_result(result, tmp_path / "result.json")
    assert read_result(tmp_path / "result.json") == result
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_tuples_become_lists_at_once(make_result):
    assert make_result(metrics={"sizes": (1, (2, 3))}).metrics == {"sizes": [1, [2, 3]]}


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"newton": {"gap": math.nan}}, "metrics.newton.gap is nan"),
        ({"curve": [1.0, -math.inf]}, r"metrics.curve\[1\] is -inf"),
        ({"x": torch.ones(1)}, "metrics.x is a Tensor, which JSON does not have"),
        ({"x": {3: 1}}, "metrics.x has the key 3, which is not text"),
    ],
)
def test_what_json_cannot_hold_is_refused_by_name(make_result, metrics, message):
    with pytest.raises(ValueError, match=message):
        make_result(metrics=metrics)


def test_a_metric_is_found_by_its_dotted_name(make_result):
    result = make_result()
    assert result.metric("sum.total") == 1.25
    assert result.metric("seconds") == 0.5


@pytest.mark.parametrize("key", ["sum.mean", "total", "steps.first"])
def test_a_missing_metric_is_named(make_result, key):
    with pytest.raises(KeyError, match=rf"tiny has no metric '{key}'; there is: "):
        make_result().metric(key)


def test_the_file_name_says_scale_device_and_seed(make_result):
    assert make_result(seed=3).file_name == "tiny/ci-cpu-seed3.json"
    several = make_result(scale="gpu", device="cuda", devices=4)
    assert several.file_name == "tiny/gpu-cudax4-seed0.json"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(make_result, tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    write_result(make_result(), path)
    before = path.read_bytes()

    def fail(self: Path, target: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_result(make_result(seed=1), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_named(make_result, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        write_result(make_result(), tmp_path / "nowhere" / "result.json")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        require_writable(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not a result"),
        ("[]", "missing .*'command'"),
        ('{"seed": 1, "sead": 2}', r"missing .*'when'.* unknown \['sead'\]"),
        ('{"seed": NaN}', "NaN is not JSON"),
    ],
)
def test_a_file_that_is_no_result_is_named(tmp_path, text, message):
    path = tmp_path / "odd.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=rf"odd\.json.*{message}"):
        read_result(path)


def test_an_infinite_number_in_a_file_is_named_with_the_file(make_result, tmp_path):
    path = tmp_path / "odd.json"
    write_result(make_result(seconds=0.125), path)
    path.write_text(path.read_text(encoding="utf-8").replace("0.125", "1e999"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"odd\.json is not a result: seconds is inf"):
        read_result(path)


def test_a_file_in_another_encoding_is_named(tmp_path):
    (tmp_path / "odd.json").write_bytes('{"command": "梯度下降"}'.encode("gbk"))
    with pytest.raises(ValueError, match=r"odd\.json is not a result: .*utf-8"):
        read_result(tmp_path / "odd.json")


def test_a_missing_folder_of_results_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder of results at .*none"):
        read_results(tmp_path / "none")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_no_file_is_never_replaced(tmp_path, make_result):
    pipe = tmp_path / "pipe"  # as /dev/null or /dev/stdout would be
    os.mkfifo(pipe)
    with pytest.raises(FileExistsError, match="pipe is not a file"):
        write_result(make_result(), pipe)
    assert pipe.is_fifo()


def test_a_folder_that_takes_nothing_is_named_before_the_run(tmp_path, monkeypatch):
    def refuse(**options: object) -> None:
        raise PermissionError(13, "Permission denied", str(options["dir"]))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(PermissionError, match=rf"written in {tmp_path}: Permission denied"):
        require_writable(tmp_path / "result.json")


def test_results_are_read_in_the_order_of_their_paths(make_result, tmp_path):
    for result in (make_result(seed=1), make_result(seed=0), make_result(experiment="other")):
        path = tmp_path / result.file_name
        path.parent.mkdir(exist_ok=True)
        write_result(result, path)
    assert [run.experiment for run in read_results(tmp_path)] == ["other", "tiny", "tiny"]
    assert [run.seed for run in read_results(tmp_path, "tiny")] == [0, 1]


def test_the_folder_of_results(tmp_path, root):
    assert results_directory({}) == root / "results"
    assert results_directory({"D2LC_RESULTS_DIR": str(tmp_path)}) == tmp_path
    with pytest.raises(FileNotFoundError, match="set D2LC_RESULTS_DIR"):
        results_directory({"D2LC_RESULTS_DIR": str(tmp_path / "none")})


def test_a_band_is_the_spread_over_seeds(make_result):
    runs = [make_result(seed=s, metrics={"x": float(s)}) for s in (4, 0, 2)]
    band = metric_band(runs, "x")
    assert band == Band(2.0, 2.0, 0.0, 4.0, (0, 2, 4))
    assert band.holds(9.9)
    assert not band.holds(10.1)
    assert not band.holds(4.1, width=1)
    assert metric_band(runs[:1], "x") == Band(4.0, 0.0, 4.0, 4.0, (4,))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"seed": 1, "preset": {"steps": 9}},
        {"seed": 1, "precision": "fp32"},
        {"seed": 1, "scale": "gpu"},
    ],
)
def test_a_band_takes_runs_that_differ_in_the_seed_alone(make_result, change):
    with pytest.raises(ValueError, match="differ in the seed alone, got seeds"):
        metric_band([make_result(), make_result(**change)], "steps")
    with pytest.raises(ValueError, match="differ in the seed alone"):
        metric_band([], "steps")


def test_committed_results_are_whole(root):
    """Every file of results/ is readable, named after what it holds, and free of paths."""
    for path in sorted((root / "results").glob("*/*.json")):
        result = read_result(path)
        assert path == root / "results" / result.file_name
        text = json.dumps([result.hardware, result.command])
        assert not any(word in text for word in ("/home", "/root", "/work", "/tmp"))
