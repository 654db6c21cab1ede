"""The demo model on its own sample, through the engine without Prefect; where it may compute."""

import platform
from collections.abc import Sequence
from ctypes import c_uint64
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import whisper
from whisper.model import Whisper

import longscribe
from longscribe.audio.chunks import Chunk
from longscribe.decoding import chunk as decoding
from longscribe.decoding.batched import transcribe_batched
from longscribe.decoding.chunk import Arithmetic, arithmetic
from longscribe.engine import mapped_weights, packed_linear, processor
from longscribe.engine.float_network import FloatNetwork
from longscribe.errors import OptionError
from longscribe.models.names import OFFICIAL
from longscribe.models.weights import ModelSpec
from longscribe.options import DecodingOptions
from longscribe.runtime import worker_progress
from longscribe.runtime.worker_slot import set_worker_slot
from longscribe.transcript import Transcript
from tests.chunks import chunk
from tests.recordings import beginning, sound_in, word_error_rate
from tests.sounds import RATE_HZ, write_pcm, write_sound

WAYS = ["batched", "sequential"]
LENGTH_S = 24.0  # of the sample, to the middle of a pause: enough where texts are only compared


def transcribed(path: Path, **options) -> Transcript:
    return longscribe.transcribe(path, model="demo", **options)


def error_rate(transcript: Transcript) -> float:
    return word_error_rate(segment.text for segment in transcript.segments)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sound(tmp_path_factory.mktemp("plain") / "a.wav", beginning())


@pytest.fixture(scope="module")
def understood(plain: Path) -> Transcript:
    return transcribed(plain)


@pytest.mark.parametrize(
    ("name", "rate_hz", "layout"),
    [
        ("a.mp3", 16_000, "mono"),
        ("a.m4a", 16_000, "mono"),
        ("a.opus", 48_000, "mono"),
        ("a.flac", 16_000, "mono"),
        ("a.webm", 48_000, "mono"),
        ("a.mp4", 44_100, "stereo"),
        ("a.wav", 44_100, "stereo"),
        ("a.wav", 8_000, "mono"),
    ],
)
def test_every_container_and_rate_is_understood_as_well_as_wav(
    tmp_path: Path, understood: Transcript, name: str, rate_hz: int, layout: str
) -> None:
    path = write_sound(
        tmp_path / name, beginning(), rate_hz=rate_hz, layout=layout, picture="mp4" in name
    )
    assert error_rate(transcribed(path)) <= error_rate(understood) + 0.03


def test_the_sample_is_understood(understood: Transcript) -> None:
    assert understood.language == "en"
    assert error_rate(understood) <= 0.10


@pytest.mark.parametrize(
    "options", [{"decoding": "sequential"}, {"precision": "float32"}, {"beam_size": 2}]
)
def test_other_ways_understand_as_well(
    plain: Path, understood: Transcript, options: dict[str, str | int]
) -> None:
    transcript = transcribed(plain, **options)
    assert transcript.language == "en"
    assert error_rate(transcript) <= error_rate(understood) + 0.01


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    part = beginning()[: round(LENGTH_S * RATE_HZ)]
    return write_sound(tmp_path_factory.mktemp("short") / "a.wav", part)


@pytest.mark.parametrize("way", WAYS)
def test_a_chunk_gives_the_same_segments_again(short: Path, way: str) -> None:
    options = {"decoding": way, "temperature": 0.4, "best_of": 2}
    first, second = (transcribed(short, **options).segments for _ in range(2))
    assert first == second
    assert {segment.temperature for segment in first} == {0.4}


@pytest.mark.parametrize("way", WAYS)
def test_what_a_worker_gets_ready_changes_no_text(short: Path, demo: ModelSpec, way: str) -> None:
    options = DecodingOptions.model_validate({"decoding": way})
    before = transcribed(short, decoding=way).segments
    decoding.prepare(demo, options)
    assert before
    assert transcribed(short, decoding=way).segments == before


@pytest.mark.parametrize("way", ["batched", "sequential"])
def test_word_times_lie_within_their_segment(short: Path, way: str) -> None:
    transcript = transcribed(short, decoding=way, word_timestamps=True)
    assert transcript.segments
    for segment in transcript.segments:
        assert segment.words
        assert "".join(w.word for w in segment.words).split() == segment.text.split()
        for word in segment.words:
            assert segment.start - 0.01 <= word.start <= word.end <= segment.end + 0.01


def chunk_of(tmp_path: Path, samples: np.ndarray, sound: Sequence[tuple[float, float]]) -> Chunk:
    return chunk(
        pcm_path=write_pcm(tmp_path / "a.pcm", samples),
        stop_sample=len(samples),
        original_end_s=len(samples) / RATE_HZ,
        sound=tuple(sound),
    )


@pytest.mark.parametrize("way", WAYS)
def test_a_silent_chunk_never_reaches_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, demo: ModelSpec, way: str
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the model was loaded for silence")

    monkeypatch.setattr(mapped_weights, "mapped", refuse)
    monkeypatch.setattr(decoding, "load", refuse)
    monkeypatch.setattr(decoding, "load_upstream", refuse)
    chunk = chunk_of(tmp_path, np.zeros(RATE_HZ, np.float32), [])
    result = decoding.transcribe_chunk(chunk, demo, DecodingOptions(decoding=way), 4)
    assert result.segments == ()
    assert result.language == ""


def test_a_chunk_s_figures(tmp_path: Path, demo: ModelSpec) -> None:
    part = beginning()[: round(LENGTH_S * RATE_HZ)]
    chunk = chunk_of(tmp_path, part, sound_in(part).tolist())
    result = decoding.transcribe_chunk(chunk, demo, DecodingOptions(precision="float32"), 4)
    assert (result.precision, result.fallbacks) == ("float32", 0)
    assert result.windows >= 1
    assert 0.0 <= result.load_s < result.seconds
    assert result.peak_memory_bytes > 50_000_000
    assert all(0.0 <= s.start < s.end <= chunk.duration_s for s in result.segments)


@pytest.mark.parametrize(
    "options",
    [
        DecodingOptions(),
        DecodingOptions(precision="float32"),
        DecodingOptions(decoding="sequential"),
    ],
)
def test_layers_of_windows_and_of_tokens_count_as_progress(
    tmp_path: Path, demo: ModelSpec, monkeypatch: pytest.MonkeyPatch, options: DecodingOptions
) -> None:
    part = beginning()[: round(LENGTH_S * RATE_HZ)]
    chunk = chunk_of(tmp_path, part, sound_in(part).tolist())
    count = c_uint64()
    monkeypatch.setattr(worker_progress, "_count", count)
    result = decoding.transcribe_chunk(chunk, demo, options, 1)
    tokens = sum(len(segment.tokens) for segment in result.segments)
    assert tokens > 10
    assert count.value >= demo.dims.n_audio_layer + tokens * demo.dims.n_text_layer


class OnAnyMachine:
    """What a machine would have to offer, pretended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.has(gpus=0, int8=True)

    def has(self, gpus: int = 0, int8: bool = True) -> None:
        self._monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        self._monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        self._monkeypatch.setattr(packed_linear, "has_int8_products", lambda: int8)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> OnAnyMachine:
    return OnAnyMachine(monkeypatch)


def test_auto_is_int8_where_it_can_be_had(machine: OnAnyMachine) -> None:
    assert arithmetic(DecodingOptions()) == Arithmetic("cpu", "int8")
    machine.has(int8=False)
    assert arithmetic(DecodingOptions()) == Arithmetic("cpu", "float32")


def test_sequential_is_always_float32_on_a_cpu(machine: OnAnyMachine) -> None:
    for precision in ("auto", "float32"):
        options = DecodingOptions(decoding="sequential", precision=precision)
        assert arithmetic(options) == Arithmetic("cpu", "float32")


def test_arm_takes_what_torch_has_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    able = {"architecture": "aarch64", "neon": True, "dotprod": True, "i8mm": True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    packed_linear.has_int8_products.cache_clear()
    processor.instructions.cache_clear()
    try:
        assert processor.instructions() == "aarch64"
        assert arithmetic(DecodingOptions()) == Arithmetic("cpu", "float32")
        with pytest.raises(OptionError, match="use float32"):
            arithmetic(DecodingOptions(precision="int8"))
    finally:
        packed_linear.has_int8_products.cache_clear()
        processor.instructions.cache_clear()


def test_auto_takes_a_gpu_in_float16_and_cpu_leaves_it(machine: OnAnyMachine) -> None:
    machine.has(gpus=1)
    assert arithmetic(DecodingOptions()) == Arithmetic("cuda:0", "float16")
    assert arithmetic(DecodingOptions(precision="bfloat16")) == Arithmetic("cuda:0", "bfloat16")
    assert arithmetic(DecodingOptions(device="cpu")) == Arithmetic("cpu", "int8")


def test_workers_share_out_the_gpus(machine: OnAnyMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.has(gpus=2)
    devices = []
    monkeypatch.setenv("LONGSCRIBE_WORKER_SLOT", "0")  # put back afterwards
    for slot in range(3):
        set_worker_slot(slot)
        devices.append(arithmetic(DecodingOptions()).device)
    assert devices == ["cuda:0", "cuda:1", "cuda:0"]


@pytest.mark.parametrize(
    ("offers", "options", "says"),
    [
        ({}, {"device": "cuda"}, "--device: torch finds no CUDA device here"),
        ({}, {"precision": "float16"}, "--precision: float16 is for GPUs"),
        ({}, {"precision": "bfloat16"}, "--precision: bfloat16 is for GPUs"),
        ({"int8": False}, {"precision": "int8"}, "no int8 products; use float32"),
        ({"gpus": 1}, {"precision": "int8"}, "int8 is for CPUs; use float16 on a GPU"),
        ({"gpus": 1}, {"precision": "float16", "device": "cpu"}, "float16 is for GPUs"),
    ],
)
def test_what_a_machine_does_not_have_is_refused_in_a_sentence(
    machine: OnAnyMachine, offers: dict[str, int], options: dict[str, str], says: str
) -> None:
    machine.has(**offers)
    with pytest.raises(OptionError, match=says) as caught:
        arithmetic(DecodingOptions(**options))
    assert str(caught.value).startswith("--")
    assert str(caught.value).endswith(".")


OFFICIAL_LAYERS = {"tiny": (4, 6), "base.en": (6, 8), "medium": (24, 16), "turbo": (4, 20)}


@pytest.mark.parametrize("name", OFFICIAL_LAYERS)
def test_alignment_heads_of_official_models_are_upstream_s(demo: ModelSpec, name: str) -> None:
    assert name in OFFICIAL
    layers, heads = OFFICIAL_LAYERS[name]
    dims = demo.dims.model_copy(update={"n_text_layer": layers, "n_text_head": heads})
    kept: dict[str, torch.Tensor] = {}
    model = SimpleNamespace(
        dims=dims, register_buffer=lambda name, value, persistent: kept.update({name: value})
    )
    Whisper.set_alignment_heads(model, whisper._ALIGNMENT_HEADS[name])
    expected = kept["alignment_heads"].to_dense().nonzero().tolist()
    spec = demo.model_copy(update={"name": name, "dims": dims})
    assert [list(pair) for pair in decoding.alignment_heads(spec)] == expected


def test_alignment_heads_of_other_models_are_upstream_s(demo: ModelSpec, upstream: Whisper) -> None:
    expected = upstream.alignment_heads.to_dense().nonzero().tolist()
    assert [list(pair) for pair in decoding.alignment_heads(demo)] == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_gpu_understands_as_well_as_the_cpu(
    demo: ModelSpec, float32: FloatNetwork, dtype: torch.dtype
) -> None:
    part = beginning()
    rates = []
    for network in (float32, FloatNetwork(demo, "cuda", dtype)):
        result = transcribe_batched(
            *(network, decoding.alignment_heads(demo), part, sound_in(part)),
            DecodingOptions(word_timestamps=True),
            batch_size=8,
            seed=0,
        )
        assert all(segment.words for segment in result.segments)
        rates.append(word_error_rate(segment.text for segment in result.segments))
    assert rates[1] <= rates[0] + 0.01


def test_starts_and_ends_move_to_the_sound() -> None:
    sound = np.array([[2.0, 5.0], [8.0, 9.0]])
    for found, snapped in [
        ((0.5, 5.2), (2.1, 4.9)),  # the pause before it, and a little after it
        ((2.4, 4.7), (2.1, 4.9)),  # a little late, a little early
        ((2.0, 7.0), (2.1, 4.9)),  # the pause after it
        ((4.9, 8.8), (8.1, 8.9)),  # the pause before it, right from the segment before
        ((2.7, 4.2), (2.7, 4.2)),  # in the midst of sound: left alone
        ((6.0, 99.0), (8.1, 8.9)),  # never past the chunk
    ]:
        assert decoding._snapped(*found, sound, 10.0) == pytest.approx(snapped)


@pytest.mark.parametrize("way", WAYS)
def test_real_speech_that_the_demo_model_does_not_know_runs_through(way: str) -> None:
    """John F. Kennedy's inaugural address, openai-whisper's own test recording."""
    transcript = transcribed(Path(__file__).parents[1] / "jfk.opus", decoding=way)
    assert transcript.duration_s == pytest.approx(11.0, abs=0.05)
    assert transcript.stretches[-1].end == pytest.approx(transcript.duration_s)
