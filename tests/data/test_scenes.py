"""Scenes: boxes counted from pixels, masks, chance from the generator, and bad parts."""

import pytest
import torch
from torchvision.ops import box_iou

from d2lcompanion.data.cutouts import Cutout, load_boots, load_coins, load_surface
from d2lcompanion.data.scenes import SceneOptions, SceneParts, make_scenes

OPTIONS = SceneOptions(side=64, objects=(0, 4), overlap=0.3)


@pytest.fixture(scope="module")
def parts():
    return SceneParts([load_coins()[:8], load_boots("train", 20)], [load_surface("brick")])


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def scenes(parts):
    return make_scenes(parts, OPTIONS, 60, seeded(0))


def test_shapes_padding_and_range(scenes):
    assert scenes.images.shape == (60, 1, 64, 64)
    assert scenes.labels.shape == (60, 4, 5)
    assert 0 <= float(scenes.images.min()) <= float(scenes.images.max()) <= 1
    real = scenes.labels[..., 0] >= 0
    assert set(real.sum(1).tolist()) == {0, 1, 2, 3, 4}
    assert bool((real[:, :-1] >= real[:, 1:]).all())  # padding comes last
    assert bool((scenes.labels[~real] == -1).all())
    assert set(scenes.labels[..., 0].unique().tolist()) == {-1.0, 0.0, 1.0}


def test_a_box_is_the_smallest_around_what_a_lone_object_owns(parts):
    """Counted pixel by pixel, from the picture of owners."""
    scenes = make_scenes(parts, OPTIONS._replace(objects=(1, 1)), 40, seeded(1))
    for label, owner in zip(scenes.labels[:, 0], scenes.owners, strict=True):
        points = [(i, j) for i in range(64) for j in range(64) if owner[i, j] == 0]
        rows, columns = zip(*points, strict=True)
        box = [min(columns), min(rows), max(columns) + 1, max(rows) + 1]
        assert (label[1:] * 64).tolist() == box


def test_owners_lie_in_their_boxes_and_only_they_change_the_surface(scenes, parts):
    for label, owner in zip(scenes.labels, scenes.owners, strict=True):
        for row in owner[owner >= 0].unique().tolist():
            i, j = (owner == row).nonzero(as_tuple=True)
            x1, y1, x2, y2 = (label[row, 1:] * 64).tolist()
            assert x1 <= int(j.min()) <= int(j.max()) < x2
            assert y1 <= int(i.min()) <= int(i.max()) < y2
    black = SceneParts([[Cutout(torch.zeros(9, 9), torch.ones(9, 9).bool())]], [torch.ones(64, 64)])
    drawn = make_scenes(black, SceneOptions(side=32, stretch=1.0), 10, seeded(2))
    assert bool((drawn.images[:, 0][drawn.owners >= 0] < 1e-6).all())
    assert bool((drawn.images[:, 0][drawn.owners < 0] > 0.69).all())


def test_objects_lie_inside_and_apart_as_asked(scenes):
    for label in scenes.labels:
        boxes = label[label[:, 0] >= 0][:, 1:]
        assert bool(((boxes >= 0) & (boxes <= 1)).all())
        if len(boxes):
            assert float((box_iou(boxes, boxes) - torch.eye(len(boxes))).max()) <= 0.3 + 1e-6


def test_sizes_are_those_of_the_options(parts):
    options = OPTIONS._replace(side=200, sizes=(0.3, 0.31), stretch=1.0, objects=(1, 1))
    boxes = make_scenes(parts, options, 20, seeded(3)).labels[:, 0, 1:]
    side = (boxes[:, 2:] - boxes[:, :2]).prod(1).sqrt()
    assert 0.28 < float(side.min()) <= float(side.max()) < 0.33


def test_one_seed_gives_one_set_and_the_global_one_none(parts, scenes):
    torch.manual_seed(1)
    again = make_scenes(parts, OPTIONS, 60, seeded(0))
    assert all(torch.equal(a, b) for a, b in zip(scenes, again, strict=True))
    other = make_scenes(parts, OPTIONS, 60, seeded(1))
    assert not torch.equal(scenes.images, other.images)
    assert make_scenes(parts, OPTIONS, 0, seeded(0)).labels.shape == (0, 4, 5)


def test_an_object_without_a_place_is_left_out(parts):
    crowded = OPTIONS._replace(objects=(4, 4), sizes=(0.8, 0.8), overlap=0.0, stretch=1.0)
    labels = make_scenes(parts, crowded, 10, seeded(4)).labels
    assert bool((labels[:, 0, 0] >= 0).all())
    assert bool((labels[:, 1:, 0] == -1).all())


def test_bad_parts_and_options_are_named(parts):
    surface = [torch.zeros(64, 64)]
    none = Cutout(torch.zeros(3, 3), torch.zeros(3, 3).bool())
    with pytest.raises(ValueError, match="at least one class of objects and one surface"):
        make_scenes(SceneParts([], surface), OPTIONS, 1, seeded(0))
    with pytest.raises(ValueError, match="class 1 must have at least one cut-out"):
        make_scenes(SceneParts([load_coins(), []], surface), OPTIONS, 1, seeded(0))
    with pytest.raises(ValueError, match="cut-out 0 of class 0 must have pixels and a mask"):
        make_scenes(SceneParts([[none]], surface), OPTIONS, 1, seeded(0))
    with pytest.raises(ValueError, match=r"surface 0 must be .*64 pixels a side, got \[64, 9\]"):
        make_scenes(parts._replace(surfaces=[torch.zeros(64, 9)]), OPTIONS, 1, seeded(0))
    for change, message in (
        ({"side": 4}, "side ≥ 8, got 1 and 4"),
        ({"objects": (3, 2)}, r"least ≤ largest, got \(3, 2\)"),
        ({"sizes": (0.5, 1.0)}, r"smallest ≤ largest < 1, got \(0\.5, 1\.0\)"),
        ({"stretch": 0.5}, r"stretch must be in \[1, 4\]"),
        ({"overlap": 1.5}, r"overlap in \[0, 1\], got 1\.3 and 1\.5"),
    ):
        with pytest.raises(ValueError, match=message):
            make_scenes(parts, OPTIONS._replace(**change), 1, seeded(0))
