"""The detector: where its numbers stand, what it detects if they are right, and bad input."""

import math

import pytest
import torch
from torchvision import ops

from d2lcompanion.vision.anchors import anchor_boxes, assign_targets
from d2lcompanion.vision.detection_loss import detection_loss
from d2lcompanion.vision.detection_metrics import Detections, Truths, average_precision
from d2lcompanion.vision.nms import soft_nms
from d2lcompanion.vision.ssd import SSD, Prediction, SSDConfig, detect, suppress

CONFIG = SSDConfig(1, 2, widths=(4, 6, 8), sizes=((0.25, 0.35), (0.5,)))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def model():
    return SSD(CONFIG, seeded())


def pictures(count=3, height=32, width=48):
    return torch.rand(count, 1, height, width, generator=seeded(1))


class Knowing(SSD):
    """Answers with what it was told, whatever the picture."""

    def __init__(self, answer: Prediction):
        super().__init__(CONFIG, None)
        self.answer = answer

    def forward(self, images):
        return self.answer


def answer(labels, anchors, sure=20.0):
    """The prediction of a network that has learned its targets by heart."""
    targets = assign_targets(anchors, labels)
    one_hot = torch.nn.functional.one_hot(targets.classes, CONFIG.classes + 1).float()
    return Prediction(anchors, sure * one_hot, targets.offsets)


LABELS = torch.tensor(
    [
        [[0, 0.1, 0.1, 0.5, 0.4], [1, 0.12, 0.1, 0.52, 0.42]],
        [[1, 0.6, 0.6, 0.9, 0.95], [-1, -1, -1, -1, -1]],
        [[-1, -1, -1, -1, -1], [-1, -1, -1, -1, -1]],
    ]
)


def test_one_number_for_each_anchor_in_the_order_of_the_anchors(model):
    anchors, logits, offsets = model(pictures())
    first = anchor_boxes((8, 12), (32, 48), CONFIG.sizes[0], CONFIG.ratios)
    second = anchor_boxes((4, 6), (32, 48), CONFIG.sizes[1], CONFIG.ratios)
    torch.testing.assert_close(anchors, torch.cat([first, second]))
    assert logits.shape == (3, len(anchors), 3)
    assert offsets.shape == (3, len(anchors), 4)
    # the head's channel a·(K + 1) + c at cell (i, j) is anchor a of that cell, class c
    maps = model.stages[1](model.stages[0](pictures()))
    raw = model.classify[0](maps)
    for a, i, j in ((0, 0, 0), (3, 2, 5), (1, 7, 11)):
        torch.testing.assert_close(logits[:, (i * 12 + j) * 4 + a], raw[:, a * 3 : a * 3 + 3, i, j])


def test_a_shifted_picture_shifts_the_answer(model):
    """Convolutions do not know where they are: eight pixels to the right are one cell."""
    model.eval()
    wide = pictures(1, 64, 96)
    answers = [model(wide[..., k : k + 64]).logits[0, : 16 * 16 * 4] for k in (0, 8)]
    cells = [x.reshape(16, 16, 4, 3) for x in answers]
    torch.testing.assert_close(cells[0][4:-4, 6:-4], cells[1][4:-4, 4:-6], atol=1e-5, rtol=1e-4)


def test_weights_come_from_the_generator(model):
    torch.manual_seed(7)
    again, other = SSD(CONFIG, seeded()), SSD(CONFIG, seeded(1))
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert not torch.equal(model.stages[0][0].weight, other.stages[0][0].weight)


def test_perfect_answers_give_the_true_boxes_and_an_average_precision_of_one():
    anchors = SSD(CONFIG, seeded())(pictures()).anchors
    found = detect(Knowing(answer(LABELS, anchors)), pictures())
    truths = [Truths(x[x[:, 0] >= 0][:, 1:], x[x[:, 0] >= 0][:, 0].long()) for x in LABELS]
    for detection, truth in zip(found, truths, strict=True):
        order = detection.classes.argsort()
        torch.testing.assert_close(detection.boxes[order], truth.boxes, atol=1e-5, rtol=1e-5)
        assert detection.classes[order].tolist() == truth.classes.tolist()
    assert average_precision(found, truths).mean == 1


def test_detection_is_decoding_and_torchvision_s_suppression(model):
    """Random predictions, image by image, with torchvision's operations."""
    images, anchors = pictures(), model(pictures()).anchors
    g = seeded(3)
    said = Prediction(
        anchors,
        torch.randn(3, len(anchors), 3, generator=g) * 2,
        torch.randn(3, len(anchors), 4, generator=g),
    )
    found = detect(Knowing(said), images, score_threshold=0.3, iou_threshold=0.5, limit=50)
    p = said.logits.softmax(-1)[..., 1:]
    own = ops.box_convert(anchors, "xyxy", "cxcywh")
    for image, detection in enumerate(found):
        o = said.offsets[image]
        center = own[:, :2] + o[:, :2] * 0.1 * own[:, 2:]
        boxes = torch.cat([center, own[:, 2:] * (o[:, 2:] * 0.2).exp()], -1)
        boxes = ops.clip_boxes_to_image(ops.box_convert(boxes, "cxcywh", "xyxy"), (1, 1))
        a, c = (p[image] >= 0.3).nonzero(as_tuple=True)
        first = p[image][a, c].argsort(descending=True, stable=True)[:200]
        a, c = a[first], c[first]
        kept = ops.batched_nms(boxes[a], p[image][a, c], c, 0.5)[:50]
        torch.testing.assert_close(detection.boxes, boxes[a[kept]])
        torch.testing.assert_close(detection.scores, p[image][a[kept], c[kept]])
        assert detection.classes.tolist() == c[kept].tolist()


def test_soft_suppression_works_class_by_class():
    anchors = SSD(CONFIG, seeded())(pictures()).anchors[::7]
    g = seeded(4)
    candidates = Detections(
        anchors, torch.rand(len(anchors), generator=g), torch.arange(len(anchors)) % 2
    )
    found = suppress(candidates, soft=True, limit=1000)
    assert bool((found.scores.diff() <= 0).all())
    for label in (0, 1):
        own = candidates.classes == label
        alone = soft_nms(candidates.boxes[own], candidates.scores[own])
        torch.testing.assert_close(found.scores[found.classes == label], alone.scores)
        torch.testing.assert_close(
            found.boxes[found.classes == label], candidates.boxes[own][alone.indices]
        )
    assert len(suppress(candidates, soft=True, limit=5).boxes) == 5


def test_nothing_likely_is_nothing_found(model):
    for soft in (False, True):
        (first, *_) = detect(model, pictures(), score_threshold=0.999, soft=soft)
        assert [x.shape for x in first] == [(0, 4), (0,), (0,)]


def test_detecting_leaves_the_mode_and_the_statistics(model):
    for training in (True, False):
        model.train(training)
        before = model.stages[0][1].running_mean.clone()
        detect(model, pictures())
        assert model.training is training
        assert torch.equal(model.stages[0][1].running_mean, before)


def test_a_few_steps_learn_two_pictures_by_heart():
    model = SSD(CONFIG, seeded())
    images, labels = pictures(3), LABELS
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    first = None
    for _ in range(60):
        anchors, logits, offsets = model(images)
        loss = sum(detection_loss(logits, offsets, assign_targets(anchors, labels)))
        first = first or float(loss.detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.1 * first


def test_dtype_follows_the_pictures(model):
    doubled = model.double()(pictures().double())
    assert {x.dtype for x in doubled} == {torch.float64}


# ----------------------------------------------------------------------------------------- errors


def test_bad_input_is_named(model):
    for bad, message in (
        (torch.zeros(2, 3, 32, 32), r"1 channels .* got \[n, c, H, W\] = \[2, 3, 32, 32\]"),
        (torch.zeros(2, 1, 32, 7), r"at least 8 pixels, got .*\[2, 1, 32, 7\]"),
        (torch.zeros(1, 32, 32), r"images must be \[n, c, H, W\]"),
        (torch.zeros(0, 1, 32, 32), r"images must be \[n, c, H, W\] of floats, got shape \[0"),
        (torch.zeros(2, 1, 32, 32, dtype=torch.uint8), "of floats, got shape .* torch.uint8"),
    ):
        with pytest.raises(ValueError, match=message):
            detect(model, bad)
    for change, message in (
        ({"score_threshold": 1.5}, r"score_threshold must be in \[0, 1\], got 1\.5"),
        ({"iou_threshold": math.nan}, r"iou_threshold must be in \[0, 1\], got nan"),
        ({"limit": 0}, "limit must be a whole number ≥ 1, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            detect(model, pictures(), **change)
    said = model(pictures())
    said.offsets.data[1, 5, 2] = math.nan
    with pytest.raises(ValueError, match=r"offsets must be finite .* in row \[1, 5\]"):
        detect(Knowing(said), pictures())


def test_bad_configurations_are_named():
    for change, message in (
        ({"classes": 0}, "classes must be a whole number ≥ 1, got 0"),
        ({"channels": 0}, "channels must be a whole number ≥ 1, got 0"),
        ({"widths": (4, 0)}, "widths must be a whole number ≥ 1, got 0"),
        ({"sizes": ()}, "sizes must name 1 to 4 maps, got 0"),
        ({"widths": (4,), "sizes": ((0.1,), (0.2,))}, "sizes must name 1 to 1 maps, got 2"),
    ):
        with pytest.raises(ValueError, match=message):
            SSDConfig(**{"channels": 1, "classes": 2, **change})
