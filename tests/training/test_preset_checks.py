"""Presets are refused at the bound and not above it, by field and value."""

from types import SimpleNamespace

import pytest

from d2lcompanion.training.preset_checks import require_numbers, require_positive, require_sizes


def test_numbers_at_the_bound_pass_and_one_less_is_named():
    preset = SimpleNamespace(dim=1, words=2)
    require_numbers(preset, dim=1, words=2)
    with pytest.raises(ValueError, match=r"^words must be ≥ 3, got 2$"):
        require_numbers(preset, dim=1, words=3)


@pytest.mark.parametrize("rates", [(), (0.1, 0.0), (-1.0,), (float("inf"),), (float("nan"),)])
def test_rates_that_are_not_positive_numbers_are_named(rates):
    require_positive(SimpleNamespace(rates=(0.1, 3)), "rates")
    with pytest.raises(ValueError, match=r"^x must be one or more positive numbers, got"):
        require_positive(SimpleNamespace(rates=(1.0,), x=rates), "rates", "x")


@pytest.mark.parametrize("sizes", [(), (5,), (5, 5), (1, 5)])
def test_sizes_too_few_or_too_small_are_named(sizes):
    require_sizes(SimpleNamespace(sizes=(2, 3)))
    with pytest.raises(ValueError, match=r"^sizes must be two or more, each ≥ 2, got"):
        require_sizes(SimpleNamespace(sizes=sizes))
