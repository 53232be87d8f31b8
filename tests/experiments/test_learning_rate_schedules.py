import json

import pytest

from d2lcompanion.data.fashion_mnist import load_fashion_mnist
from d2lcompanion.experiments.image_classification import History, Images, prepare
from d2lcompanion.experiments.learning_rate_schedules import (
    SCHEDULES,
    Preset,
    _tune,
    metrics,
    study,
)


@pytest.fixture(scope="module")
def few() -> Images:
    full = prepare(load_fashion_mnist(), "cpu")
    return Images(*(part[:300] for part in full))


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_has_its_largest_rate_and_ends_in_time(name):
    schedule = SCHEDULES[name](0.1, 500, 100)
    rates = [schedule(t) for t in range(501)]
    assert max(rates) == pytest.approx(0.1)
    assert min(rates) >= 0
    decays = name not in ("constant", "square_root")
    assert (rates[500] < 0.01) == decays
    assert rates[50] == pytest.approx(0.1, rel=0.25), "at its height after a tenth"


def test_the_study_pairs_runs_and_repeats(few):
    def run():
        return study(
            few, rates=(0.01, 0.05), channels=2, epochs=2, batch_size=50, seed=1,
            schedules=("constant", "cosine"),
        )  # fmt: skip

    results = run()
    assert results == run()
    assert list(results) == ["constant", "cosine"]
    chosen = results["constant"]
    best = max(chosen.by_rate.values(), key=lambda h: h.held_out_accuracy[-1])
    assert chosen.chosen.held_out_accuracy[-1] == best.held_out_accuracy[-1]
    numbers = json.loads(json.dumps(metrics(results)))
    assert numbers["cosine"]["rates"] == [0.01, 0.05]
    assert numbers["cosine"]["test_accuracy"] == results["cosine"].chosen.test_accuracy[-1]


def history(held_out: float, diverged_at: int | None = None) -> History:
    return History([1.0], [held_out], [0.5], diverged_at)


def test_the_held_out_images_choose_and_diverged_runs_do_not_win():
    runs = {0.1: history(0.9), 0.3: history(0.9), 1.0: history(0.99, 10), 0.01: history(0.8)}
    assert _tune(runs).rate == 0.1
    with pytest.raises(ValueError, match=r"every rate diverged: 1\.0"):
        _tune({1.0: history(0.9, 3)})


def test_bad_presets_are_named():
    with pytest.raises(ValueError, match="epochs must be ≥ 2, got 1"):
        Preset("subset", 8, 1, 64, (0.1,))
    with pytest.raises(ValueError, match=r"rates must be .* got \(0.1, -1.0\)"):
        Preset("subset", 8, 2, 64, (0.1, -1.0))
