import math

import pytest

from d2lcompanion.extras import require


def test_an_installed_module_is_imported():
    assert require("math", "data") is math


def test_a_missing_module_names_the_line_that_installs_it():
    with pytest.raises(ImportError, match=r'pip install "d2lcompanion\[data\]"') as caught:
        require("no_such_module.part", "data")
    assert "no_such_module.part" in str(caught.value)


def test_an_installed_module_that_fails_keeps_its_error(tmp_path, monkeypatch):
    (tmp_path / "broken_module.py").write_text("import missing_inside\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="missing_inside"):
        require("broken_module", "data")
