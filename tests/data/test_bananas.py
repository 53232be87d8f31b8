"""The banana loader on generated zips in the format of d2l's, and on damaged ones."""

import io
import warnings
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from d2lcompanion.data import bananas, registry
from d2lcompanion.data.bananas import load_bananas

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from d2l import torch as d2l

HEAD = "img_name,label,xmin,ymin,xmax,ymax"
ROWS = ["0.png,0,104,20,143,58", "1.png,0,0,0,256,256", "2.png,0,12,200,13,201"]


def picture(seed: int, size: tuple[int, int] = (256, 256), mode: str = "RGB") -> bytes:
    values = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).convert(mode).save(file, "png")
    return file.getvalue()


def make_zip(path, rows=tuple(ROWS), head=HEAD, pictures=None, name="label.csv"):
    pictures = pictures or {f"{k}.png": picture(k) for k in range(3)}
    with zipfile.ZipFile(path, "w") as archive:
        for folder in bananas.FOLDERS.values():
            base = f"banana-detection/{folder}"
            table = "\n".join([head, *rows]) if isinstance(rows, tuple) else rows
            archive.writestr(f"{base}/{name}", table)
            for key, content in pictures.items():
                archive.writestr(f"{base}/images/{key}", content)
    return path


@pytest.mark.parametrize("part", ["train", "val"])
def test_pictures_and_boxes_come_back(tmp_path, part):
    images, labels = load_bananas(part, make_zip(tmp_path / "a.zip"))
    assert images.shape == (3, 3, 256, 256)
    assert images.dtype == torch.uint8
    expected = np.asarray(Image.open(io.BytesIO(picture(1)))).transpose(2, 0, 1)
    assert np.array_equal(images[1].numpy(), expected)
    wanted = torch.tensor([[0, 104, 20, 143, 58], [0, 0, 0, 256, 256], [0, 12, 200, 13, 201.0]])
    torch.testing.assert_close(labels[:, 0], wanted / 256)


def test_it_reads_what_d2l_reads(tmp_path, monkeypatch):
    file = make_zip(tmp_path / "a.zip")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(tmp_path)
    monkeypatch.setattr(d2l, "download_extract", lambda _: str(tmp_path / "banana-detection"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision says that its decoding will move
        images, labels = d2l.read_data_bananas(True)
    ours = load_bananas("train", file)
    torch.testing.assert_close(ours.labels, labels)
    assert torch.equal(ours.images, torch.stack(images))


def test_other_colours_become_red_green_and_blue(tmp_path):
    pictures = {"0.png": picture(0, mode="L"), "1.png": picture(1), "2.png": picture(2, mode="P")}
    images, _ = load_bananas("val", make_zip(tmp_path / "a.zip", pictures=pictures))
    assert torch.equal(images[0, 0], images[0, 2])


def test_the_registry_s_checksum_is_the_one_of_d2l():
    url, sha1 = d2l.DATA_HUB["banana-detection"]
    entry = registry.find_entry("banana-detection")
    assert entry.checksum.digest == sha1
    assert url in entry.urls
    assert not entry.tried


def test_without_the_file_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv(registry.DATA_DIR_VARIABLE, str(tmp_path))
    with pytest.raises(FileNotFoundError, match="run `d2lc data fetch banana-detection`"):
        load_bananas("train")
    make_zip(tmp_path / "banana-detection.zip")
    assert len(load_bananas("val").images) == 3
    with pytest.raises(ValueError, match="part must be train or val, got 'test'"):
        load_bananas("test")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ("1.png,0,50,20,40,58", "'50', '20', '40', '58'"),
        ("1.png,0,5,20,40,20", "'20', '40', '20'"),
        ("1.png,0,5,20,257,58", "'257'"),
        ("1.png,1,5,20,40,58", "'1', '5'"),
        ("1.png,0,nan,20,40,58", "'nan'"),
        ("1.png,0,five,20,40,58", "'five'"),
        ("1.png,0,5,20", "'20', None, None"),
    ],
)
def test_a_bad_row_is_named_with_its_line(tmp_path, row, shown):
    file = make_zip(tmp_path / "a.zip", rows=(ROWS[0], row))
    with pytest.raises(ValueError, match=rf"a\.zip: .*label\.csv:3: .*{shown}"):
        load_bananas("train", file)


def test_damaged_files_are_named(tmp_path):
    file = tmp_path / "a.zip"
    file.write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"a\.zip is no zip"):
        load_bananas("train", file)
    make_zip(file, name="table.csv")
    with pytest.raises(ValueError, match=r"must hold one bananas_train/label\.csv, got 0"):
        load_bananas("train", file)
    make_zip(file, head="name,label")
    with pytest.raises(ValueError, match=r"label\.csv must have the columns img_name"):
        load_bananas("train", file)
    make_zip(file, rows=())
    with pytest.raises(ValueError, match="and a row"):
        load_bananas("train", file)
    make_zip(file, rows="img_name,香蕉".encode("gb18030"))
    with pytest.raises(ValueError, match=r"label\.csv is not UTF-8"):
        load_bananas("train", file)
    make_zip(file, pictures={"0.png": picture(0)})
    with pytest.raises(ValueError, match=r"label\.csv:3: .*images/1\.png cannot be read"):
        load_bananas("train", file)
    make_zip(file, pictures={"0.png": picture(0), "1.png": picture(1)[:200], "2.png": b""})
    with pytest.raises(ValueError, match=r"label\.csv:3: .*images/1\.png cannot be read"):
        load_bananas("train", file)
    make_zip(file, pictures={"0.png": picture(0), "1.png": picture(1, (9, 8)), "2.png": b""})
    with pytest.raises(ValueError, match=r"1\.png is \[3, 9, 8\], the first picture"):
        load_bananas("train", file)
