"""Average precision against hand cases and a slow loop written from COCO's definition.

pycocotools is not in the lock yet: equality with it comes with the chapter on detection.
"""

import math

import numpy as np
import pytest
import torch

from d2lcompanion.vision.detection_metrics import (
    COCO_THRESHOLDS,
    Detections,
    Truths,
    average_precision,
)

UNIT = [0.0, 0.0, 10.0, 10.0]
FAR = [50.0, 50.0, 60.0, 60.0]
ELSEWHERE = [100.0, 0.0, 110.0, 10.0]


def detections(*rows: tuple[list[float], float, int]) -> Detections:
    boxes, scores, classes = zip(*rows, strict=True) if rows else ((), (), ())
    return Detections(
        torch.tensor(boxes).reshape(-1, 4),
        torch.tensor(scores, dtype=torch.float32),
        torch.tensor(classes, dtype=torch.long),
    )


def truths(*rows: tuple[list[float], int]) -> Truths:
    boxes, classes = zip(*rows, strict=True) if rows else ((), ())
    return Truths(torch.tensor(boxes).reshape(-1, 4), torch.tensor(classes, dtype=torch.long))


# ------------------------------------------------------------------------------------------ by hand


def test_perfect_is_one():
    true = [truths((UNIT, 0), (FAR, 3)), truths((UNIT, 3))]
    found = [detections((UNIT, 0.2, 0), (FAR, 0.9, 3)), detections((UNIT, 0.1, 3))]
    result = average_precision(found, true)
    assert result.mean == 1
    assert result.table.shape == (10, 2)
    assert result.classes == (0, 3)
    assert result.thresholds == COCO_THRESHOLDS == pytest.approx([0.5 + i / 20 for i in range(10)])


@pytest.mark.parametrize(
    "found",
    [
        detections(),
        detections((FAR, 0.9, 0)),  # elsewhere
        detections((UNIT, 0.9, 1)),  # another class
    ],
)
def test_all_wrong_is_zero(found):
    assert average_precision([found], [truths((UNIT, 0))]).mean == 0


def test_one_missed_of_two():
    """Precision 1 up to recall ½, that is at 51 of the 101 points."""
    result = average_precision([detections((UNIT, 0.9, 0))], [truths((UNIT, 0), (FAR, 0))])
    assert result.mean == pytest.approx(51 / 101)


def test_a_duplicate_is_a_false_alarm():
    """Below the hit it costs nothing; above the second hit it costs: 51 at 1, 50 at ⅔."""
    double = [(UNIT, 0.9, 0), (UNIT, 0.8, 0)]
    assert average_precision([detections(*double)], [truths((UNIT, 0))]).mean == 1
    both = [detections(*double, (FAR, 0.7, 0))]
    expected = (51 + 50 * 2 / 3) / 101
    assert average_precision(both, [truths((UNIT, 0), (FAR, 0))]).mean == pytest.approx(expected)


def test_a_precision_recall_curve_by_hand():
    """Ranked: hit, miss, hit, miss, miss, hit, of 4 true boxes.

    Recall ¼ ¼ ½ ½ ½ ¾ at precision 1 ½ ⅔ ½ ⅖ ½: the envelope is 1 up to ¼ (26 points),
    ⅔ up to ½ (25 points), ½ up to ¾ (25 points), then 0.
    """
    places = [UNIT, FAR, ELSEWHERE, [200.0, 0.0, 210.0, 10.0]]
    nowhere = [300.0, 300.0, 310.0, 310.0]
    boxes = [UNIT, nowhere, FAR, nowhere, nowhere, ELSEWHERE]
    found = detections(*((box, 0.9 - i / 10, 0) for i, box in enumerate(boxes)))
    result = average_precision([found], [truths(*((p, 0) for p in places))])
    assert result.mean == pytest.approx((26 + 25 * 2 / 3 + 25 / 2) / 101)


def test_the_threshold_of_overlap():
    """An IoU of 0.64 counts at 0.50, 0.55 and 0.60, and of exactly 0.75 also at 0.75."""
    small = [detections(([0.0, 0.0, 8.0, 8.0], 0.9, 0))]
    result = average_precision(small, [truths((UNIT, 0))])
    assert result.table[:, 0].tolist() == [1.0] * 3 + [0.0] * 7
    assert result.mean == pytest.approx(0.3)
    exact = [detections(([0.0, 0.0, 10.0, 7.5], 0.9, 0))]
    assert average_precision(exact, [truths((UNIT, 0))], thresholds=[0.75]).mean == 1


def test_a_class_without_a_true_box_is_left_out():
    found = [detections((UNIT, 0.9, 0), (FAR, 0.99, 7))]
    result = average_precision(found, [truths((UNIT, 0))])
    assert (result.mean, result.classes) == (1, (0,))


def test_classes_are_averaged_and_images_ranked_together():
    """Class 1 has a false alarm in image 1 above its hit in image 0: precision ½ throughout."""
    true = [truths((UNIT, 0), (FAR, 1)), truths()]
    found = [detections((UNIT, 0.9, 0), (FAR, 0.3, 1)), detections((UNIT, 0.4, 1))]
    result = average_precision(found, true)
    assert result.table[0].tolist() == pytest.approx([1.0, 0.5])
    assert result.mean == pytest.approx(0.75)


def test_at_most_so_many_detections_of_a_class_in_an_image():
    false_alarms = [(FAR, 0.9, 0)] * 99
    true = [truths((UNIT, 0))]
    hit, class_1 = (UNIT, 0.5, 0), [(FAR, 0.95, 1)] * 50
    for count, expected in ((99, 1 / 100), (100, 0)):
        found = [detections(*([(FAR, 0.9, 0)] * count), hit, *class_1)]
        assert average_precision(found, true).mean == pytest.approx(expected)
    found = [detections(*false_alarms, hit)]
    assert average_precision(found, true, max_detections=99).mean == 0


@pytest.mark.parametrize("first", [0, 1])
def test_equal_scores_keep_their_order(first):
    """The same score: the first in the list, then the first image, is ranked first."""
    pair = [(UNIT, 0.5, 0), (FAR, 0.5, 0)]
    found = [detections(*(pair if first == 0 else pair[::-1]))]
    expected = 1.0 if first == 0 else 0.5
    assert average_precision(found, [truths((UNIT, 0))]).mean == expected
    images = [
        (detections((UNIT, 0.5, 0)), truths((UNIT, 0))),
        (detections((FAR, 0.5, 0)), truths()),
    ]
    ordered = images if first == 0 else images[::-1]
    result = average_precision([f for f, _ in ordered], [t for _, t in ordered])
    assert result.mean == expected


@pytest.mark.parametrize("last", ["right", "left"])
def test_of_equal_overlaps_the_last_true_box_is_taken(last):
    """As pycocotools: the right one, once taken, is lost for the detection that needs it."""
    left, right = [-2.0, 0.0, 8.0, 10.0], [2.0, 0.0, 12.0, 10.0]  # 2/3 of UNIT each
    order = [left, right] if last == "right" else [right, left]
    found = detections((UNIT, 0.9, 0), ([5.0, 0.0, 15.0, 10.0], 0.8, 0))
    result = average_precision([found], [truths(*((b, 0) for b in order))], thresholds=[0.5])
    assert result.mean == pytest.approx(51 / 101 if last == "right" else 1)


# ------------------------------------------------------------------------------------- a slow loop


def slow_iou(p: list[float], q: list[float]) -> float:
    both = max(min(p[2], q[2]) - max(p[0], q[0]), 0) * max(min(p[3], q[3]) - max(p[1], q[1]), 0)
    areas = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (p, q))
    return both / (areas - both)


def slow_average_precision(found, true, wanted, threshold, limit):
    """One class at one threshold: each recall point looks through the whole ranking."""
    ranking, positives = [], 0
    for image, (seen, there) in enumerate(zip(found, true, strict=True)):
        left = [b for b, c in zip(*map(torch.Tensor.tolist, there), strict=True) if c == wanted]
        positives += len(left)
        own = [
            (score, -place, box)
            for place, (box, score, c) in enumerate(
                zip(*map(torch.Tensor.tolist, seen), strict=True)
            )
            if c == wanted
        ]
        for place, (score, _, box) in enumerate(sorted(own, key=lambda d: d[:2])[::-1][:limit]):
            overlaps = [slow_iou(box, other) for other in left]
            best = max(overlaps, default=-1.0)
            hit = best >= threshold
            if hit:
                del left[len(left) - 1 - overlaps[::-1].index(best)]
            ranking.append((-score, image, place, hit))
    hits = [entry[3] for entry in sorted(ranking)]
    points = [
        (sum(hits[: n + 1]) / positives, sum(hits[: n + 1]) / (n + 1)) for n in range(len(hits))
    ]
    envelope = [
        max((p for r, p in points if r >= recall), default=0.0) for recall in np.linspace(0, 1, 101)
    ]
    return sum(envelope) / 101


def random_scene(seed: int, *, ties: bool):
    """7 images, 3 classes; detections are true boxes, moved, and noise, some repeated."""
    rng = np.random.default_rng(seed)
    found, true = [], []
    for image in range(7):
        count = int(rng.integers(0, 6)) if image else 4
        corner = rng.integers(0, 60, (count, 2)).astype(float)
        boxes = np.concatenate([corner, corner + rng.integers(8, 30, (count, 2))], 1)
        classes = rng.integers(0, 3, count)
        true.append(Truths(torch.tensor(boxes), torch.tensor(classes)))
        near = np.repeat(boxes, 3, 0)
        near[:, :2] += rng.integers(-3, 4, near[:, :2].shape)
        near[:, 2:] += rng.integers(-3, 4, near[:, 2:].shape)
        labels = np.where(rng.random(len(near)) < 0.8, np.repeat(classes, 3), 1)
        scores = rng.random(len(near))
        scores = np.floor(scores * 4) / 4 if ties else scores
        found.append(Detections(*map(torch.tensor, (near, scores, labels))))
    return found, true


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("limit", [100, 3])
@pytest.mark.parametrize("seed", range(4))
def test_the_table_is_the_slow_loop_s(seed, limit, ties):
    found, true = random_scene(seed, ties=ties)
    result = average_precision(found, true, max_detections=limit)
    expected = np.array(
        [
            [slow_average_precision(found, true, c, t, limit) for c in result.classes]
            for t in COCO_THRESHOLDS
        ]
    )
    np.testing.assert_allclose(result.table, expected, rtol=1e-12)
    assert result.mean == pytest.approx(expected.mean())
    assert 0.05 < result.mean < 0.95
    assert bool((np.diff(result.table.mean(1)) <= 1e-12).all())  # stricter is never better


def test_only_the_ranking_matters():
    found, true = random_scene(0, ties=False)
    moved = [f._replace(scores=f.scores.exp() * 7) for f in found]
    np.testing.assert_array_equal(
        average_precision(found, true).table, average_precision(moved, true).table
    )
    single = [f._replace(boxes=f.boxes.float()) for f in found]  # whole numbers: exact
    np.testing.assert_array_equal(
        average_precision(found, true).table, average_precision(single, true).table
    )


# ------------------------------------------------------------------------------------------ errors


def test_bad_input_is_named():
    found, true = [detections((UNIT, 0.9, 0))], [truths((UNIT, 0))]
    with pytest.raises(ValueError, match="got 1 of detections and 2 of truths"):
        average_precision(found, true * 2)
    for nothing in ([], [truths()]):
        with pytest.raises(ValueError, match="AP needs at least one true box"):
            average_precision(found[: len(nothing)], nothing)
    with pytest.raises(ValueError, match=r"thresholds must be in \[0, 1\], got 50"):
        average_precision(found, true, thresholds=[50])
    with pytest.raises(ValueError, match="thresholds must hold at least one number"):
        average_precision(found, true, thresholds=[])
    with pytest.raises(ValueError, match="max_detections must be a whole number ≥ 1, got 0"):
        average_precision(found, true, max_detections=0)
    bad = {
        r"boxes in detections of image 0 must have x1 ≤ x2": {
            "boxes": torch.tensor([[1.0, 0, 0, 0]])
        },
        r"boxes in detections of image 0: last dimension must be 4": {"boxes": torch.zeros(1, 5)},
        r"boxes in detections of image 0 must have shape \[1, 4\]": {"boxes": torch.zeros(1, 1, 4)},
        r"scores in detections of image 0 must have shape \[1\]": {"scores": torch.zeros(2)},
        r"scores in .* must be finite, got nan": {"scores": torch.tensor([math.nan])},
        r"classes in .* must be whole numbers, got torch.float32": {"classes": torch.zeros(1)},
    }
    for message, change in bad.items():
        with pytest.raises(ValueError, match=message):
            average_precision([found[0]._replace(**change)], true)
    with pytest.raises(ValueError, match=r"classes in truths of image 0 must have shape \[1\]"):
        average_precision(found, [true[0]._replace(classes=torch.tensor([0, 1]))])
