"""One chunk of samples to segments, with openai-whisper's own loop.

The chunk's stretches of sound become `clip_timestamps`, so long silences are neither computed nor
hallucinated over, and every window starts where speech starts.
"""

import os
import resource
import time
import warnings
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import whisper
from whisper.audio import HOP_LENGTH, N_FRAMES, SAMPLE_RATE
from whisper.model import Whisper

from longscribe.audio import Samples, read_samples, to_float
from longscribe.chunks import Chunk
from longscribe.errors import ModelError
from longscribe.options import DecodingOptions
from longscribe.speech import PAD_S, Spans, merge_spans, overlap_s
from longscribe.transcript import ChunkTranscript, Segment, Word
from longscribe.weights import ModelSpec

# Silences longer than this are left out of the windows. Each window costs a whole 30 s encoder
# pass however little speech it holds, so leaving out shorter ones would cost more than it saves.
_SKIPPED_SILENCE_S = 5.0
_CLIP_PAD_S = 0.2

# How far a time may be moved to the beginning or end of sound.
_SNAP_REACH_S = 0.5
_NEIGHBOUR_S = 2 * PAD_S  # sound of the segment before or after that a time may still touch

_LANGUAGE_WINDOWS = 3  # windows listened to, at most, when the first leaves doubt
_SURE_OF_LANGUAGE = 0.8


@lru_cache(maxsize=1)
def load(spec: ModelSpec) -> Whisper:
    """The model of a spec, loaded once per process, in float32 on the CPU, gradients off.

    Raises:
        ModelError: the checkpoint cannot be loaded.
    """
    torch.set_grad_enabled(False)
    try:
        model = whisper.load_model(str(spec.path), device="cpu")
    except (RuntimeError, KeyError, OSError) as error:
        first_line = str(error).splitlines()[0]
        raise ModelError(
            f"the checkpoint {str(spec.path)!r} cannot be loaded: {first_line}"
        ) from None
    heads = whisper._ALIGNMENT_HEADS.get(spec.name)  # lost when loading by path
    if heads is not None:
        model.set_alignment_heads(heads)
    return model


def transcribe_chunk(chunk: Chunk, spec: ModelSpec, options: DecodingOptions) -> ChunkTranscript:
    """Transcribe one chunk; segments in accelerated seconds from the chunk's start.

    The same chunk, weights and options give the same segments, whichever process runs it: sampling
    at higher temperatures is seeded by the chunk's digest.

    Raises:
        ModelError: the checkpoint cannot be loaded.
    """
    started_s, cpu_started_s = time.perf_counter(), time.process_time()
    sound = np.asarray(chunk.sound, dtype=np.float64).reshape(-1, 2)
    language, probability = options.language, None
    segments: tuple[Segment, ...] = ()
    if len(sound):
        model = load(spec)
        torch.manual_seed(int(chunk.sha256[:15], 16))
        samples = to_float(read_samples(chunk.pcm_path, chunk.start_sample, chunk.stop_sample))
        clips = speech_clips(sound, len(samples))
        if not model.is_multilingual:
            language = "en"
        elif language == "auto":
            language, probability = detect_language(model, samples, clips)
        with warnings.catch_warnings():
            # The CPU was chosen on purpose, also on a machine with a GPU.
            warnings.filterwarnings("ignore", message="Performing inference on CPU when CUDA")
            result = whisper.transcribe(
                model, samples, **_upstream_options(options, language, clips), verbose=None
            )
        segments = tuple(_segments(result["segments"], sound, chunk.duration_s))
    seconds = time.perf_counter() - started_s
    return ChunkTranscript(
        index=chunk.index,
        language="" if language == "auto" else language,
        language_probability=probability,
        segments=segments,
        seconds=seconds,
        cpu_percent=100.0 * (time.process_time() - cpu_started_s) / max(seconds, 1e-6),
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        pid=os.getpid(),
    )


def speech_clips(sound: Spans, samples: int) -> Spans:
    """The stretches of a chunk that are given to the model, in seconds, shape (n, 2).

    The last clip ends at least one mel frame within the samples: one frame past them and upstream's
    loop never ends (https://github.com/openai/whisper/issues/2005).
    """
    end_s = (samples // HOP_LENGTH) * HOP_LENGTH / SAMPLE_RATE
    clips = merge_spans(sound, pad_s=_CLIP_PAD_S, join_s=_SKIPPED_SILENCE_S, end_s=end_s)
    return clips[np.round(clips[:, 1] * 100) > np.round(clips[:, 0] * 100)]


def detect_language(model: Whisper, samples: Samples, clips: Spans) -> tuple[str, float]:
    """The chunk's language and its probability, heard where there is sound.

    Upstream listens to the first 30 s, be they silent; here the first window starts at the first
    sound, and while the answer is in doubt, further windows are heard and their votes added.
    """
    votes: dict[str, float] = {}
    for count, start_s in enumerate(_window_starts(clips), start=1):
        start = round(start_s * SAMPLE_RATE)
        window = whisper.pad_or_trim(samples[start : start + N_FRAMES * HOP_LENGTH])
        mel = whisper.log_mel_spectrogram(window, model.dims.n_mels)
        _, probabilities = model.detect_language(mel)
        for language, probability in probabilities.items():
            votes[language] = votes.get(language, 0.0) + probability
        best = max(votes, key=votes.__getitem__)
        if votes[best] / count >= _SURE_OF_LANGUAGE or count == _LANGUAGE_WINDOWS:
            break
    return best, votes[best] / count


def _window_starts(clips: Spans) -> list[float]:
    window_s = N_FRAMES * HOP_LENGTH / SAMPLE_RATE
    starts_s = [
        float(start_s)
        for clip_start_s, clip_end_s in clips
        for start_s in np.arange(clip_start_s, clip_end_s, window_s)
    ]
    # The first, then from the middle and the last third of what there is.
    picks = dict.fromkeys((0, len(starts_s) // 2, 5 * len(starts_s) // 6))
    return [starts_s[pick] for pick in picks]


def _upstream_options(options: DecodingOptions, language: str, clips: Spans) -> dict[str, Any]:
    return {
        "language": language,
        "task": options.task,
        "temperature": options.temperatures,
        "best_of": options.best_of,
        "beam_size": options.beam_size,
        "patience": options.patience,
        "length_penalty": options.length_penalty,
        "suppress_tokens": options.suppress_tokens or None,
        "initial_prompt": options.initial_prompt or None,
        "carry_initial_prompt": bool(options.initial_prompt),
        "condition_on_previous_text": options.condition_on_previous_text,
        "word_timestamps": options.word_timestamps,
        "compression_ratio_threshold": options.compression_ratio_threshold,
        "logprob_threshold": options.logprob_threshold,
        "no_speech_threshold": options.no_speech_threshold,
        "clip_timestamps": clips.reshape(-1).tolist(),
        "fp16": False,
    }


def _segments(found: list[dict[str, Any]], sound: Spans, end_s: float) -> list[Segment]:
    segments = []
    for item in found:
        if not item["text"].strip():
            continue
        words = item.get("words")
        start_s, stop_s = _snapped(item["start"], item["end"], sound, end_s)
        segments.append(
            Segment(
                **{
                    **{name: item[name] for name in _COPIED},
                    "tokens": tuple(item["tokens"]),
                    "start": start_s,
                    "end": stop_s,
                    "words": None if words is None else tuple(Word(**word) for word in words),
                }
            )
        )
    return segments


_COPIED = (
    "id",
    "seek",
    "text",
    "temperature",
    "avg_logprob",
    "compression_ratio",
    "no_speech_prob",
)


def _snapped(start_s: float, end_s: float, sound: Spans, chunk_s: float) -> tuple[float, float]:
    """A segment's times moved to where the sound begins and ends, within the chunk.

    The model's times are a few tenths off, and a pause may begin a window while upstream allows a
    first time stamp of at most 1.0 s (whisper/decoding.py, ApplyTimestampRules): the nearest
    beginning of sound within reach is the better start, the nearest end of it the better end.
    """
    start_s = min(max(float(start_s), 0.0), chunk_s)
    end_s = min(max(float(end_s), start_s), chunk_s)
    begins, ends = sound[:, 0] + PAD_S, sound[:, 1] - PAD_S
    later = begins[(begins >= start_s) & (begins < end_s)]
    near = begins[np.abs(begins - start_s) <= _SNAP_REACH_S]
    if len(near):
        snapped_start_s = float(near[np.argmin(np.abs(near - start_s))])
    elif len(later) and overlap_s(sound, start_s, float(later[0]) - PAD_S) <= _NEIGHBOUR_S:
        snapped_start_s = float(later[0])
    else:
        snapped_start_s = start_s
    earlier = ends[(ends > start_s) & (ends <= end_s)]
    near = ends[np.abs(ends - end_s) <= _SNAP_REACH_S]
    if len(near):
        snapped_end_s = float(near[np.argmin(np.abs(near - end_s))])
    elif len(earlier) and overlap_s(sound, float(earlier[-1]) + PAD_S, end_s) <= _NEIGHBOUR_S:
        snapped_end_s = float(earlier[-1])
    else:
        snapped_end_s = end_s
    if snapped_end_s <= snapped_start_s:
        return start_s, end_s
    return snapped_start_s, snapped_end_s
