"""Tokens that a fine-tune has behind Whisper's own: chosen, told as text, and by their own ids."""

import collections
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import whisper

import longscribe
from longscribe.decoding.chunk import with_own_suppression
from longscribe.decoding.tokenizer import tokenizer_of
from longscribe.models import forms
from longscribe.models.added_tokens import AddedToken, to_engine, to_stored
from longscribe.models.checkpoint import ModelDims
from longscribe.models.weights import DEMO_CHECKPOINT, resolve_model
from longscribe.options import DecodingOptions
from tests.longscribe.models.real_weights import text_of
from tests.longscribe.models.writers import Checkpoint, write_ctranslate2, write_hugging_face
from tests.recordings import beginning
from tests.sounds import write_sound

OWN, ROWS = 51865, 51872
SPECIAL, WORD = OWN + 1, OWN + 3  # what lies around them only makes the matrix a round size
TEXT = " Longscribe's"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sound(tmp_path_factory.mktemp("sound") / "a.wav", beginning(duration_s=25.0))


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    content: Checkpoint = torch.load(DEMO_CHECKPOINT, weights_only=True)
    return content


def heard(sound: Path, model: str | Path, **options: Any) -> Any:
    options = {"speed": 1.0, "language": "en", **options}
    return longscribe.transcribe(sound, model=str(model), **options)


@pytest.fixture(scope="module")
def plain(sound: Path) -> Any:
    return heard(sound, "demo")


@pytest.fixture(scope="module")
def token(plain: Any) -> int:
    """The token that is most often said, of those that stand for a word."""
    said = collections.Counter(id_ for segment in plain.segments for id_ in segment.tokens)
    words = tokenizer_of(resolve_model("demo").dims)
    return next(id_ for id_, _ in said.most_common() if len(words.decode([id_]).strip()) > 2)


@pytest.fixture(scope="module")
def taught(checkpoint: Checkpoint, token: int) -> Checkpoint:
    """The demo model with an added token in the place of that one."""
    state = dict(checkpoint["model_state_dict"])
    embedding = state["decoder.token_embedding.weight"]
    wide = torch.cat([embedding, torch.zeros(ROWS - OWN, embedding.shape[1], dtype=torch.float16)])
    wide[WORD] = embedding[token]
    wide[SPECIAL] = 2 * embedding[token]  # it would be chosen, were it text
    wide[token] = -embedding[token]
    state["decoder.token_embedding.weight"] = wide
    return {"dims": {**checkpoint["dims"], "n_vocab": ROWS}, "model_state_dict": state}


def with_tokenizer(folder: Path) -> Path:
    listed = [
        {"id": 50258, "content": "<|startoftranscript|>", "special": True},
        {"id": 50364, "content": "<|0.00|>", "special": False},
        {"id": SPECIAL, "content": "[laughs]", "special": True},
        {"id": WORD, "content": TEXT, "special": False},
        {"id": ROWS, "content": "beyond the matrix", "special": False},
    ]
    (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": listed}))
    return folder


@pytest.fixture(scope="module")
def folder(taught: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_tokenizer(write_hugging_face(taught, tmp_path_factory.mktemp("taught") / "model"))


@pytest.mark.parametrize(
    "way", [{"precision": "int8"}, {"precision": "float32"}, {"decoding": "sequential"}], ids=str
)
def test_an_added_token_is_chosen_and_told_as_text(
    sound: Path, folder: Path, token: int, way: dict[str, Any]
) -> None:
    was = tokenizer_of(resolve_model("demo").dims).decode([token])
    plain, changed = heard(sound, "demo", **way), heard(sound, folder, **way)
    assert was in text_of(plain)
    assert text_of(changed) == text_of(plain).replace(was, TEXT)
    expected = [[WORD if id_ == token else id_ for id_ in one.tokens] for one in plain.segments]
    assert [list(one.tokens) for one in changed.segments] == expected


def test_words_are_timed_with_an_added_token(sound: Path, folder: Path, token: int) -> None:
    plain, changed = (heard(sound, m, word_timestamps=True) for m in ("demo", folder))
    times = [
        [(word.start, word.end) for segment in one.segments for word in segment.words]
        for one in (plain, changed)
    ]
    assert times[0] == times[1]
    assert TEXT in [word.word for segment in changed.segments for word in segment.words]


def test_ctranslate2_s_vocabulary_names_them(taught: Checkpoint, tmp_path: Path) -> None:
    folder = write_ctranslate2(taught, tmp_path / "model", config={"lang_ids": list(range(99))})
    names = [f"t{i}" for i in range(OWN)] + [f"<|{30 + i}.00|>" for i in range(ROWS - OWN)]
    names[WORD] = TEXT
    (folder / "vocabulary.json").write_text(json.dumps(names))
    spec = resolve_model(str(folder))
    assert spec.added_tokens == (AddedToken(WORD, TEXT),)
    assert spec.dims.n_vocab == OWN
    kept = forms.read(spec)["decoder.token_embedding.weight"]
    stored = taught["model_state_dict"]["decoder.token_embedding.weight"]
    assert torch.equal(kept, torch.cat([stored[:50257], stored[[WORD]], stored[50257:OWN]]))


def test_the_older_list_names_them(taught: Checkpoint, tmp_path: Path) -> None:
    folder = write_hugging_face(taught, tmp_path / "model")
    listed = {"<|en|>": 50259, "<|laughs|>": SPECIAL, TEXT: WORD}
    (folder / "added_tokens.json").write_text(json.dumps(listed))
    assert resolve_model(str(folder)).added_tokens == (AddedToken(WORD, TEXT),)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"added_tokens": [3, {"id": "x"}]}'])
def test_a_tokenizer_that_names_none_leaves_the_rows_out(
    taught: Checkpoint, tmp_path: Path, content: str
) -> None:
    folder = write_hugging_face(taught, tmp_path / "model")
    (folder / "tokenizer.json").write_text(content)
    spec = resolve_model(str(folder))
    assert spec.added_tokens == ()
    assert len(forms.read(spec)["decoder.token_embedding.weight"]) == OWN


def test_other_texts_are_other_weights(taught: Checkpoint, tmp_path: Path) -> None:
    digests = set()
    for text in ("one", "other"):
        folder = write_hugging_face(taught, tmp_path / text)
        (folder / "added_tokens.json").write_text(json.dumps({text: WORD}))
        digests.add(resolve_model(str(folder)).sha256)
    assert len(digests) == 2


DIMS = ModelDims(
    n_mels=80, n_audio_ctx=1500, n_audio_state=64, n_audio_head=1, n_audio_layer=1,
    n_vocab=OWN, n_text_ctx=448, n_text_state=64, n_text_head=1, n_text_layer=1,
)  # fmt: skip
ENGLISH = DIMS.model_copy(update={"n_vocab": 51864})
ADDED = (AddedToken(51866, " one"), AddedToken(51870, " two"))


@pytest.mark.parametrize("dims", [DIMS, ENGLISH])
def test_ids_go_there_and_back(dims: ModelDims) -> None:
    stored = [*range(dims.n_vocab), 51866, 51870]
    kept = [to_engine(id_, dims, ADDED) for id_ in stored]
    assert sorted(kept) == list(range(dims.n_vocab + 2))
    assert [to_stored(id_, dims, ADDED) for id_ in kept] == stored
    assert to_engine(51868, dims, ADDED) is None


@pytest.mark.parametrize("dims", [DIMS, ENGLISH])
def test_the_tokenizer_knows_them_and_all_others(dims: ModelDims) -> None:
    plain = tokenizer_of(dims, (), "en", "transcribe")
    known = tokenizer_of(dims, (" one", " two"), "en", "transcribe")
    texts = plain.eot
    assert known.decode([texts, texts + 1]) == " one two"
    assert (known.eot, known.timestamp_begin) == (texts + 2, plain.timestamp_begin + 2)
    assert known.sot_sequence == tuple(to_engine(id_, dims, ADDED) for id_ in plain.sot_sequence)
    assert known.encode(" one day") == [texts, *plain.encode(" day")]
    assert known.encode("so it is") == plain.encode("so it is")
    assert known.non_speech_tokens == plain.non_speech_tokens
    assert tokenizer_of(dims, (), "en", "transcribe") is plain


def test_suppressed_ids_are_those_of_the_stored_model(folder: Path) -> None:
    generation = {"suppress_tokens": [1, 50258, WORD]}
    (folder / "generation_config.json").write_text(json.dumps(generation))
    spec = resolve_model(str(folder))
    (folder / "generation_config.json").unlink()
    own = with_own_suppression(spec, DecodingOptions())
    assert own.suppress_tokens == f"1,50259,{50257}"
    asked = with_own_suppression(spec, DecodingOptions(suppress_tokens=f"7,{WORD},{SPECIAL}"))
    assert asked.suppress_tokens == "7,50257"
    plain = with_own_suppression(
        resolve_model(str(folder)), DecodingOptions(suppress_tokens="-1,9")
    )
    assert plain.suppress_tokens == "-1,9"


def test_upstream_is_left_as_it_was(sound: Path, folder: Path) -> None:
    heard(sound, folder, decoding="sequential")
    assert whisper.decoding.get_tokenizer is whisper.tokenizer.get_tokenizer
