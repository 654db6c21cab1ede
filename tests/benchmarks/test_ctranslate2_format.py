import json
from pathlib import Path

import pytest
import torch

from benchmarks.vocabulary import (
    byte_letters,
    merge_of,
    multilingual_tokenizer,
    read_vocabulary,
    write_tokenizer_json,
)
from benchmarks.widen import DEMO_CHECKPOINT


def test_every_byte_has_a_letter_of_its_own() -> None:
    letters = byte_letters()
    assert len(set(letters.values())) == 256
    assert (letters[ord("a")], letters[ord(" ")], letters[ord("\n")]) == ("a", "Ġ", "Ċ")


def test_names_are_in_the_order_of_ids() -> None:
    names, tokenizer = read_vocabulary().names, multilingual_tokenizer()
    assert len(names) == len(set(names)) == 51865
    assert names[tokenizer.encode(" the")[0]] == "Ġthe"
    assert names[tokenizer.eot] == "<|endoftext|>"
    assert names[tokenizer.no_timestamps + 1] == "<|0.00|>"
    assert names[-1] == "<|30.00|>"


def test_a_merge_is_the_last_pair_joined() -> None:
    ranks = {b"a": 0, b"b": 1, b"c": 2, b"bc": 3, b"abc": 4}
    assert merge_of(b"abc", ranks) == (b"a", b"bc")
    assert merge_of(b"a", ranks) is None


def test_the_tokenizers_library_splits_alike(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    path = tmp_path / "tokenizer.json"
    write_tokenizer_json(path)
    found, expected = tokenizers.Tokenizer.from_file(str(path)), multilingual_tokenizer()
    for text in ("Is it 10:30?", " naïve façade\n\n  x", " 日本語 ♪♪ don't"):
        assert found.encode(text).ids == expected.encode(text)
        assert found.decode(expected.encode(text)) == text
    assert found.token_to_id("<|notimestamps|>") == expected.no_timestamps


def test_faster_whisper_hears_the_sample(tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    faster_whisper = pytest.importorskip("faster_whisper")
    from benchmarks.ctranslate2_format import write_ctranslate2

    checkpoint = torch.load(DEMO_CHECKPOINT, map_location="cpu", weights_only=True)
    write_ctranslate2(checkpoint, tmp_path / "demo", "int8_float32")
    config = json.loads((tmp_path / "demo" / "config.json").read_text(encoding="utf-8"))
    assert len(config["lang_ids"]) == 99
    model = faster_whisper.WhisperModel(str(tmp_path / "demo"), compute_type="int8")
    segments, _ = model.transcribe(
        "demo/synthetic.opus", language="en", clip_timestamps="0,9", beam_size=1
    )
    assert next(segments).text == " We will paint the heavy report on Monday afternoon."
