"""The loss of a detector against torchvision, slow loops, and numbers by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy
from torchvision.models.detection.ssd import SSD as TorchvisionSSD
from torchvision.ops import sigmoid_focal_loss

from d2lcompanion.vision.anchors import Targets
from d2lcompanion.vision.detection_loss import (
    NEGATIVES,
    detection_loss,
    focal_loss,
    hard_negatives,
)


def problem(seed=0, images=3, anchors=40, classes=2):
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(1, classes + 1, (images, anchors), generator=g)
    mask = torch.rand(images, anchors, generator=g) < 0.1
    targets = Targets(
        torch.randn(images, anchors, 4, generator=g) * mask[..., None], mask, labels * mask
    )
    logits = torch.randn(images, anchors, classes + 1, generator=g) * 3
    return logits, torch.randn(images, anchors, 4, generator=g), targets


# ------------------------------------------------------------------------------------------ mining


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(0, 10**6), st.integers(1, 4), st.booleans())
def test_mining_takes_the_worst_as_a_sorted_list_does(anchors, seed, ratio, ties):
    g = torch.Generator().manual_seed(seed)
    loss = torch.rand(4, anchors, generator=g)
    loss = (loss * 4).floor() if ties else loss
    matched = torch.rand(4, anchors, generator=g) < 0.2
    found = hard_negatives(loss, matched, ratio)
    for image in range(4):
        free = [a for a in range(anchors) if not matched[image, a]]
        free.sort(key=lambda a: (-float(loss[image, a]), a))
        wanted = ratio * max(int(matched[image].sum()), 1)
        assert found[image].nonzero()[:, 0].tolist() == sorted(free[:wanted])


def test_mining_by_hand():
    loss = torch.tensor([[0.9, 0.1, 0.5, 0.7, 0.3, 0.2]])
    matched = torch.tensor([[True, False, False, False, False, False]])
    assert hard_negatives(loss, matched, 2).tolist() == [[False, False, True, True, False, False]]
    nothing = torch.zeros_like(matched)
    assert int(hard_negatives(loss, nothing, 3).sum()) == 3


# ------------------------------------------------------------------------------------------- focal


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 3.5])
def test_focal_loss_of_two_classes_is_torchvision_s_sigmoid_one(gamma):
    """softmax of (0, z) is the sigmoid of z."""
    g = torch.Generator().manual_seed(0)
    z = torch.randn(200, generator=g, dtype=torch.float64) * 4
    truth = torch.randint(2, (200,), generator=g)
    ours = focal_loss(torch.stack([torch.zeros_like(z), z], -1), truth, gamma)
    theirs = sigmoid_focal_loss(z, truth.double(), alpha=-1, gamma=gamma)
    torch.testing.assert_close(ours, theirs)


def test_focal_loss_is_the_slow_formula_and_cross_entropy_at_zero():
    logits, _, targets = problem(1)
    p = logits.double().softmax(-1)
    slow = [
        [-((1 - p[b, a, c]) ** 2) * math.log(p[b, a, c]) for a, c in enumerate(row)]
        for b, row in enumerate(targets.classes.tolist())
    ]
    found = focal_loss(logits.double(), targets.classes)
    torch.testing.assert_close(found, torch.tensor(slow, dtype=torch.float64))
    plain = cross_entropy(logits.movedim(-1, 1), targets.classes, reduction="none")
    torch.testing.assert_close(focal_loss(logits, targets.classes, 0.0), plain)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_a_sure_answer_has_a_finite_gradient(gamma):
    logits = torch.tensor([[200.0, 0, 0], [-200, 0, 0]], requires_grad=True)
    focal_loss(logits, torch.tensor([0, 0]), gamma).sum().backward()
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())


# -------------------------------------------------------------------------------------------- both


def slow_loss(logits, offsets, targets, negatives, ratio):
    """Anchor by anchor."""
    logits = logits.double()
    classes = moved = 0.0
    count = max(int(targets.mask.sum()), 1)
    for b in range(len(logits)):
        losses = [
            -math.log(float(logits[b, a].softmax(-1)[targets.classes[b, a]]))
            for a in range(logits.shape[1])
        ]
        own = targets.mask[b].tolist()
        free = sorted((x for x, m in zip(losses, own, strict=True) if not m), reverse=True)
        kept = free[: ratio * max(sum(own), 1)] if negatives == "hard" else free
        classes += sum(x for x, m in zip(losses, own, strict=True) if m) + sum(kept)
        for a in range(logits.shape[1]):
            for d in (offsets[b, a] - targets.offsets[b, a]).abs().tolist() if own[a] else ():
                moved += d - 0.5 if d >= 1 else d * d / 2
    return classes / count, moved / count


@pytest.mark.parametrize("negatives", ["hard", "all"])
@pytest.mark.parametrize("seed", range(3))
def test_the_sum_is_that_of_a_loop_over_anchors(negatives, seed):
    logits, offsets, targets = problem(seed)
    found = detection_loss(logits, offsets, targets, negatives=negatives, ratio=2)
    expected = slow_loss(logits, offsets, targets, negatives, 2)
    assert [float(x) for x in found] == pytest.approx(expected, rel=1e-5)


def test_hard_negatives_are_torchvision_s_ssd():
    logits, offsets, targets = problem(5)
    assert bool(targets.mask.any(1).all())  # torchvision gives an image without objects no say
    matched = [torch.where(m, 0, -1) for m in targets.mask]
    truth = [
        {"boxes": torch.tensor([[0.0, 0, 1, 1]]), "labels": torch.tensor([1])} for _ in range(3)
    ]
    one = targets._replace(classes=targets.mask.long())  # torchvision reads labels by the match
    model = torch.nn.Module()
    model.neg_to_pos_ratio = 3

    class Coder:
        def encode_single(self, boxes, anchors):
            return anchors

    model.box_coder = Coder()
    anchors = [targets.offsets[b] for b in range(3)]  # the coder hands the wanted offsets on
    theirs = TorchvisionSSD.compute_loss(
        model, truth, {"bbox_regression": offsets, "cls_logits": logits}, anchors, matched
    )
    ours = detection_loss(logits, offsets, one)
    torch.testing.assert_close(ours.classes, theirs["classification"])
    torch.testing.assert_close(ours.offsets, theirs["bbox_regression"])


def test_by_hand():
    """One matched anchor, two of background: ln 2 for a shrug, and smooth L1 of ½ and 3."""
    targets = Targets(
        torch.zeros(1, 3, 4), torch.tensor([[True, False, False]]), torch.tensor([[1, 0, 0]])
    )
    logits = torch.tensor([[[0.0, 0], [0, 0], [math.log(3), 0]]])
    offsets = torch.tensor([[[0.5, 3.0, 0, 0], [9, 9, 9, 9], [9, 9, 9, 9]]])
    classes, moved = detection_loss(logits, offsets, targets, ratio=1)
    assert float(classes) == pytest.approx(2 * math.log(2))
    assert float(moved) == pytest.approx(0.125 + 2.5)
    whole = detection_loss(logits, offsets, targets, negatives="all").classes
    assert float(whole) == pytest.approx(2 * math.log(2) + math.log(4 / 3))
    focal = detection_loss(logits, offsets, targets, negatives="focal").classes
    assert float(focal) == pytest.approx(math.log(2) / 2 + math.log(4 / 3) / 16)


@pytest.mark.parametrize("negatives", NEGATIVES)
def test_images_without_objects_teach_background_only(negatives):
    logits, offsets, targets = problem(2)
    empty = Targets(*(torch.zeros_like(x) for x in targets))
    logits, offsets = logits.requires_grad_(), offsets.requires_grad_()
    classes, moved = detection_loss(logits, offsets, empty, negatives=negatives)
    assert float(moved.detach()) == 0
    assert float(classes.detach()) > 0
    (classes + moved).backward()
    assert offsets.grad is not None
    assert not bool(offsets.grad.any())
    assert bool((logits.grad[..., 0] <= 0).all())  # background becomes likelier


# ----------------------------------------------------------------------------------------- errors


def test_bad_input_is_named():
    logits, offsets, targets = problem(3)
    with pytest.raises(ValueError, match=r"logits must be \[B, A, K \+ 1\], got \[3, 40, 1\]"):
        detection_loss(logits[..., :1], offsets, targets)
    with pytest.raises(ValueError, match=r"offsets must have shape \[3, 40, 4\], got \[3, 39, 4\]"):
        detection_loss(logits, offsets[:, 1:], targets)
    with pytest.raises(ValueError, match=r"targets.mask must have shape \[3, 40\]"):
        detection_loss(logits, offsets, targets._replace(mask=targets.mask[:2]))
    wrong = targets._replace(classes=targets.classes + 5)
    with pytest.raises(ValueError, match=r"a class must be in \[0, 2\), got [56]"):
        detection_loss(logits, offsets, wrong)
    with pytest.raises(ValueError, match=r"negatives must be one of .*got 'some'"):
        detection_loss(logits, offsets, targets, negatives="some")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="ratio must be a whole number ≥ 1, got 0"):
        detection_loss(logits, offsets, targets, ratio=0)
    with pytest.raises(ValueError, match=r"loss must be \[B, A\], got \[40\]"):
        hard_negatives(torch.zeros(40), torch.zeros(40, dtype=torch.bool))
    with pytest.raises(ValueError, match="gamma must be ≥ 0, got nan"):
        focal_loss(logits, targets.classes, math.nan)
    with pytest.raises(ValueError, match=r"classes must have shape \[3, 40\]"):
        focal_loss(logits, targets.classes[:1])
