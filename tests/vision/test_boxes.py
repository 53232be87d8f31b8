"""Boxes against torchvision and d2l, and by what must hold for every box."""

import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import ops

from d2lcompanion.vision import boxes
from d2lcompanion.vision.boxes import (
    box_area,
    box_convert,
    box_iou,
    clip_boxes,
    decode_offsets,
    encode_offsets,
    generalized_box_iou,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from d2l import torch as d2l

FORMATS = list(boxes.FORMATS)


def random_boxes(count: int, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator, dtype=dtype) * 100
    size = torch.rand(count, 2, generator=generator, dtype=dtype) * 60 + 0.5
    return torch.cat([corner, corner + size], -1)


UNIT = [0.0, 0.0, 2.0, 2.0]
CORNER_CASES = torch.tensor(
    [
        UNIT,
        [2.0, 0.0, 4.0, 2.0],  # shares an edge with the first
        [2.0, 2.0, 4.0, 4.0],  # shares a corner
        [0.5, 0.5, 1.5, 1.5],  # inside
        [1.0, -1.0, 3.0, 5.0],
        [1.0, 0.0, 1.0, 2.0],  # a line
        [1.0, 1.0, 1.0, 1.0],  # a point
        [1.0, 1.0, 1.0, 1.0],
    ],
    dtype=torch.float64,
)

numbers = st.integers(-1000, 1000)


@st.composite
def a_box(draw, *, least=0):
    x, y = draw(numbers), draw(numbers)
    w, h = draw(st.integers(least, 500)), draw(st.integers(least, 500))
    return torch.tensor([[x, y, x + w, y + h]], dtype=torch.float64)


# ---------------------------------------------------------------------------------------- formats


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_formats_are_torchvision_s(source, target):
    corners = torch.cat([random_boxes(50, 0), CORNER_CASES])
    given_ = ops.box_convert(corners, "xyxy", source)
    expected = ops.box_convert(given_, source, target)
    torch.testing.assert_close(box_convert(given_, source, target), expected)
    assert box_convert(given_[:0], source, target).shape == (0, 4)
    stacked = given_[:6].reshape(2, 3, 4)  # any leading dimensions
    torch.testing.assert_close(box_convert(stacked, source, target), expected[:6].reshape(2, 3, 4))


def test_the_same_format_gives_a_new_tensor():
    given_ = random_boxes(3, 1)
    result = box_convert(given_, "xyxy", "xyxy")
    result += 1
    torch.testing.assert_close(given_, random_boxes(3, 1))


def test_clipping_is_torchvision_s():
    given_ = torch.cat([random_boxes(100, 2) - 40, CORNER_CASES - 1])
    expected = ops.clip_boxes_to_image(given_, (50, 30))
    torch.testing.assert_close(clip_boxes(given_, (50, 30)), expected)
    assert clip_boxes(given_[:0], (50, 30)).shape == (0, 4)


def test_a_box_outside_becomes_empty():
    outside = torch.tensor([[5.0, 5.0, 9.0, 7.0], [-3.0, 0.2, -1.0, 0.8]])
    clipped = clip_boxes(outside, (1, 1))
    assert box_area(clipped).tolist() == [0.0, 0.0]


# ---------------------------------------------------------------------------------------- overlap


def test_by_hand():
    a = torch.tensor([UNIT])
    b = torch.tensor([[1.0, 1.0, 3.0, 3.0], [4.0, 0.0, 6.0, 2.0]])
    assert box_area(b).tolist() == [4.0, 4.0]
    torch.testing.assert_close(box_iou(a, b), torch.tensor([[1 / 7, 0.0]]))
    giou = torch.tensor([[1 / 7 - 2 / 9, -4 / 12]])
    torch.testing.assert_close(generalized_box_iou(a, b), giou)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_overlap_is_torchvision_s_and_d2l_s(dtype):
    a, b = random_boxes(60, 3, dtype), random_boxes(40, 4, dtype)
    torch.testing.assert_close(box_area(a), ops.box_area(a))
    torch.testing.assert_close(box_iou(a, b), ops.box_iou(a, b))
    torch.testing.assert_close(box_iou(a, b), d2l.box_iou(a, b))
    torch.testing.assert_close(generalized_box_iou(a, b), ops.generalized_box_iou(a, b))
    assert float(generalized_box_iou(a, b).min()) < -0.1
    assert box_iou(a, b).dtype == dtype


@pytest.mark.parametrize("ours", [box_iou, generalized_box_iou])
def test_touching_and_degenerate_boxes(ours):
    """As torchvision where it has a number; where it has nan, the empty quotient is 0."""
    theirs = getattr(ops, ours.__name__)(CORNER_CASES, CORNER_CASES)
    found = ours(CORNER_CASES, CORNER_CASES)
    known = ~theirs.isnan()
    torch.testing.assert_close(found[known], theirs[known])
    assert found[~known].abs().max() == 0
    assert not known[6, 7]  # two equal points
    assert d2l.box_iou(CORNER_CASES, CORNER_CASES)[6, 7].isnan()


@pytest.mark.parametrize("ours", [box_iou, generalized_box_iou])
def test_no_boxes(ours):
    none, some = torch.empty(0, 4), torch.tensor([UNIT])
    assert [ours(a, b).shape for a, b in ((none, some), (some, none), (none, none))] == [
        (0, 1),
        (1, 0),
        (0, 0),
    ]
    assert box_area(none).shape == (0,)


@settings(max_examples=200, deadline=None)
@given(a_box(), a_box(), st.floats(0.01, 100), numbers, numbers)
def test_iou_holds_under_exchange_scale_and_shift(a, b, scale, dx, dy):
    iou, giou = box_iou(a, b), generalized_box_iou(a, b)
    assert 0 <= float(iou) <= 1
    assert -1 <= float(giou) <= float(iou)
    assert torch.equal(iou, box_iou(b, a))
    assert torch.equal(giou, generalized_box_iou(b, a))
    shift = torch.tensor([dx, dy, dx, dy], dtype=torch.float64)
    for function, value in ((box_iou, iou), (generalized_box_iou, giou)):
        assert torch.equal(function(a + shift, b + shift), value)  # whole numbers: exact
        torch.testing.assert_close(function(a * scale, b * scale), value)


@settings(max_examples=100, deadline=None)
@given(a_box(least=1), st.floats(0.01, 100))
def test_a_box_overlaps_itself_fully(box, scale):
    for dtype in (torch.float32, torch.float64):
        scaled = (box * scale).to(dtype)
        if bool((scaled[..., :2] < scaled[..., 2:]).all()):
            assert float(box_iou(scaled, scaled)) == 1
            assert float(generalized_box_iou(scaled, scaled)) == 1


def test_half_precision_does_not_overflow():
    box = torch.tensor([[0.0, 0.0, 400.0, 400.0]], dtype=torch.float16)
    assert float(box_area(box)) == 160_000  # float16 ends at 65,504
    assert float(box_iou(box, box / 2)) == pytest.approx(0.25)


@pytest.mark.parametrize("ours", [box_iou, generalized_box_iou])
def test_gradients_are_those_of_differences(ours):
    a, b = random_boxes(6, 11).requires_grad_(), random_boxes(5, 12).requires_grad_()
    assert torch.autograd.gradcheck(ours, (a, b))


@pytest.mark.parametrize("ours", [box_iou, generalized_box_iou])
def test_gradients_are_finite_even_for_points(ours):
    a = CORNER_CASES.clone().requires_grad_()
    ours(a, CORNER_CASES).sum().backward()
    assert a.grad is not None
    assert bool(a.grad.isfinite().all())


# ---------------------------------------------------------------------------------------- offsets


def test_offsets_by_hand():
    """The anchor is 2 × 4 around (1, 2); the box 4 × 4 around (2, 2)."""
    anchor, box = torch.tensor([[0.0, 0.0, 2.0, 4.0]]), torch.tensor([[0.0, 0.0, 4.0, 4.0]])
    offsets = encode_offsets(anchor, box)
    torch.testing.assert_close(offsets, torch.tensor([[5.0, 0.0, math.log(2) / 0.2, 0.0]]))
    plain = encode_offsets(anchor, box, center_std=1.0, size_std=1.0)
    torch.testing.assert_close(plain, torch.tensor([[0.5, 0.0, math.log(2), 0.0]]))


def test_offsets_are_d2l_s_but_for_its_millionth():
    anchors, truths = random_boxes(50, 5), random_boxes(50, 6)
    ours = encode_offsets(anchors, truths)
    theirs = d2l.offset_boxes(anchors, truths)
    own, other = (b[:, 2:] - b[:, :2] for b in (anchors, truths))
    torch.testing.assert_close(theirs[:, :2], ours[:, :2])
    torch.testing.assert_close(theirs[:, 2:], ours[:, 2:] + 5 * (1e-6 * own / other).log1p())
    torch.testing.assert_close(decode_offsets(anchors, ours), d2l.offset_inverse(anchors, ours))
    back = d2l.offset_inverse(anchors, theirs)  # ln(10⁻⁶ + w/wₐ) comes back 10⁻⁶ wₐ wider
    wider = (back - truths)[:, 2:] * 2 / (anchors[:, 2:] - anchors[:, :2])
    torch.testing.assert_close(wider, torch.full_like(wider, 1e-6), rtol=1e-3, atol=0)


def test_offsets_are_torchvision_s():
    from torchvision.models.detection._utils import BoxCoder

    anchors, truths = random_boxes(50, 7), random_boxes(50, 8)
    coder = BoxCoder((10.0, 10.0, 5.0, 5.0))
    torch.testing.assert_close(
        encode_offsets(anchors, truths), coder.encode_single(truths, anchors)
    )


@settings(max_examples=100, deadline=None)
@given(a_box(least=1), a_box(least=1), st.floats(0.05, 2), st.floats(0.05, 2))
def test_decoding_undoes_encoding(anchor, box, center_std, size_std):
    stds = {"center_std": center_std, "size_std": size_std}
    offsets = encode_offsets(anchor, box, **stds)
    torch.testing.assert_close(decode_offsets(anchor, offsets, **stds), box, rtol=1e-9, atol=1e-9)


def test_offsets_broadcast_over_a_batch():
    anchors, truths = random_boxes(5, 9), random_boxes(10, 10).reshape(2, 5, 4)
    offsets = encode_offsets(anchors, truths)
    assert offsets.shape == (2, 5, 4)
    torch.testing.assert_close(offsets[1], encode_offsets(anchors, truths[1]))
    torch.testing.assert_close(decode_offsets(anchors, offsets), truths)


# ----------------------------------------------------------------------------------------- errors

GOOD = torch.tensor([UNIT, UNIT])
TAKE_BOXES = {
    "box_area": box_area,
    "box_iou, a": lambda b: box_iou(b, GOOD),
    "box_iou, b": lambda b: box_iou(GOOD, b),
    "generalized_box_iou": lambda b: generalized_box_iou(GOOD, b),
    "clip_boxes": lambda b: clip_boxes(b, (1, 1)),
    "box_convert": lambda b: box_convert(b, "xyxy", "xywh"),
    "encode_offsets, anchors": lambda b: encode_offsets(b, GOOD),
    "encode_offsets, boxes": lambda b: encode_offsets(GOOD, b),
    "decode_offsets": lambda b: decode_offsets(b, GOOD),
}
EACH = pytest.mark.parametrize("function", TAKE_BOXES.values(), ids=list(TAKE_BOXES))


@EACH
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([3.0, 0.0, 1.0, 2.0], r"x1 .* x2 .*got \[3\.0, 0\.0, 1\.0, 2\.0\] in row 1"),
        ([0.0, 2.5, 1.0, 2.0], r"y1 .* y2, got \[0\.0, 2\.5, 1\.0, 2\.0\] in row 1"),
        ([0.0, math.nan, 1.0, 2.0], r"finite .*got \[0\.0, nan, 1\.0, 2\.0\] in row 1"),
        ([0.0, 0.0, math.inf, 2.0], r"finite .*got \[0\.0, 0\.0, inf, 2\.0\] in row 1"),
    ],
)
def test_a_bad_box_is_named(function, row, message):
    with pytest.raises(ValueError, match=message):
        function(torch.tensor([UNIT, row]))


@EACH
def test_a_wrong_shape_or_type_is_named(function):
    with pytest.raises(ValueError, match=r"must be 4 \(x1, y1, x2, y2\), got \(2, 5\)"):
        function(torch.zeros(2, 5))
    with pytest.raises(ValueError, match=r"must be floats, got torch\.int64"):
        function(torch.zeros(2, 4, dtype=torch.long))


@pytest.mark.parametrize("shape", [(4,), (2, 3, 4)])
def test_pairs_need_two_lists(shape):
    for function in (box_iou, generalized_box_iou):
        with pytest.raises(ValueError, match=r"b must be \[N, 4\], got \("):
            function(GOOD, torch.zeros(shape))


def test_other_bad_input_is_named():
    with pytest.raises(ValueError, match=r"source must be one of .*got 'yxyx'"):
        box_convert(GOOD, "yxyx", "xyxy")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"target must be one of .*got 'yxyx'"):
        box_convert(GOOD, "xyxy", "yxyx")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"w ≥ 0 and h ≥ 0 \(cx, cy, w, h\), got .* in row 0"):
        box_convert(torch.tensor([[1.0, 1.0, -2.0, 1.0]]), "cxcywh", "xyxy")
    with pytest.raises(ValueError, match="image width must be > 0 and finite, got 0"):
        clip_boxes(GOOD, (4, 0))
    with pytest.raises(ValueError, match="center_std must be > 0"):
        encode_offsets(GOOD, GOOD, center_std=0)
    with pytest.raises(ValueError, match="size_std must be > 0"):
        decode_offsets(GOOD, GOOD, size_std=math.nan)
    with pytest.raises(ValueError, match=r"offsets must be finite \(dx, dy, dw, dh\)"):
        decode_offsets(GOOD, torch.full((2, 4), math.inf))
    flat = torch.tensor([[0.0, 0.0, 0.0, 2.0]])
    with pytest.raises(ValueError, match=r"boxes must have x1 < x2 and y1 < y2, got \[0\.0"):
        encode_offsets(GOOD[:1], flat)
    with pytest.raises(ValueError, match=r"in row \[1, 0\]"):
        box_area(torch.tensor([[UNIT], [[1.0, 0.0, 0.0, 0.0]]]))
    with pytest.raises(ValueError, match="in the box"):
        box_area(torch.tensor([1.0, 0.0, 0.0, 0.0]))
