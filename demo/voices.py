"""Speech of one sentence by one synthetic voice: samples with the time of every word.

Two synthesizers, called through ctypes rather than a process per sentence (100 times faster, and
both tell where each word lies): eSpeak NG (`libespeak-ng.so.1`, English and Portuguese) and Flite
(`libflite.so.1`, American and Scottish English). Struct layouts follow speak_lib.h and cst_wave.h.
"""

from __future__ import annotations

import ctypes
import functools
import random
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demo.grammar import WORD_PATTERN

SAMPLE_RATE_HZ = 16000
INSTALL_HINT = "install them with: apt-get install espeak-ng flite"
_SILENCE_PEAK_RATIO = 0.01  # 40 dB below the sentence's peak counts as silence
_FRAME_SAMPLES = 80  # 5 ms, the resolution of onset and offset

Samples = NDArray[np.int16]


class SynthesizerMissing(RuntimeError):
    """eSpeak NG or Flite is not installed."""


@dataclass(frozen=True)
class Voice:
    """A speaker: engine, its voice, and how fast and high it speaks."""

    name: str
    language: str
    engine: str  # "espeak" or "flite"
    rate: float  # espeak: words per minute; flite: durations are divided by it
    pitch: int = 50  # espeak only, 0-99

    def varied(self, rng: random.Random) -> Voice:
        """The same speaker, a little slower or faster, lower or higher."""
        return replace(
            self,
            rate=self.rate * rng.uniform(0.88, 1.15),
            pitch=round(self.pitch + rng.uniform(-8, 8)),
        )


@dataclass(frozen=True)
class Speech:
    """One spoken sentence; all times in seconds from its first sample."""

    samples: Samples  # 16 kHz mono
    onset_s: float
    offset_s: float
    word_times_s: list[tuple[float, float]]  # one (start, end) per word of the text


_EN_ESPEAK = [
    "en-us+f2",
    "en-us+m3",
    "en-us+f4",
    "en+m1",
    "en+f3",
    "en+m7",
    "en-gb-x-rp+f2",
    "en-gb-x-rp+m4",
    "en-gb-scotland+f1",
    "en-us+Alicia",
    "en-us-nyc+m2",
    "en+Andy",
    "en-us+Lee",
    "en+linda",
]
_PT_ESPEAK = [
    "pt+f2",
    "pt+m3",
    "pt+f4",
    "pt+m1",
    "pt+f3",
    "pt+m7",
    "pt+Alicia",
    "pt-br+f2",
    "pt-br+m4",
    "pt-br+f1",
    "pt-br+m2",
    "pt-br+Andy",
    "pt-br+f3",
    "pt-br+Diogo",
    "pt-br+linda",
]
_FLITE = ("kal", "kal16", "awb", "rms", "slt")
# Never trained on: they measure what an unknown speaker costs.
_UNSEEN = {"en": ("en-us+f5", "en+m5"), "pt": ("pt+f5", "pt-br+m5")}


def voices(language: str) -> list[Voice]:
    """The voices of the training corpus and, by default, of the recordings."""
    names = _EN_ESPEAK if language == "en" else _PT_ESPEAK
    found = [_espeak_voice(name, language) for name in names]
    if language == "en":
        found += [Voice(name, "en", "flite", 1.0) for name in _FLITE]
    return found


def unseen_voices(language: str) -> list[Voice]:
    """Voices kept out of the training corpus."""
    return [_espeak_voice(name, language) for name in _UNSEEN[language]]


def _espeak_voice(name: str, language: str) -> Voice:
    pitch = 60 if any(mark in name for mark in ("+f", "Alicia", "linda")) else 40
    return Voice(name, language, "espeak", rate=150.0, pitch=pitch)


def speak(text: str, voice: Voice) -> Speech:
    """Synthesize one sentence; deterministic for the same text and voice."""
    engine = _espeak() if voice.engine == "espeak" else _flite()
    audio, rate_hz, starts_ends = engine.synthesize(text, voice)
    samples = resample_to_16k(audio, rate_hz)
    onset_s, offset_s = speech_bounds(samples)
    times = [
        (min(max(start, onset_s), offset_s), min(max(end, onset_s), offset_s))
        for start, end in starts_ends
    ]
    return Speech(samples, onset_s, offset_s, times)


def speech_bounds(samples: Samples) -> tuple[float, float]:
    """First and last moment (s) louder than 40 dB below the peak."""
    whole = samples[: len(samples) // _FRAME_SAMPLES * _FRAME_SAMPLES].astype(np.int32)
    peaks = np.abs(whole).reshape(-1, _FRAME_SAMPLES).max(axis=1)
    loud = np.flatnonzero(peaks > peaks.max(initial=1) * _SILENCE_PEAK_RATIO)
    if not len(loud):
        return 0.0, len(samples) / SAMPLE_RATE_HZ
    scale = _FRAME_SAMPLES / SAMPLE_RATE_HZ
    return float(loud[0] * scale), float((loud[-1] + 1) * scale)


def resample_to_16k(audio: Samples, rate_hz: int) -> Samples:
    """Resampling by the spectrum; an utterance ends in silence, so it may wrap around."""
    if rate_hz == SAMPLE_RATE_HZ:
        return audio
    block = rate_hz // np.gcd(rate_hz, SAMPLE_RATE_HZ)
    blocks = -(-len(audio) // block)
    # 8 % headroom at most buys a length that the FFT splits into small factors.
    blocks += -blocks % 16
    padded = np.zeros(blocks * block, np.float32)
    padded[: len(audio)] = audio
    out_length = blocks * block * SAMPLE_RATE_HZ // rate_hz
    spectrum = np.fft.rfft(padded)
    bins = out_length // 2 + 1
    resized = np.zeros(bins, spectrum.dtype)
    kept = min(bins, len(spectrum))
    resized[:kept] = spectrum[:kept]
    signal = np.fft.irfft(resized, out_length) * (out_length / len(padded))
    length = -(-len(audio) * SAMPLE_RATE_HZ // rate_hz)
    samples: Samples = np.clip(np.round(signal[:length]), -32768, 32767).astype(np.int16)
    return samples


def _load(library: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(library)
    except OSError as error:
        raise SynthesizerMissing(f"{library} not found; {INSTALL_HINT}") from error


class _EspeakEvent(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_EVENT_WORD, _EVENT_PHONEME = 1, 7
_ESPEAK_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_EspeakEvent)
)


class _Espeak:
    """eSpeak NG in synchronous mode with word and phoneme events."""

    def __init__(self) -> None:
        self._library = _load("libespeak-ng.so.1")
        synchronous, phoneme_events = 2, 1
        self._rate_hz = self._library.espeak_Initialize(synchronous, 0, None, phoneme_events)
        if self._rate_hz <= 0:
            raise SynthesizerMissing(f"eSpeak NG has no voice data; {INSTALL_HINT}")
        self._chunks: list[Samples] = []
        self._events: list[tuple[int, int, int, bytes]] = []
        self._callback = _ESPEAK_CALLBACK(self._collect)  # kept: ctypes does not hold it
        self._library.espeak_SetSynthCallback(self._callback)
        self._voice_name = ""

    def _collect(self, wave: Any, count: int, events: Any) -> int:
        if wave and count:
            self._chunks.append(np.ctypeslib.as_array(wave, (count,)).copy())
        index = 0
        while events and events[index].type:
            event = events[index]
            if event.type in (_EVENT_WORD, _EVENT_PHONEME):
                name = event.id if event.type == _EVENT_PHONEME else b""
                self._events.append((event.type, event.text_position, event.sample, name))
            index += 1
        return 0

    def synthesize(self, text: str, voice: Voice) -> tuple[Samples, int, list[tuple[float, float]]]:
        """Samples, their rate (Hz) and each word's start and end (s)."""
        library = self._library
        self._chunks, self._events = [], []
        if voice.name != self._voice_name:
            if library.espeak_SetVoiceByName(voice.name.encode()) != 0:
                raise SynthesizerMissing(f"eSpeak NG has no voice {voice.name}; {INSTALL_HINT}")
            self._voice_name = voice.name
        rate, volume, pitch = 1, 2, 3
        library.espeak_SetParameter(rate, round(voice.rate), 0)
        library.espeak_SetParameter(volume, 80, 0)
        library.espeak_SetParameter(pitch, min(max(voice.pitch, 0), 99), 0)
        data = text.encode() + b"\0"
        characters, utf8 = 1, 1
        library.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, characters, 0, utf8, None, None)
        audio = np.concatenate(self._chunks) if self._chunks else np.zeros(0, np.int16)
        return audio, self._rate_hz, self._word_times(text, len(audio))

    def _word_times(self, text: str, length: int) -> list[tuple[float, float]]:
        spans = [match.span() for match in WORD_PATTERN.finditer(text)]
        starts: list[int | None] = [None] * len(spans)
        for kind, position, sample, _ in self._events:
            for index, (first, last) in enumerate(spans):
                # text_position counts characters from 1 and may include the space before.
                if kind == _EVENT_WORD and first <= position - 1 + (position == 0) < last:
                    starts[index] = sample if starts[index] is None else starts[index]
        pauses = [
            s for kind, _, s, name in self._events if kind == _EVENT_PHONEME and name[:1] == b"_"
        ]
        return _complete(starts, spans, pauses, length, self._rate_hz)


def _complete(
    starts: list[int | None],
    spans: list[tuple[int, int]],
    pauses: list[int],
    length: int,
    rate_hz: int,
) -> list[tuple[float, float]]:
    """Word (start, end) in seconds; a start that no event gave is interpolated by letters."""
    known = [i for i, start in enumerate(starts) if start is not None]
    filled = [start or 0 for start in starts]
    for index, start in enumerate(starts):
        if start is not None:
            continue
        before = max((i for i in known if i < index), default=None)
        after = min((i for i in known if i > index), default=None)
        low, low_at = (filled[before], spans[before][0]) if before is not None else (0, 0)
        high, high_at = (
            (filled[after], spans[after][0]) if after is not None else (length, spans[-1][1])
        )
        filled[index] = low + (high - low) * (spans[index][0] - low_at) // max(high_at - low_at, 1)
    ends = [*filled[1:], length]
    for index, start in enumerate(filled):
        inside = [pause for pause in pauses if start < pause < ends[index]]
        ends[index] = min([ends[index], *inside])
    return [(s / rate_hz, e / rate_hz) for s, e in zip(filled, ends, strict=True)]


class _FliteVoice(ctypes.Structure):
    """The head of cst_voice."""

    _fields_ = (("name", ctypes.c_char_p), ("features", ctypes.c_void_p))


class _FliteWave(ctypes.Structure):
    """cst_wave of cst_wave.h."""

    _fields_ = (
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    )


class _Flite:
    """Flite's built-in voices with the segments' end times."""

    def __init__(self) -> None:
        ctypes.CDLL("libm.so.6", mode=ctypes.RTLD_GLOBAL)
        self._library = _load("libflite.so.1")
        library = self._library
        pointer = ctypes.c_void_p
        library.flite_init()
        library.flite_synth_text.restype = pointer
        library.flite_synth_text.argtypes = [ctypes.c_char_p, pointer]
        library.utt_wave.restype = ctypes.POINTER(_FliteWave)
        library.utt_wave.argtypes = [pointer]
        for name in ("utt_relation", "relation_head", "item_next"):
            getattr(library, name).restype = pointer
        library.utt_relation.argtypes = [pointer, ctypes.c_char_p]
        library.relation_head.argtypes = [pointer]
        library.item_next.argtypes = [pointer]
        library.item_feat_float.restype = ctypes.c_float
        library.item_feat_float.argtypes = [pointer, ctypes.c_char_p]
        library.ffeature_string.restype = ctypes.c_char_p
        library.ffeature_string.argtypes = [pointer, ctypes.c_char_p]
        library.feat_set_float.argtypes = [pointer, ctypes.c_char_p, ctypes.c_float]
        library.delete_utterance.argtypes = [pointer]
        self._voices: dict[str, Any] = {}

    def _voice(self, name: str) -> Any:
        if name not in self._voices:
            stem = f"cmu_us_{name}"
            register = getattr(_load(f"libflite_{stem}.so.1"), f"register_{stem}")
            register.restype = ctypes.POINTER(_FliteVoice)
            self._voices[name] = register(None)
        return self._voices[name]

    def synthesize(self, text: str, voice: Voice) -> tuple[Samples, int, list[tuple[float, float]]]:
        """Samples, their rate (Hz) and each word's start and end (s)."""
        library, handle = self._library, self._voice(voice.name)
        library.feat_set_float(
            handle.contents.features, b"duration_stretch", ctypes.c_float(1 / voice.rate)
        )
        utterance = library.flite_synth_text(
            text.encode("ascii"), ctypes.cast(handle, ctypes.c_void_p)
        )
        wave = library.utt_wave(utterance).contents
        audio = np.ctypeslib.as_array(wave.samples, (wave.num_samples,)).copy()
        rate_hz = wave.sample_rate
        spans = [match.span() for match in WORD_PATTERN.finditer(text)]
        starts, pauses = self._word_starts(utterance, len(spans), rate_hz)
        library.delete_utterance(utterance)
        return audio, rate_hz, _complete(starts, spans, pauses, len(audio), rate_hz)

    def _word_starts(
        self, utterance: Any, count: int, rate_hz: int
    ) -> tuple[list[int | None], list[int]]:
        library = self._library
        starts: list[int | None] = []
        pauses: list[int] = []
        segment = library.relation_head(library.utt_relation(utterance, b"Segment"))
        previous_end_s, previous_key = 0.0, b""
        while segment:
            name = library.ffeature_string(segment, b"name")
            path = b"R:SylStructure.parent.parent."
            # Equal neighbours ('the the') do not occur in the grammar, so a word's name and its
            # position in the phrase identify it.
            key = library.ffeature_string(segment, path + b"R:Word.name")
            if name == b"pau":
                pauses.append(round(previous_end_s * rate_hz))
                previous_key = b""
            elif key != previous_key:
                starts.append(round(previous_end_s * rate_hz))
                previous_key = key
            previous_end_s = library.item_feat_float(segment, b"end")
            segment = library.item_next(segment)
        return (starts if len(starts) == count else [None] * count), pauses


@functools.cache
def _espeak() -> _Espeak:
    return _Espeak()


@functools.cache
def _flite() -> _Flite:
    return _Flite()
