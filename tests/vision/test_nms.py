"""Suppression against torchvision, loops over classes, and a slow loop for the soft one."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import ops

from d2lcompanion.vision import nms as module
from d2lcompanion.vision.boxes import box_iou
from d2lcompanion.vision.nms import batched_nms, nms, soft_nms

COUNTS = [0, 1, 2, 50, module.BLOCK, module.BLOCK + 1, 1000]


def crowd(count: int, seed: int, *, ties: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Boxes that overlap a lot, some twice; with ties only 5 different scores."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 100
    size = torch.rand(count, 2, generator=generator) * 40 + 5
    boxes = torch.cat([corner, corner + size], -1)
    boxes[count // 2 : count // 2 + count // 10] = boxes[: count // 10]
    scores = torch.rand(count, generator=generator)
    return boxes, (scores * 5).floor() / 5 if ties else scores


def chain(count: int) -> torch.Tensor:
    """Each box overlaps the next by 1/2, so every other one stays: as many rounds as boxes."""
    x = torch.arange(count, dtype=torch.float64)
    return torch.stack([x, 0 * x, x + 3, 0 * x + 1], -1)


# -------------------------------------------------------------------------------------------- hard


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("iou_threshold", [0.0, 0.25, 0.5, 0.7, 1.0])
def test_kept_indices_are_torchvision_s(count, ties, iou_threshold):
    boxes, scores = crowd(count, count, ties=ties)
    kept = nms(boxes, scores, iou_threshold)
    assert kept.tolist() == ops.nms(boxes, scores, iou_threshold).tolist()
    assert kept.dtype == torch.long
    if count >= 50 and iou_threshold in (0.25, 0.5, 0.7):
        assert 0 < len(kept) < count


def test_by_hand():
    """The second overlaps the first by 2/3, the third the second by 2/3 and the first by 3/7."""
    boxes = torch.tensor([[0.0, 0, 5, 1], [1, 0, 6, 1], [2, 0, 7, 1], [20, 0, 21, 1]])
    scores = torch.tensor([0.9, 0.8, 0.7, 0.95])
    assert nms(boxes, scores, 0.5).tolist() == [3, 0, 2]
    assert nms(boxes, scores, 0.4).tolist() == [3, 0]
    assert nms(boxes, scores, 0.7).tolist() == [3, 0, 1, 2]


@pytest.mark.parametrize("count", [10, module.BLOCK, 2 * module.BLOCK + 3])
def test_the_longest_chain_is_resolved(count):
    scores = torch.arange(count, 0, -1, dtype=torch.float64)
    assert nms(chain(count), scores, 0.4).tolist() == list(range(0, count, 2))


def test_equal_scores_go_by_index():
    box = torch.tensor([[0.0, 0, 1, 1]])
    boxes, scores = box.repeat(600, 1), torch.full((600,), 0.5)
    assert nms(boxes, scores, 0.5).tolist() == [0]
    apart = boxes + 2 * torch.arange(600.0)[:, None]
    assert nms(apart, scores, 0.5).tolist() == list(range(600))


def test_an_iou_equal_to_the_threshold_stays():
    """3/10 in float32 is larger than in float64: there torchvision drops the box."""
    boxes = torch.tensor([[0.0, 0, 10, 1], [0, 0, 3, 1]])
    scores = torch.tensor([0.9, 0.8])
    assert float(box_iou(boxes[:1], boxes[1:])) > 0.3
    assert nms(boxes, scores, 0.3).tolist() == [0, 1]
    assert ops.nms(boxes, scores, 0.3).tolist() == [0]
    assert ops.nms(boxes.double(), scores.double(), 0.3).tolist() == [0, 1]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 400), st.integers(0, 10**6), st.floats(0, 1), st.booleans())
def test_what_is_kept_is_apart_and_what_is_dropped_is_covered(count, seed, threshold, ties):
    boxes, scores = crowd(count, seed, ties=ties)
    kept = nms(boxes, scores, threshold)
    assert scores[kept[0]] == scores.max()
    assert bool((scores[kept].diff() <= 0).all())
    iou = box_iou(boxes, boxes)
    among = iou[kept][:, kept].fill_diagonal_(0)
    assert not bool((among > threshold).any())
    dropped = torch.ones(count, dtype=torch.bool)
    dropped[kept] = False
    better = (scores[kept][:, None] >= scores) & (iou[kept] > threshold)
    assert bool(better.any(0)[dropped].all())


@pytest.mark.parametrize("seed", range(3))
def test_classes_do_not_compete(seed):
    boxes, scores = crowd(500, seed, ties=True)
    classes = torch.randint(-2, 4, (500,), generator=torch.Generator().manual_seed(seed))
    kept = []
    for c in classes.unique():
        rows = (classes == c).nonzero()[:, 0]
        kept += rows[nms(boxes[rows], scores[rows], 0.4)].tolist()
    expected = sorted(kept, key=lambda i: (-float(scores[i]), i))
    assert batched_nms(boxes, scores, classes, 0.4).tolist() == expected
    assert len(expected) > len(nms(boxes, scores, 0.4))
    one = torch.zeros_like(classes)
    assert batched_nms(boxes, scores, one, 0.4).tolist() == nms(boxes, scores, 0.4).tolist()


def test_classes_far_apart_do_not_round_the_boxes():
    """Moving class 10⁷ away by its number, as torchvision does, makes these two boxes equal."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [6, 0, 16, 10]])
    scores, classes = torch.tensor([0.9, 0.8]), torch.tensor([10**7, 10**7])
    assert batched_nms(boxes, scores, classes, 0.5).tolist() == [0, 1]
    assert ops.batched_nms(boxes, scores, classes, 0.5).tolist() == [0]


# -------------------------------------------------------------------------------------------- soft


def slow_soft_nms(boxes, scores, method, sigma, iou_threshold, score_threshold):
    """Algorithm of Bodla et al. with lists of numbers."""

    def iou(p, q):
        w = min(p[2], q[2]) - max(p[0], q[0])
        h = min(p[3], q[3]) - max(p[1], q[1])
        both = max(w, 0) * max(h, 0)
        areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (p, q)]
        return both / (sum(areas) - both)

    left = dict(enumerate(scores))
    chosen = []
    while left:
        best = min(left, key=lambda i: (-left[i], i))
        if left[best] < score_threshold:
            break
        chosen.append((best, left.pop(best)))
        for i in left:
            u = iou(boxes[best], boxes[i])
            if method == "gaussian":
                left[i] *= math.exp(-(u**2) / sigma)
            elif u >= iou_threshold:
                left[i] *= 1 - u
    return chosen


@pytest.mark.parametrize("method", ["gaussian", "linear"])
@pytest.mark.parametrize("score_threshold", [0.0, 0.001, 0.1])
@pytest.mark.parametrize("ties", [False, True])
def test_soft_suppression_is_the_slow_loop_s(method, score_threshold, ties):
    boxes, scores = (x.double() for x in crowd(80, 7, ties=ties))
    expected = slow_soft_nms(boxes.tolist(), scores.tolist(), method, 0.5, 0.3, score_threshold)
    found = soft_nms(boxes, scores, method=method, score_threshold=score_threshold)
    assert found.indices.tolist() == [index for index, _ in expected]
    values = torch.tensor([value for _, value in expected], dtype=torch.float64)
    torch.testing.assert_close(found.scores, values)
    assert bool((found.scores.diff() <= 0).all())
    if score_threshold == 0:
        assert sorted(found.indices.tolist()) == list(range(80))
    if score_threshold == 0.1:
        assert 0 < len(expected) < 80


def test_linear_decay_begins_at_the_threshold():
    boxes, scores = torch.tensor([[0.0, 0, 2, 1], [0, 0, 1, 1]]), torch.tensor([0.9, 0.8])
    at = soft_nms(boxes, scores, method="linear", iou_threshold=0.5)  # the IoU is ½
    above = soft_nms(boxes, scores, method="linear", iou_threshold=0.51)
    assert at.scores.tolist() == pytest.approx([0.9, 0.4])
    assert above.scores.tolist() == pytest.approx([0.9, 0.8])


def test_a_copy_vanishes_under_linear_decay_and_returns_once_at_no_threshold():
    boxes, scores = torch.tensor([[0.0, 0, 1, 1]]).repeat(3, 1), torch.tensor([0.5, 0.9, 0.7])
    kept = soft_nms(boxes, scores, method="linear")
    assert (kept.indices.tolist(), len(kept.scores)) == ([1], 1)
    everything = soft_nms(boxes, scores, method="linear", score_threshold=0.0)
    assert everything.indices.tolist() == [1, 0, 2]
    assert everything.scores.tolist() == pytest.approx([0.9, 0.0, 0.0])


def test_a_tiny_sigma_is_hard_suppression_at_threshold_zero():
    boxes, scores = crowd(300, 11)
    soft = soft_nms(boxes, scores + 0.1, sigma=1e-9)
    assert soft.indices.tolist() == nms(boxes, scores + 0.1, 0.0).tolist()


def test_nothing_gives_nothing():
    boxes, scores = crowd(0, 0)
    found = soft_nms(boxes, scores)
    assert (found.indices.shape, found.indices.dtype) == ((0,), torch.long)
    assert (found.scores.shape, found.scores.dtype) == ((0,), torch.float32)
    none = torch.empty(0, dtype=torch.long)
    assert batched_nms(boxes, scores, none, 0.5).shape == (0,)


# ----------------------------------------------------------------------------------------- errors

CALLS = {
    "nms": lambda b, s: nms(b, s, 0.5),
    "batched_nms": lambda b, s: batched_nms(b, s, torch.zeros(len(b), dtype=torch.long), 0.5),
    "soft_nms": soft_nms,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
def test_bad_boxes_and_scores_are_named(call):
    boxes, scores = crowd(3, 0)
    with pytest.raises(ValueError, match=r"boxes must be \[N, 4\], got \(1, 3, 4\)"):
        call(boxes[None], scores)
    with pytest.raises(ValueError, match=r"scores must have shape \[3\], got \[2\]"):
        call(boxes, scores[:2])
    with pytest.raises(ValueError, match=r"scores must be finite, got nan at \[1\]"):
        call(boxes, torch.tensor([0.1, math.nan, 0.2]))
    with pytest.raises(ValueError, match="scores must be floats"):
        call(boxes, torch.tensor([1, 2, 3]))
    with pytest.raises(ValueError, match=r"x1 ≤ x2 .* in row 2"):
        call(torch.cat([boxes[:2], boxes[2:, [2, 3, 0, 1]]]), scores)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_a_threshold_outside_is_named(value):
    boxes, scores = crowd(3, 0)
    classes = torch.zeros(3, dtype=torch.long)
    message = rf"iou_threshold must be in \[0, 1\], got {value}"
    for call in (
        lambda: nms(boxes, scores, value),
        lambda: batched_nms(boxes, scores, classes, value),
        lambda: soft_nms(boxes, scores, iou_threshold=value),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_other_bad_input_is_named():
    boxes, scores = crowd(3, 0)
    with pytest.raises(ValueError, match=r"classes must be whole numbers, got torch.float32"):
        batched_nms(boxes, scores, scores, 0.5)
    with pytest.raises(ValueError, match=r"classes must have shape \[3\]"):
        batched_nms(boxes, scores, torch.tensor([1]), 0.5)
    with pytest.raises(ValueError, match="method must be 'gaussian' or 'linear', got 'hard'"):
        soft_nms(boxes, scores, method="hard")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="sigma must be > 0"):
        soft_nms(boxes, scores, sigma=0)
    with pytest.raises(ValueError, match="score_threshold must be ≥ 0, got nan"):
        soft_nms(boxes, scores, score_threshold=math.nan)
    with pytest.raises(ValueError, match=r"scores must be ≥ 0, got -0\.5 at 1"):
        soft_nms(boxes, torch.tensor([0.1, -0.5, 0.2]))
