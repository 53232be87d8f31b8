import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from d2lcompanion.data.airfoil import FEATURE_NAMES, load_airfoil, read_airfoil
from d2lcompanion.data.registry import find_entry

ROWS = [[800, 0, 0.3048, 71.3, 0.00266337, 126.201], [1000, 1.5, 0.3048, 71.3, 0.0028, 125.2]]


def text(separator: str, end: str = "\n") -> str:
    return "".join(separator.join(map(str, row)) + end for row in ROWS)


@pytest.fixture(scope="session")
def real_file() -> Path:
    folder = os.environ.get("D2LC_SHARED_DATA")
    path = Path(folder) if folder else Path(__file__).resolve().parents[3] / "shared" / "data"
    path /= "airfoil_self_noise.dat"
    if not path.is_file():
        pytest.skip(f"no real file at {path}: set D2LC_SHARED_DATA")
    return path


@pytest.fixture
def file(tmp_path):
    def write(content: str | bytes) -> Path:
        path = tmp_path / "table.dat"
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    return write


VARIANTS = {
    "tabs": text("\t"),
    "commas": text(","),
    "comma and blank": text(", "),
    "semicolons": text(";"),
    "blanks": text("   "),
    "CRLF": text("\t", "\r\n"),
    "header and CRLF": "Freq\tAngle\tLength\tVel\tDispl\tPressure\r\n" + text("\t", "\r\n"),
    "header and commas": "f,alpha,c,U_infinity,delta,SSPL\n" + text(","),
    "byte-order mark": "\ufeff" + text("\t"),
    "byte-order mark and header": "\ufeffa,b,c,d,e,f\n" + text(","),
    "no last line end": text("\t").rstrip("\n"),
    "empty lines": "\n" + text("\t") + "\n\n",
}


@pytest.mark.parametrize("content", VARIANTS.values(), ids=list(VARIANTS))
def test_every_variant_is_the_same_table(file, content):
    np.testing.assert_array_equal(read_airfoil(file(content)), ROWS)


BAD = {
    "a word": (
        text("\t") + "1\t2\t3\tfour\t5\t6\n",
        r":3: expected 6 numbers, got '1\\t2\\t3\\tfour",
    ),
    "a column short": (text(",") + "1,2,3,4,5\n", r":3: expected 6 numbers, got '1,2,3,4,5'"),
    "an empty cell": ("1\t\t3\t4\t5\t6\n", r":1: expected 6 numbers"),
    "a column more": ("1,2,3,4,5,6,7\n", r":1: expected 6 numbers"),
    "a remark": (text(",") + "1,2,3,4,5,6,guessed\n", r":3: expected 6 numbers"),
    "not a number": (text(",") + "1,2,3,nan,5,6\n", r":3: expected 6 numbers"),
    "a word in the first row": ("1,2,3,4,5,six\n", r":1: expected 6 numbers"),
    "a second header": ("a,b,c,d,e,f\n" * 2, r":2: expected 6 numbers"),
    "nothing": ("", "no rows"),
    "a header only": ("a,b,c,d,e,f\n", "no rows"),
    "GBK": (text(",").encode() + "频率,1,2,3,4,5\n".encode("gbk"), r":3: not UTF-8, byte 0x"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=list(BAD))
def test_a_bad_table_names_file_and_line(file, content, message):
    with pytest.raises(ValueError, match=r"table\.dat.*" + message):
        read_airfoil(file(content))


def test_mean_and_deviation_are_those_of_all_rows(file):
    data = load_airfoil(file("1,2,3,4,5,6\n3,4,6,5,9,8\n8,1,1,1,1,1\n"), rows=2)
    table = np.array([[1, 2, 3, 4, 5, 6], [3, 4, 6, 5, 9, 8], [8, 1, 1, 1, 1, 1]], dtype=float)
    expected = (table - table.mean(0)) / table.std(0)
    np.testing.assert_allclose(data.features, expected[:2, :5])
    np.testing.assert_allclose(data.target, expected[:2, 5])
    assert data.feature_names == FEATURE_NAMES
    assert data.source.startswith("the first 2 of 3 rows of table.dat")


def test_raw_units_on_request(file):
    data = load_airfoil(file(text(",")), rows=2, standardized=False)
    np.testing.assert_array_equal(torch.cat([data.features, data.target[:, None]], 1), ROWS)


@pytest.mark.parametrize("rows", [0, 3])
def test_rows_out_of_range_are_named(file, rows):
    with pytest.raises(ValueError, match=f"between 1 and 2, got {rows}"):
        load_airfoil(file(text(",")), rows=rows)


def test_a_missing_file_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("D2LC_DATA_DIR", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"d2lc data fetch airfoil.*D2LC_DATA_DIR") as error:
        load_airfoil()
    assert str(tmp_path) in str(error.value)


def test_a_named_file_is_never_downloaded(tmp_path):
    with pytest.raises(FileNotFoundError, match="here"):
        load_airfoil(tmp_path / "here.dat", download=True)


def test_the_data_directory_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("D2LC_DATA_DIR", str(tmp_path))
    (tmp_path / "airfoil_self_noise.dat").write_text(text(","), encoding="utf-8")
    assert load_airfoil(rows=2, download=True, standardized=False).features.shape == (2, 5)


# ----------------------------------------------------------------------------------- the real file


def test_the_real_file(real_file):
    table = read_airfoil(real_file)
    assert table.shape == (1503, 6)
    theirs = np.genfromtxt(real_file, delimiter="\t", skip_header=1)
    np.testing.assert_array_equal(table, theirs)


def test_the_floor_of_the_real_problem_is_the_published_one(real_file):
    data = load_airfoil(real_file)
    assert data.features.shape == (1500, 5)
    x = np.column_stack([data.features, np.ones(1500)])
    _, residual, *_ = np.linalg.lstsq(x, data.target.numpy(), rcond=None)
    assert f"{residual[0] / 3000:.5f}" == "0.24169"  # ½·MSE with intercept


def test_the_digest_belongs_to_the_bytes_that_d2l_publishes(real_file):
    d2l = pytest.importorskip("d2l.torch", reason="d2l is an oracle: requirements-d2l.lock")
    header, body = real_file.read_bytes().split(b"\r\n", 1)
    entry = find_entry("airfoil")
    assert header.startswith(b"Freq")
    assert hashlib.sha1(body).hexdigest() == d2l.DATA_HUB["airfoil"][1]
    assert hashlib.sha256(body).hexdigest() == entry.checksum.digest
    assert len(body) == entry.size_bytes
    assert d2l.DATA_HUB["airfoil"][0] in entry.urls
