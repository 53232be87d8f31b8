"""Tables of results: both languages, a dash where nothing was measured."""

from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from d2lcompanion.training.experiment import Text
from d2lcompanion.training.results import write_result
from d2lcompanion.training.results_table import format_number, report, results_table


@pytest.fixture
def directory(make_result, tmp_path):
    """Two seeds at ci and one run on four accelerators."""
    card = {"cpu": "Abacus", "threads": 8, "accelerator": "Card"}
    runs = [
        make_result(metrics={"steps": 3, "sum": {"total": 1.0}}),
        make_result(metrics={"steps": 3, "sum": {"total": 3.0}}, seed=1, seconds=1.5),
        make_result(scale="gpu", device="cuda", devices=4, hardware=card, seconds=12.34),
    ]
    (tmp_path / "tiny").mkdir()
    for run in runs:
        write_result(run, tmp_path / run.file_name)
    return tmp_path


def test_the_english_table(experiment, directory):
    assert results_table(experiment, "en", directory=directory).splitlines() == [
        "| scale | steps | total | seeds | seconds | hardware |",
        "| :-- | --: | --: | --: | --: | :-- |",
        "| `ci`, cpu, fp64 | 3 | 2.00 ± 1.4 | 2 | 1 | Abacus (1 thread) |",
        "| `laptop` | — | — | — | — | — |",
        "| `gpu`, cuda × 4, fp64 | 3 | 1.25 | 1 | 12 | Card |",
    ]


def test_the_chinese_table_has_the_same_numbers(experiment, directory):
    lines = results_table(experiment, "zh", directory=directory).splitlines()
    assert lines[0] == "| 规模 | 步数 | 总和 | 种子数 | 用时（秒） | 硬件 |"
    assert lines[2] == "| `ci`, cpu, fp64 | 3 | 2.00 ± 1.4 | 2 | 1 | Abacus（1 线程） |"


def test_a_bar_in_a_heading_does_not_end_its_cell(experiment, directory):
    """Rendered by the parser of the site, the table has as many columns in each row."""
    header = Text("largest |log Z|", "最大的 |log Z|")
    columns = (experiment.columns[0]._replace(header=header),)
    table = results_table(replace(experiment, columns=columns), "en", directory=directory)
    rows = [t for t in MarkdownIt().enable("table").parse(table) if t.type == "inline"]
    assert rows[1].content == "largest |log Z|"
    assert (
        len(rows) == 4 * 5
    )  # heading and three scales; scale, one column, seeds, seconds, hardware


def test_nothing_measured_is_all_dashes(experiment, tmp_path):
    rows = results_table(experiment, "en", directory=tmp_path).splitlines()[2:]
    dashes = " | —" * 5
    assert rows == [f"| `{scale}`{dashes} |" for scale in ("ci", "laptop", "gpu")]


def test_what_a_run_could_not_measure_is_a_dash(experiment, make_result, tmp_path):
    run = make_result(metrics={"steps": None, "sum": {"total": 1.0}})
    (tmp_path / "tiny").mkdir()
    write_result(run, tmp_path / run.file_name)
    assert "| `ci`, cpu, fp64 | — | 1.00 |" in results_table(experiment, "en", directory=tmp_path)


def test_another_preset_gets_a_row_of_its_own(experiment, directory, make_result):
    other = make_result(preset={"steps": 9}, seed=2)
    write_result(other, directory / other.file_name)
    rows = results_table(experiment, "en", directory=directory).splitlines()
    assert len([row for row in rows if row.startswith("| `ci`")]) == 2


def test_an_unknown_language_is_an_error(experiment, tmp_path):
    with pytest.raises(ValueError, match="lang must be en or zh, got 'de'"):
        results_table(experiment, "de", directory=tmp_path)


def test_the_report_has_a_heading_a_table_and_the_commands(experiment, directory):
    text = report([experiment], "zh", directory=directory)
    assert text.startswith("## 小实验 (`tiny`)\n\n| 规模 |")
    assert text.count("- `d2lc run tiny`") == 3


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [(0.0666, ".2g", "0.067"), (6.66e-7, ".2g", "6.7e-7"), (3e7, ".0e", "3e7"), (64, "d", "64")],
)
def test_exponents_are_not_padded(value, spec, text):
    assert format_number(value, spec) == text
