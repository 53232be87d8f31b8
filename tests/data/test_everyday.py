"""The bilingual text is whole, and bad files are named with their byte or line."""

import unicodedata

import pytest

from d2lcompanion.data.everyday import Sentence, load_everyday, read_pairs


def test_the_text_is_as_large_as_promised():
    text = load_everyday()
    chinese = [c for pair in text.sentences for c in pair.zh if "\u4e00" <= c <= "\u9fff"]
    assert len(chinese) >= 3000
    assert len(text.sentences) == len(text.topics) >= 100
    assert len(set(text.topics)) >= 12
    assert str(len(text.sentences)) in text.source
    assert all(not any("\u4e00" <= c <= "\u9fff" for c in pair.en) for pair in text.sentences)


def test_every_sentence_is_normal_and_ends_as_sentences_do():
    for pair in load_everyday().sentences:
        for text in pair:
            assert unicodedata.is_normalized("NFC", text)
            assert text == text.strip()
        assert pair.zh.endswith(("。", "？", "！", "”。")), pair.zh
        assert pair.en.endswith((".", "?", "!", '."')), pair.en
    assert len({pair.zh for pair in load_everyday().sentences}) == len(load_everyday().sentences)


def test_a_file_of_your_own(tmp_path):
    path = tmp_path / "own.tsv"
    path.write_text("\ufeff# 天气\tWeather\n\n下雨了。\tIt rains.\n", encoding="utf-8")
    assert read_pairs(path) == (
        (Sentence("下雨了。", "It rains."),),
        (Sentence("天气", "Weather"),),
    )


BAD = {
    "gbk": ("ab\t下雨了。".encode("gbk"), r"own.tsv is not UTF-8: byte 0xcf at 3; .* GBK"),
    "tab": (
        "下雨了。\n".encode(),
        "own.tsv, line 1 must be Chinese, a tab, English, got '下雨了。'",
    ),
    "half": ("天。\tSky.\n下雨了。\t \n".encode(), "own.tsv, line 2 must be"),
    "empty": (b"\n", "own.tsv must hold a sentence, got none"),
}


@pytest.mark.parametrize(("data", "message"), BAD.values(), ids=list(BAD))
def test_bad_files_are_named(tmp_path, data, message):
    path = tmp_path / "own.tsv"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message):
        read_pairs(path)
