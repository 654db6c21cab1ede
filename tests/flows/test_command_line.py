"""Every bad input from the command line: one sentence, exit code 2, nothing half-written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch

from longscribe.flows import command_line
from longscribe.models import names
from longscribe.models.weights import DEMO_CHECKPOINT
from tests.flows.conftest import Ran
from tests.longscribe.models.hub_server import hub_in_use
from tests.longscribe.models.writers import write_hugging_face
from tests.sounds import bursts, write_sound

SILENCE = np.zeros(5 * 16_000, np.float32)


def refused(ran: Ran, *says: str) -> None:
    assert ran.code == 2, ran
    assert ran.err.startswith("longscribe: ")
    assert ran.err.count("\n") == 1, ran.err
    for words in says:
        assert words in ran.err
    assert "Traceback" not in ran.out + ran.err
    assert not Path("transcripts").exists()
    assert not list(Path().glob("longscribe-*"))


def sound(name: str, samples: np.ndarray = SILENCE, **options) -> str:
    write_sound(Path("plain.wav"), samples, **options).rename(name)
    return name


def test_help_fits_a_screen_and_is_quick(longscribe: Callable[..., Ran]) -> None:
    ran = longscribe("--help")
    assert ran.code == 0
    assert len(ran.out.splitlines()) <= 44
    assert all(len(line) <= 100 for line in ran.out.splitlines())
    for option in (
        *("--model", "--language", "--task", "--speed", "--chunk-minutes", "--workers"),
        *("--threads-per-worker", "--memory-per-worker", "--output-dir", "--formats"),
        *("--glossary", "--initial-prompt"),
        *("--decoding", "--precision", "--device", "--batch-size"),
    ):
        assert option in ran.out


def test_missing_recording(longscribe: Callable[..., Ran]) -> None:
    refused(longscribe("nowhere.wav", "--model", "demo"), "'nowhere.wav' does not exist")


def test_folder(longscribe: Callable[..., Ran]) -> None:
    Path("talks").mkdir()
    refused(longscribe("talks", "--model", "demo"), "'talks' is a folder")


def test_empty_file(longscribe: Callable[..., Ran]) -> None:
    Path("empty.wav").touch()
    refused(longscribe("empty.wav", "--model", "demo"), "'empty.wav' is empty")


def test_text_named_mp3(longscribe: Callable[..., Ran]) -> None:
    Path("list.mp3").write_text("This is a shopping list.\n" * 50)
    refused(longscribe("list.mp3", "--model", "demo"), "'list.mp3' is not a recording")


def test_video_without_sound(longscribe: Callable[..., Ran]) -> None:
    write_sound(Path("film.mp4"), np.empty(0, np.float32), picture=True)
    refused(longscribe("film.mp4", "--model", "demo"), "'film.mp4' has no audio track")


def test_zero_length_audio(longscribe: Callable[..., Ran]) -> None:
    Path("zero.wav").write_bytes(
        b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x80\x3e\0\0\0\x7d\0\0\2\0\x10\0data\0\0\0\0"
    )
    refused(longscribe("zero.wav", "--model", "demo"), "'zero.wav' holds no sound")


def test_unknown_model_lists_the_names(longscribe: Callable[..., Ran]) -> None:
    ran = longscribe(sound("a.wav"), "--model", "huge")
    refused(ran, "unknown model 'huge'", "tiny.en", "turbo")


def test_corrupt_checkpoint(longscribe: Callable[..., Ran]) -> None:
    Path("broken.pt").write_bytes(DEMO_CHECKPOINT.read_bytes()[:100_000])
    refused(longscribe(sound("a.wav"), "--model", "broken.pt"), "'broken.pt' is damaged")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nowhere.wav",), "'nowhere.wav' does not exist"),
        (("text.txt",), "'text.txt'"),
        (("nowhere.wav", "--glossary", "absent.txt"), "absent.txt"),
        (("nowhere.wav", "--output-dir", "text.txt/below"), "text.txt/below"),
        (("nowhere.wav", "--speed", "9"), "--speed"),
        (("one.wav", "--speakers", "channels"), "'one.wav' has one channel"),
        (("one.wav", "--together"), "--together: name the recordings"),
        (("one.wav", "nowhere.wav", "--together"), "'nowhere.wav' does not exist"),
        (("one.wav", "a.wav", "--together", "--speakers", "2"), "--speakers: of several files"),
        (("one.wav", "one.wav", "--together", "--speaker-names", "A,B,C"), "3 names for 2"),
    ],
)
def test_bad_input_is_told_before_a_server(
    longscribe: Callable[..., Ran],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.setattr(command_line, "start_fork_server", None)
    Path("text.txt").write_text("no recording")
    sound("one.wav")
    refused(longscribe(*arguments, "--model", "demo"), says)


def test_each_of_several_bad_recordings_is_named(
    longscribe: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_line, "start_fork_server", None)
    ran = longscribe("one.wav", "other.wav", "--model", "demo")
    assert ran.code == 2
    assert ran.err.count("does not exist") == ran.err.count("\n") == 2
    assert ran.out == "0 of 2 recordings done; not: 'one.wav', 'other.wav'\n"


def test_a_name_that_is_not_utf_8_is_refused(
    longscribe: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_line, "start_fork_server", None)
    Path("caf\udce9.wav").write_bytes(b"RIFF")
    refused(longscribe("caf\udce9.wav", "--model", "demo"), "'caf\\udce9.wav'", "not UTF-8")
    ran = longscribe("a.wav", "--model", "demo", "--output-dir", "caf\udce9")
    refused(ran, "--output-dir", "is not UTF-8")


@pytest.mark.parametrize("model", ["turbo", "large-v3-turbo", "base.en", "distil-large-v3"])
def test_a_model_that_cannot_translate_is_refused(
    longscribe: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.setattr(command_line, "start_fork_server", None)
    ran = longscribe(sound("a.wav"), "--model", model, "--task", "translate")
    refused(ran, "--task", repr(model), "large-v3.")


def half_of(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: (f / "config.json").write_text('{"model_type": "wav2vec2"}'), "not Whisper"),
        (lambda f: (f / "model-00002-of-00002.safetensors").unlink(), "00002-of-00002.safetensors"),
        (lambda f: half_of(f / "model-00001-of-00002.safetensors"), "cut short"),
        (lambda f: shutil.rmtree(f) or f.mkdir(), "a folder without a model"),
    ],
)
def test_a_model_s_folder_that_is_not_whole_is_refused_before_a_server(
    longscribe: Callable[..., Ran],
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path], object],
    says: str,
) -> None:
    monkeypatch.setattr(command_line, "start_fork_server", None)
    checkpoint = torch.load(DEMO_CHECKPOINT, weights_only=True)
    spoil(write_hugging_face(checkpoint, Path("model"), shards=2))
    refused(longscribe(sound("a.wav"), "--model", "model"), "model", says)


def test_a_repository_that_is_gated_is_refused_before_a_server(
    longscribe: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_line, "start_fork_server", None)
    with hub_in_use(Path.cwd() / "home", monkeypatch) as hub:
        hub.add("someone/secret", "config.json", "model.safetensors").gated = True
        ran = longscribe(sound("a.wav"), "--model", "someone/secret")
    refused(ran, "someone/secret is gated", "HF_TOKEN")


def test_wrong_digest(longscribe: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.longscribe.models.test_weights import Mirror

    mirror = Mirror()
    monkeypatch.setenv(names.MIRROR_VARIABLE, mirror.url)
    ran = longscribe(sound("a.wav"), "--model", "tiny", "--model-dir", "models")
    refused(ran, "wrong sha256", "--model")
    assert not list(Path("models").glob("*.p*"))


def test_no_network(longscribe: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(names.MIRROR_VARIABLE, "http://127.0.0.1:9")
    refused(longscribe(sound("a.wav")), "weights of turbo", "no connection", "--model")


def test_output_folder_that_cannot_be_written(longscribe: Callable[..., Ran]) -> None:
    Path("file").touch()
    ran = longscribe(sound("a.wav"), "--model", "demo", "--output-dir", "file/below")
    refused(ran, "'file/below/a'", "--output-dir")


def test_scratch_folder_that_is_not_there(
    longscribe: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = sound("a.wav")
    monkeypatch.setenv("TMPDIR", "/nowhere")
    refused(longscribe(recording, "--model", "demo"), "/nowhere", "TMPDIR")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--speed", "3"], "--speed"),
        (["--chunk-minutes", "0.01"], "--chunk-minutes"),
        (["--workers", "-1"], "--workers"),
        (["--threads-per-worker", "x"], "'x' is not a whole number or auto"),
        (["--memory-per-worker", "lots"], "--memory-per-worker"),
        (["--memory-per-worker", "1MB"], "--memory-per-worker"),
        (["--language", "klingon"], "--language"),
        (["--formats", "pdf"], "--formats"),
        (["--task", "sing"], "--task"),
        (["--glossary", "missing.txt"], "--glossary"),
        (["--hotwords", "missing.txt"], "--hotwords"),
        (["--hotwords", "x" * 101], "--hotwords"),
        (["--no-such-option"], "--no-such-option"),
        (["--temperature", "7"], "--temperature"),
        (["--decoding", "fast"], "--decoding"),
        (["--precision", "int4"], "--precision"),
        (["--device", "tpu"], "--device"),
        (["--batch-size", "0.5"], "'0.5' is not a whole number or auto"),
        (["--batch-size", "1000"], "--batch-size"),
        (["--condition_on_previous_text", "True"], "--decoding sequential"),
        (["--decoding", "sequential", "--precision", "int8"], "needs --decoding batched"),
    ],
)
def test_options_out_of_range(
    longscribe: Callable[..., Ran], arguments: list[str], says: str
) -> None:
    refused(longscribe(sound("a.wav"), "--model", "demo", *arguments), says)


def test_a_configured_server_that_does_not_answer(
    longscribe: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which only Prefect knows of, so another has been started before it is asked."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    monkeypatch.delenv("PREFECT_API_URL")
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        ran = longscribe(sound("a.wav"), "--model", "demo")
    refused(ran, "the Prefect server at http://127.0.0.1:9/api does not answer")


def test_english_models_refuse_other_languages(longscribe: Callable[..., Ran]) -> None:
    stored = torch.load(DEMO_CHECKPOINT, weights_only=True)
    stored["dims"]["n_vocab"] = 51864
    state = stored["model_state_dict"]
    embedding = state["decoder.token_embedding.weight"]
    state["decoder.token_embedding.weight"] = embedding[:51864].clone()
    torch.save(stored, "english.pt")
    ran = longscribe(sound("a.wav"), "--model", "english.pt", "--language", "pt")
    refused(ran, "--language", "only English")


def test_no_recording(longscribe: Callable[..., Ran]) -> None:
    refused(longscribe("--model", "demo"), "RECORDING")


def test_two_recordings_of_one_name(longscribe: Callable[..., Ran]) -> None:
    refused(longscribe("a/talk.mp3", "b/talk.wav"), "'a/talk.mp3'", "'b/talk.wav'")


def test_names_that_look_like_options(longscribe: Callable[..., Ran]) -> None:
    refused(longscribe(sound("-odd.wav"), "--model", "demo"), "put -- before a name")
    ran = longscribe("--model", "demo", "--formats", "txt", "--", "-odd.wav")
    assert ran.code == 0
    assert Path("transcripts/-odd/-odd.txt").read_text() == ""


def test_all_silence_is_an_empty_transcript(longscribe: Callable[..., Ran]) -> None:
    ran = longscribe(sound("quiet.wav"), "--model", "demo")
    assert (ran.code, ran.err) == (0, "")
    assert "No speech was found" in ran.out
    assert Path("transcripts/quiet/quiet.txt").read_text() == ""
    assert json.loads(Path("transcripts/quiet/quiet.json").read_text())["segments"] == []


@pytest.mark.parametrize("name", ["two words.wav", 'it\'s "so".wav', "a\nb.wav", "🎙.wav"])
def test_odd_names(longscribe: Callable[..., Ran], name: str) -> None:
    ran = longscribe(
        sound(name), "--model", "demo", "--output_dir", "out", "--output_format", "txt"
    )
    assert (ran.code, ran.err) == (0, "")
    folder = name.replace("\n", "_").removesuffix(".wav")
    assert Path("out", folder, f"{folder}.txt").is_file()


def test_samples_that_are_not_numbers(longscribe: Callable[..., Ran]) -> None:
    broken = SILENCE.copy()
    broken[100:110] = np.nan
    ran = longscribe(sound("nan.wav", broken, codec="pcm_f32le"), "--model", "demo")
    assert (ran.code, ran.err) == (0, "")
    assert "10 samples were not numbers" in ran.out


def test_truncated_mp3(longscribe: Callable[..., Ran]) -> None:
    write_sound(Path("whole.mp3"), np.zeros(60 * 16_000, np.float32))
    Path("cut.mp3").write_bytes(Path("whole.mp3").read_bytes()[:80_000])
    ran = longscribe("cut.mp3", "--model", "demo")
    assert (ran.code, ran.err) == (0, "")
    assert "s it declares are missing" in ran.out
    assert "[gap: missing from the file]" in Path("transcripts/cut/cut.txt").read_text()


def test_one_bad_recording_does_not_stop_the_others(longscribe: Callable[..., Ran]) -> None:
    ran = longscribe("nowhere.wav", sound("quiet.wav"), "--model", "demo")
    assert ran.code == 2
    assert "nowhere.wav" in ran.err
    assert Path("transcripts/quiet/quiet.txt").is_file()


def test_more_threads_than_cores_are_cut_back_and_said(longscribe: Callable[..., Ran]) -> None:
    ran = longscribe(
        sound("a.wav", bursts([], 5.0)), "--model", "demo", "--threads", "200", "-f", "txt"
    )
    assert (ran.code, ran.err) == (0, "")
    assert "200 threads per worker asked" in ran.out


def test_a_server_that_is_away_just_when_the_run_begins_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command_line, "_BEGIN_AGAIN_S", 0.0)
    calls: list[int] = []

    def begin(number: int) -> str:
        calls.append(number)
        if len(calls) < 3:
            try:
                raise httpx.ConnectError("refused")
            except httpx.ConnectError as error:
                raise RuntimeError("Failed to reach API") from error
        return "done"

    assert command_line._begun(begin, {"number": 7}) == "done"
    assert calls == [7, 7, 7]
    monkeypatch.setattr(command_line, "_BEGIN_WITHIN_S", -1.0)
    calls.clear()
    with pytest.raises(httpx.ConnectError):
        command_line._begun(begin, {"number": 7})
