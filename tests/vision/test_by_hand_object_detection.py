"""The numbers of the section *By hand* of the chapter on object detection."""

import math

import pytest
import torch

from d2lcompanion.vision.anchors import Targets, anchor_boxes, match_anchors
from d2lcompanion.vision.boxes import box_convert, box_iou, encode_offsets, generalized_box_iou
from d2lcompanion.vision.detection_loss import detection_loss
from d2lcompanion.vision.detection_metrics import Detections, Truths, average_precision
from d2lcompanion.vision.nms import nms, soft_nms


def boxes(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def test_formats():
    assert box_convert(boxes([1, 2, 5, 4]), "xyxy", "cxcywh").tolist() == [[3, 3, 4, 2]]
    assert box_convert(boxes([1, 2, 5, 4]), "xyxy", "xywh").tolist() == [[1, 2, 4, 2]]


def test_overlap():
    a, b, c = boxes([0, 0, 2, 2]), boxes([1, 1, 3, 3]), boxes([4, 0, 6, 2])
    assert float(box_iou(a, b)) == pytest.approx(1 / 7)
    assert float(generalized_box_iou(a, b)) == pytest.approx(-5 / 63)
    assert float(box_iou(a, c)) == 0
    assert float(generalized_box_iou(a, c)) == pytest.approx(-1 / 3)


def test_an_anchor():
    found = anchor_boxes((1, 1), (100, 200), [0.5], [4.0])[0] * torch.tensor([200, 100, 200, 100])
    assert found.tolist() == pytest.approx([50, 37.5, 150, 62.5])


def test_matching():
    """A true box that no anchor reaches by one half still gets one."""
    anchors = boxes([0, 0, 2, 2], [2, 0, 4, 2], [0, 0, 4, 2])
    truths = boxes([0, 0, 3, 2], [2, 1, 4, 2])
    table = box_iou(anchors, truths)
    expected = boxes([2 / 3, 0], [1 / 4, 1 / 2], [3 / 4, 1 / 4])
    torch.testing.assert_close(table, expected)
    assert match_anchors(anchors, truths).tolist() == [0, 1, 0]
    assert match_anchors(anchors, truths, 0.7).tolist() == [-1, 1, 0]


def test_offsets():
    found = encode_offsets(boxes([0, 0, 2, 4]), boxes([0, 0, 4, 4]))
    assert found[0].tolist() == pytest.approx([5, 0, math.log(2) / 0.2, 0])
    assert float(found[0, 2]) == pytest.approx(3.4657, abs=1e-4)


def test_loss():
    mask = torch.tensor([[True, False, False]])
    targets = Targets(torch.zeros(1, 3, 4), mask, torch.tensor([[1, 0, 0]]))
    logits = torch.tensor([[[0.0, 0], [0, 0], [math.log(3), 0]]])
    offsets = torch.tensor([[[0.5, 3.0, 0, 0], [9, 9, 9, 9], [9, 9, 9, 9]]])
    found = {
        kind: detection_loss(logits, offsets, targets, negatives=kind, ratio=1)
        for kind in ("hard", "all", "focal")
    }
    assert float(found["hard"].offsets) == pytest.approx(2.625)
    assert float(found["hard"].classes) == pytest.approx(1.3863, abs=1e-4)
    assert float(found["all"].classes) == pytest.approx(1.6740, abs=1e-4)
    assert float(found["focal"].classes) == pytest.approx(0.3646, abs=1e-4)


def test_suppression():
    crowd, scores = boxes([0, 0, 5, 1], [1, 0, 6, 1], [2, 0, 7, 1]), boxes([0.9, 0.8, 0.7])[0]
    assert box_iou(crowd, crowd)[0].tolist() == pytest.approx([1, 2 / 3, 3 / 7])
    assert nms(crowd, scores, 0.5).tolist() == [0, 2]
    assert nms(crowd, scores, 0.4).tolist() == [0]
    soft = soft_nms(crowd, scores)
    assert soft.indices.tolist() == [0, 2, 1]
    third = 0.7 * math.exp(-((3 / 7) ** 2) / 0.5)
    second = 0.8 * math.exp(-2 * (2 / 3) ** 2 / 0.5)
    assert soft.scores.tolist() == pytest.approx([0.9, third, second])
    assert (third, second) == pytest.approx((0.4848, 0.1352), abs=1e-4)


def test_average_precision():
    """Hit, false alarm, hit, of two true boxes: 51 points at 1 and 50 at 2/3."""
    truth = Truths(boxes([0, 0, 1, 1], [2, 0, 3, 1]), torch.tensor([0, 0]))
    found = Detections(
        boxes([0, 0, 1, 1], [5, 0, 6, 1], [2, 0, 3, 1]),
        torch.tensor([0.9, 0.8, 0.7]),
        torch.tensor([0, 0, 0]),
    )
    expected = (51 + 50 * 2 / 3) / 101
    assert average_precision([found], [truth]).mean == pytest.approx(expected)
    assert expected == pytest.approx(0.8350, abs=1e-4)
