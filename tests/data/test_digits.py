import pytest
import sklearn.datasets
import torch

from d2lcompanion.data.digits import load_digit_images


def test_the_images_are_those_of_scikit_learn():
    raw = load_digit_images(standardized=False)
    theirs = sklearn.datasets.load_digits()
    assert torch.equal(raw.images, torch.tensor(theirs.data))
    assert torch.equal(raw.labels, torch.tensor(theirs.target))
    assert raw.images.shape == (1797, 64)
    assert raw.labels.dtype == torch.int64
    assert float(raw.images.max()) == 16


def test_one_mean_and_one_deviation_for_all_pixels():
    digits = load_digit_images()
    assert float(digits.images.mean()) == pytest.approx(0, abs=1e-12)
    assert float(digits.images.std(correction=0)) == pytest.approx(1)
    few = load_digit_images(rows=10)
    assert torch.equal(few.images, digits.images[:10])
    assert "the first 10 of 1797 digits" in few.source


@pytest.mark.parametrize("rows", [0, 1798])
def test_rows_are_checked(rows):
    with pytest.raises(ValueError, match=f"rows must be between 1 and 1797, got {rows}"):
        load_digit_images(rows=rows)
