"""Names of ImageNet's classes against torchvision's list."""

import re

import pytest
from torchvision.models._meta import _IMAGENET_CATEGORIES

from d2lcompanion.data.imagenet_names import IMAGENET_NAMES, imagenet_name


def test_english_names_are_torchvisions():
    assert {i: name.en for i, name in IMAGENET_NAMES.items()} == {
        i: _IMAGENET_CATEGORIES[i] for i in IMAGENET_NAMES
    }


def test_chinese_names_are_chinese_and_different():
    names = [name.zh for name in IMAGENET_NAMES.values()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[\u4e00-\u9fff]+", name) for name in names)
    assert imagenet_name(967).zh == "浓缩咖啡"


@pytest.mark.parametrize(
    ("index", "message"), [(1000, "0 … 999, got 1000"), (-1, "got -1"), (0, "class 0 is not named")]
)
def test_others_are_refused(index, message):
    with pytest.raises(ValueError, match=message):
        imagenet_name(index)
