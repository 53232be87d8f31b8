"""Anchors and their targets against d2l where it is right, slow loops elsewhere."""

import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.vision import anchor_matching
from d2lcompanion.vision.anchors import anchor_boxes, assign_targets, match_anchors
from d2lcompanion.vision.boxes import box_convert, box_iou, decode_offsets

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from d2l import torch as d2l

SIZES, RATIOS = [0.75, 0.5, 0.25], [1.0, 2.0, 0.5]


def random_boxes(generator: torch.Generator, *shape: int, grid: int = 0) -> torch.Tensor:
    """Boxes inside the unit square; with a grid on its lines, so that many IoU are equal."""
    corner = torch.rand(*shape, 2, generator=generator) * 0.6
    size = torch.rand(*shape, 2, generator=generator) * 0.35 + 0.05
    if grid:
        corner, size = (corner * grid).floor() / grid, (size * grid).ceil() / grid
    return torch.cat([corner, corner + size], -1)


def pixel_ratios(anchors: torch.Tensor, image_shape: tuple[int, int]) -> torch.Tensor:
    """Width over height in pixels, of anchors in fractions of the image."""
    size = box_convert(anchors, "xyxy", "cxcywh")[:, 2:]
    return size[:, 0] * image_shape[1] / (size[:, 1] * image_shape[0])


# ----------------------------------------------------------------------------------------- layout


@pytest.mark.parametrize("feature_shape", [(4, 6), (1, 1), (5, 5), (3, 12)])
def test_anchors_are_d2l_s_where_map_and_image_share_an_aspect_ratio(feature_shape):
    h, w = feature_shape
    ours = anchor_boxes(feature_shape, (32 * h, 32 * w), SIZES, RATIOS)
    theirs = d2l.multibox_prior(torch.zeros(1, 1, h, w), SIZES, RATIOS)
    assert ours.shape == (h * w * 5, 4)
    torch.testing.assert_close(ours, theirs[0])


def test_erratum_e22_the_ratio_holds_in_pixels_whatever_the_map():
    """d2l takes H/W from the map: on a square map of a wide image r is doubled.

    Its text, W·s·√r wide and H·s/√r high, would give the ratio r·W/H in pixels.
    """
    image_shape = (200, 400)
    wanted = torch.tensor([1.0, 1.0, 1.0, 2.0, 0.5]).repeat(16)
    ours = anchor_boxes((4, 4), image_shape, SIZES, RATIOS)
    torch.testing.assert_close(pixel_ratios(ours, image_shape), wanted)
    theirs = d2l.multibox_prior(torch.zeros(1, 1, 4, 4), SIZES, RATIOS)[0]
    torch.testing.assert_close(pixel_ratios(theirs, image_shape), 2 * wanted)
    size = box_convert(ours, "xyxy", "cxcywh")[0, 2:] * torch.tensor([400.0, 200.0])
    s, r = SIZES[0], RATIOS[0]
    assert size.tolist() == pytest.approx([200 * s * r**0.5, 200 * s / r**0.5])
    assert 400 * s * r**0.5 / (200 * s / r**0.5) == pytest.approx(2 * r)  # by d2l's text


def test_by_hand():
    """One cell of a 100 × 200 image, s = ½, r = 4: 100 × 25 pixels around (100, 50)."""
    found = anchor_boxes((1, 1), (100, 200), [0.5], [4.0])
    torch.testing.assert_close(found, torch.tensor([[0.25, 0.375, 0.75, 0.625]]))


@settings(max_examples=100, deadline=None)
@given(
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.tuples(st.integers(1, 500), st.integers(1, 500)),
    st.lists(st.floats(0.05, 1), min_size=1, max_size=3),
    st.lists(st.floats(0.1, 10), min_size=1, max_size=3),
)
def test_ratio_area_and_centres(feature_shape, image_shape, sizes, ratios):
    found = anchor_boxes(feature_shape, image_shape, sizes, ratios, dtype=torch.float64)
    pairs = [(s, ratios[0]) for s in sizes] + [(sizes[0], r) for r in ratios[1:]]
    (h, w), (height, width) = feature_shape, image_shape
    rows = iter(found.tolist())
    for i in range(h):
        for j in range(w):
            for size, ratio in pairs:
                x1, y1, x2, y2 = next(rows)
                assert (x2 - x1) * width / ((y2 - y1) * height) == pytest.approx(ratio)
                area = (x2 - x1) * width * (y2 - y1) * height
                assert area == pytest.approx((size * height) ** 2)
                assert (x1 + x2) / 2 == pytest.approx((j + 0.5) / w)
                assert (y1 + y2) / 2 == pytest.approx((i + 0.5) / h)
    assert next(rows, None) is None


# --------------------------------------------------------------------------------------- matching


def slow_match(anchors, truths, valid, threshold):
    """Numbers in lists, by the definition."""
    iou = box_iou(anchors, truths).tolist()
    rows, columns = set(range(len(anchors))), {t for t, ok in enumerate(valid) if ok}
    match = [-1] * len(anchors)
    for a in range(len(anchors)):
        best = max(columns, key=lambda t: (iou[a][t], -t), default=None)
        if best is not None and iou[a][best] >= threshold and iou[a][best] > 0:
            match[a] = best
    while rows and columns:
        a, t = max(
            ((a, t) for a in rows for t in columns), key=lambda p: (iou[p[0]][p[1]], -p[0], -p[1])
        )
        if iou[a][t] == 0:
            break
        match[a] = t
        rows.remove(a)
        columns.remove(t)
    return match


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 12),
    st.integers(0, 6),
    st.integers(0, 10**6),
    st.sampled_from([0, 4]),
    st.sampled_from([0.0, 0.3, 0.5, 1.0]),
)
def test_a_batch_is_matched_as_the_slow_loop_does(count, truths, seed, grid, threshold):
    """With more true boxes than anchors, padding anywhere and, on the grid, many equal IoU."""
    generator = torch.Generator().manual_seed(seed)
    anchors = random_boxes(generator, count, grid=grid)
    boxes = random_boxes(generator, 3, truths, grid=grid)
    valid = torch.rand(3, truths, generator=generator) < 0.8
    found = match_anchors(anchors, boxes, threshold, valid=valid)
    expected = [
        slow_match(anchors, image, ok.tolist(), threshold)
        for image, ok in zip(boxes, valid, strict=True)
    ]
    assert found.tolist() == expected
    alone = match_anchors(anchors, boxes[0], threshold)
    assert alone.tolist() == slow_match(anchors, boxes[0], [True] * truths, threshold)


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from([63, 64, 65, 128, 150, 300]),
    st.integers(0, 10**6),
    st.sampled_from([0, 4]),
    st.sampled_from([1, 400, 2**20]),
)
def test_many_anchors_are_matched_as_the_slow_loop_does(count, seed, grid, pairs):
    """In more than one stretch, all images at once or one by one; some boxes without area."""
    generator = torch.Generator().manual_seed(seed)
    anchors = random_boxes(generator, count, grid=grid)
    boxes = random_boxes(generator, 4, 6, grid=grid)
    anchors[::7, 2] = anchors[::7, 0]
    boxes[:, 5, 3] = boxes[:, 5, 1]
    boxes[0, 4] = anchors[0]  # nothing over nothing
    valid = torch.rand(4, 6, generator=generator) < 0.8
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(anchor_matching, "PAIRS_AT_ONCE", pairs)
        found = match_anchors(anchors, boxes, 0.4, valid=valid)
    assert found.tolist() == [
        slow_match(anchors, image, ok.tolist(), 0.4) for image, ok in zip(boxes, valid, strict=True)
    ]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 4), st.integers(0, 10**6), st.integers(1, 40))
def test_the_first_of_equal_places_is_found(stretches, seed, values):
    generator = torch.Generator().manual_seed(seed)
    length = stretches * anchor_matching.STRETCH
    rows = torch.randint(values, (2, 3, length), generator=generator) / 7
    largest, place = anchor_matching._first_largest(rows)
    assert torch.equal(largest, rows.max(-1).values)
    assert place.tolist() == [[row.index(max(row)) for row in table] for table in rows.tolist()]


@pytest.mark.parametrize("seed", range(5))
def test_matches_are_d2l_s_without_ties(seed):
    generator = torch.Generator().manual_seed(seed)
    anchors = anchor_boxes((6, 6), (64, 64), [0.3, 0.5], [1.0, 2.0])
    truths = random_boxes(generator, 4)
    theirs = d2l.assign_anchor_to_bbox(truths, anchors, "cpu")
    assert torch.equal(match_anchors(anchors, truths), theirs)
    assert set(theirs.tolist()) == {-1, 0, 1, 2, 3}


def test_matching_by_hand():
    """d2l §14.4.3.3's dog and cat: anchors 1 and 4 by the greedy rule, 3 by the threshold."""
    truths = torch.tensor([[0.1, 0.08, 0.52, 0.92], [0.55, 0.2, 0.9, 0.88]])
    anchors = torch.tensor(
        [
            [0.0, 0.1, 0.2, 0.3],
            [0.15, 0.2, 0.4, 0.4],
            [0.63, 0.05, 0.88, 0.98],
            [0.66, 0.45, 0.8, 0.8],
            [0.57, 0.3, 0.92, 0.9],
        ]
    )
    assert match_anchors(anchors, truths).tolist() == [-1, 0, 1, -1, 1]
    assert match_anchors(anchors, truths, 1.0).tolist() == [-1, 0, -1, -1, 1]


def test_two_true_boxes_may_want_one_anchor():
    anchors = torch.tensor([[0.0, 0.0, 0.4, 0.4], [0.3, 0.3, 0.6, 0.6]])
    truths = torch.tensor([[0.0, 0.0, 0.4, 0.39], [0.0, 0.0, 0.4, 0.4]])
    assert match_anchors(anchors, truths).tolist() == [1, 0]


def test_a_true_box_that_no_anchor_overlaps_gets_none():
    anchors = torch.tensor([[0.0, 0.0, 0.1, 0.1], [0.2, 0.2, 0.3, 0.3]])
    far = torch.tensor([[0.8, 0.8, 0.9, 0.9]])
    assert match_anchors(anchors, far).tolist() == [-1, -1]
    assert match_anchors(anchors, far, 0.0).tolist() == [-1, -1]
    assert d2l.assign_anchor_to_bbox(far, anchors, "cpu").tolist() == [0, -1]


@pytest.mark.parametrize(("anchors", "truths"), [(0, 2), (2, 0), (0, 0)])
def test_nothing_to_match(anchors, truths):
    found = match_anchors(torch.zeros(anchors, 4), torch.zeros(3, truths, 4))
    assert found.tolist() == [[-1] * anchors] * 3
    assert found.dtype == torch.long


# ---------------------------------------------------------------------------------------- targets


def labels_of(boxes: torch.Tensor, classes: list[list[int]]) -> torch.Tensor:
    return torch.cat([torch.tensor(classes, dtype=boxes.dtype)[..., None], boxes], -1)


@pytest.mark.parametrize("seed", range(5))
def test_targets_are_d2l_s_without_padding_and_ties(seed):
    generator = torch.Generator().manual_seed(seed)
    anchors = anchor_boxes((5, 5), (64, 64), [0.3, 0.5], [1.0, 2.0])
    labels = labels_of(random_boxes(generator, 2, 3), [[0, 4, 1], [2, 2, 0]])
    offsets, mask, classes = assign_targets(anchors, labels)
    their_offsets, their_mask, their_classes = d2l.multibox_target(anchors[None], labels)
    torch.testing.assert_close(offsets.flatten(1), their_offsets, rtol=1e-5, atol=1e-4)
    assert torch.equal(mask[..., None].expand(-1, -1, 4).flatten(1).float(), their_mask)
    assert torch.equal(classes, their_classes)


def test_targets_say_how_to_reach_the_true_box():
    generator = torch.Generator().manual_seed(0)
    anchors = anchor_boxes((5, 5), (48, 64), [0.3, 0.5], [1.0, 2.0])
    boxes = random_boxes(generator, 4, 3)
    labels = labels_of(boxes, [[0, 1, 2], [3, 4, -1], [5, -1, 6], [-1, -1, -1]])
    offsets, mask, classes = assign_targets(anchors, labels)
    reached = decode_offsets(anchors, offsets)
    for image in range(4):
        seen = set()
        for a in mask[image].nonzero()[:, 0].tolist():
            row = (labels[image, :, 0] == classes[image, a] - 1).nonzero().item()
            torch.testing.assert_close(reached[image, a], boxes[image, row])
            seen.add(int(classes[image, a]) - 1)
        assert seen == {int(c) for c in labels[image, :, 0] if c >= 0}
    assert not bool(mask[3].any())
    assert bool((classes[~mask] == 0).all())
    assert bool((offsets[~mask] == 0).all())


def test_padding_changes_nothing():
    """Errors of d2l: a row of padding takes an anchor, with its class −1 + 1 = 0 and a mask of 1."""
    generator = torch.Generator().manual_seed(1)
    anchors = anchor_boxes((5, 5), (64, 64), [0.3, 0.5], [1.0])
    labels = labels_of(random_boxes(generator, 1, 2), [[0, 1]])
    padded = torch.cat([labels, torch.full((1, 3, 5), -1.0)], 1)
    for ours, same in zip(
        assign_targets(anchors, labels), assign_targets(anchors, padded), strict=True
    ):
        assert torch.equal(ours, same)
    _, alone, _ = d2l.multibox_target(anchors[None], labels)
    _, beside, _ = d2l.multibox_target(anchors[None], padded)
    assert int(beside.sum() - alone.sum()) == 3 * 4


def test_no_labels_at_all():
    anchors = anchor_boxes((2, 2), (8, 8), [0.5], [1.0])
    for labels in (torch.zeros(3, 0, 5), torch.full((3, 2, 5), -1.0)):
        offsets, mask, classes = assign_targets(anchors, labels)
        assert offsets.shape == (3, 4, 4)
        assert not bool(offsets.any() or mask.any() or classes.any())
    assert assign_targets(anchors, torch.zeros(0, 2, 5)).mask.shape == (0, 4)


# ----------------------------------------------------------------------------------------- errors


def test_bad_options_are_named():
    with pytest.raises(ValueError, match="feature_shape must be a whole number ≥ 1, got 0"):
        anchor_boxes((0, 2), (8, 8), SIZES, RATIOS)
    with pytest.raises(ValueError, match=r"image_shape must be a whole number ≥ 1, got 8\.5"):
        anchor_boxes((2, 2), (8, 8.5), SIZES, RATIOS)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="sizes must be > 0 and finite, got -1"):
        anchor_boxes((2, 2), (8, 8), [0.5, -1], RATIOS)
    with pytest.raises(ValueError, match="ratios must be > 0 and finite, got nan"):
        anchor_boxes((2, 2), (8, 8), SIZES, [math.nan])
    with pytest.raises(ValueError, match="ratios must hold at least one number"):
        anchor_boxes((2, 2), (8, 8), SIZES, [])


def test_bad_matches_are_named():
    anchors, truths = torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([[0.0, 0, 1, 1]])
    with pytest.raises(ValueError, match=r"iou_threshold must be in \[0, 1\], got 2"):
        match_anchors(anchors, truths, 2)
    with pytest.raises(ValueError, match=r"truths must be \[T, 4\] or \[B, T, 4\], got \[4\]"):
        match_anchors(anchors, truths[0])
    with pytest.raises(ValueError, match=r"valid must be booleans \[1\], got torch.bool \[2\]"):
        match_anchors(anchors, truths, valid=torch.tensor([True, False]))
    with pytest.raises(ValueError, match=r"valid must be booleans \[1\], got torch.float32 \[1\]"):
        match_anchors(anchors, truths, valid=torch.ones(1))
    with pytest.raises(ValueError, match=r"anchors must be \[A, 4\], got \[1, 1, 4\]"):
        match_anchors(anchors[None], truths)
    for name, pair in (
        ("anchors", (anchors[:, [2, 1, 0, 3]], truths)),
        ("truths", (anchors, truths[:, [2, 1, 0, 3]])),
    ):
        with pytest.raises(ValueError, match=f"{name} must have x1 ≤ x2 .* in row 0"):
            match_anchors(*pair)


def test_bad_labels_are_named():
    anchors = torch.tensor([[0.0, 0, 1, 1]])
    good = torch.tensor([[[0.0, 0, 0, 1, 1], [1.0, 0, 0, 1, 1]]])

    def with_row(*row: float) -> torch.Tensor:
        return torch.cat([good, torch.tensor([[row]])], 1)

    with pytest.raises(ValueError, match=r"labels must be \[B, M, 5\], got \[2, 5\]"):
        assign_targets(anchors, good[0])
    with pytest.raises(ValueError, match=r"labels must be \[B, M, 5\], got \[1, 2, 4\]"):
        assign_targets(anchors, good[..., 1:])
    for value in (-2.0, 0.5):
        with pytest.raises(ValueError, match=rf"class .*got {value:g} in row 2 of image 0"):
            assign_targets(anchors, with_row(value, 0, 0, 1, 1))
    with pytest.raises(ValueError, match=r"classes must be finite, got nan at \[0, 2\]"):
        assign_targets(anchors, with_row(math.nan, 0, 0, 1, 1))
    with pytest.raises(ValueError, match=r"labels must have x1 < x2 .*in row \[0, 2\]"):
        assign_targets(anchors, with_row(0, 0.5, 0, 0.5, 1))
    with pytest.raises(ValueError, match="anchors must have x1 < x2"):
        assign_targets(torch.zeros(1, 4), good)
