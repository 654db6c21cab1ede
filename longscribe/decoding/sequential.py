"""A chunk decoded by openai-whisper's own loop, window after window: `whisper.transcribe`.

The chunk's stretches of sound become `clip_timestamps`, so long silences are neither computed nor
hallucinated over, and every window starts where speech starts.
"""

import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
import whisper
from torch import Tensor
from whisper.audio import HOP_LENGTH, N_FRAMES, SAMPLE_RATE
from whisper.decoding import DecodingResult, DecodingTask, LogitFilter
from whisper.model import Whisper

from longscribe.audio.recording import Samples
from longscribe.audio.voice_activity import Spans, merge_spans
from longscribe.decoding.hotwords import Hotwords
from longscribe.decoding.tokenizer import as_text, tokenizer_of, upstream_uses
from longscribe.decoding.verbatim import prompt_of
from longscribe.engine.mapped_weights import mapped, unfilled
from longscribe.models.checkpoint import ModelDims
from longscribe.models.weights import ModelSpec
from longscribe.options import DecodingOptions
from longscribe.transcript import Segment, Word

# Silences longer than this are left out of the windows. Each window costs a whole 30 s encoder
# pass however little speech it holds, so leaving out shorter ones would cost more than it saves.
_SKIPPED_SILENCE_S = 5.0
_CLIP_PAD_S = 0.2

_LANGUAGE_WINDOWS = 3  # windows listened to, at most, when the first leaves doubt
_SURE_OF_LANGUAGE = 0.8


class Sequential(NamedTuple):
    """What a chunk was decoded to, in seconds from its start."""

    segments: tuple[Segment, ...]
    language: str
    language_probability: float | None


@lru_cache(maxsize=1)
def load(spec: ModelSpec, device: str) -> Whisper:
    """The model as openai-whisper's own modules, float32, over the machine's one copy of it.

    Raises:
        ModelError: the checkpoint cannot be loaded or its converted copy not be kept.
    """
    dims = spec.dims
    model = unfilled(dims, len(spec.added_tokens))
    model.load_state_dict(mapped(spec, "float32"), assign=True)
    context = dims.n_text_ctx
    mask = torch.full((context, context), -np.inf).triu_(1)
    model.decoder.register_buffer("mask", mask, persistent=False)
    named = whisper._ALIGNMENT_HEADS.get(spec.name)  # lost when loading by path
    marked = torch.zeros(dims.n_text_layer, dims.n_text_head, dtype=torch.bool)
    if spec.alignment_heads is None:
        marked[dims.n_text_layer // 2 :] = True
    for layer, head in spec.alignment_heads or ():
        marked[layer, head] = True
    model.register_buffer("alignment_heads", marked.to_sparse(), persistent=False)
    if named is not None and spec.alignment_heads is None:
        model.set_alignment_heads(named)
    return model.to(device).eval()


def transcribe_sequentially(
    spec: ModelSpec,
    device: str,
    samples: Samples,
    sound: Spans,
    options: DecodingOptions,
    seed: int,
) -> Sequential:
    """Transcribe a chunk.

    Args:
        spec: of the model.
        device: a torch device.
        samples: of the chunk, float32 at 16 kHz.
        sound: the chunk's stretches of sound in seconds, shape (n, 2).
        options: of the run.
        seed: of sampling at higher temperatures.

    Raises:
        ModelError: the checkpoint cannot be loaded.
    """
    model = load(spec, device)
    torch.manual_seed(seed)
    clips = speech_clips(sound, len(samples))
    added = tuple(token.text for token in spec.added_tokens)
    prompt = as_text(options.initial_prompt, tokenizer_of(spec.dims, added))
    options = options.model_copy(update={"initial_prompt": prompt})
    with upstream_uses(spec.dims, added), _favouring(options.hotwords, model, spec.dims, added):
        return _transcribe(model, device, samples, clips, options)


def _transcribe(
    model: Whisper, device: str, samples: Samples, clips: Spans, options: DecodingOptions
) -> Sequential:
    language, probability = options.told_language or "", None
    if not model.is_multilingual:
        language = "en"
    elif not language:
        among = options.possible_languages
        language, probability = detect_language(model, samples, clips, among)
    with warnings.catch_warnings():
        # The CPU was chosen on purpose, also on a machine with a GPU.
        warnings.filterwarnings("ignore", message="Performing inference on CPU when CUDA")
        result = whisper.transcribe(
            model, samples, **_upstream_options(options, language, clips, device), verbose=None
        )
    return Sequential(tuple(_segments(result["segments"])), language, probability)


class _Favour(LogitFilter):  # type: ignore[misc]  # upstream has no types
    """Hotwords as a filter of upstream's: after its own, so that what they forbid stays so."""

    def __init__(self, hotwords: Hotwords, first: int) -> None:
        self._hotwords = hotwords
        self._first = first  # place of the first sampled token

    def apply(self, logits: Tensor, tokens: Tensor) -> None:
        """Add to logits, in place, what makes hotwords likelier."""
        for row, sampled in zip(logits, tokens[:, self._first :].tolist(), strict=True):
            bias = self._hotwords.bias(sampled)
            row[torch.from_numpy(bias.tokens)] += torch.from_numpy(bias.bonuses).to(row)
            row -= bias.held


@contextmanager
def _favouring(
    words: Sequence[str], model: Whisper, dims: ModelDims, added: tuple[str, ...]
) -> Iterator[None]:
    """Let a model's own `decode`, which upstream's loop calls, make hotwords likelier."""
    if not words:
        yield
        return
    hotwords = Hotwords(words, tokenizer_of(dims, added))

    def decode(mel: Tensor, options: whisper.DecodingOptions) -> DecodingResult:
        task = DecodingTask(model, options)
        task.logit_filters.append(_Favour(hotwords, task.sample_begin))
        return task.run(mel.unsqueeze(0))[0]

    model.decode = decode
    try:
        yield
    finally:
        del model.decode  # the class's own is there again


def speech_clips(sound: Spans, samples: int) -> Spans:
    """The stretches of a chunk that are given to the model, in seconds, shape (n, 2).

    The last clip ends at least one mel frame within the samples: one frame past them and upstream's
    loop never ends (https://github.com/openai/whisper/issues/2005).
    """
    end_s = (samples // HOP_LENGTH) * HOP_LENGTH / SAMPLE_RATE
    clips = merge_spans(sound, pad_s=_CLIP_PAD_S, join_s=_SKIPPED_SILENCE_S, end_s=end_s)
    return clips[np.round(clips[:, 1] * 100) > np.round(clips[:, 0] * 100)]


def detect_language(
    model: Whisper, samples: Samples, clips: Spans, among: Collection[str] = ()
) -> tuple[str, float]:
    """The chunk's language and its probability, heard where there is sound.

    Upstream listens to the first 30 s, be they silent; here the first window starts at the first
    sound, and while the answer is in doubt, further windows are heard and their votes added.
    """
    votes: dict[str, float] = {}
    for count, start_s in enumerate(_window_starts(clips), start=1):
        start = round(start_s * SAMPLE_RATE)
        window = whisper.pad_or_trim(samples[start : start + N_FRAMES * HOP_LENGTH])
        mel = whisper.log_mel_spectrogram(window, model.dims.n_mels).to(model.device)
        _, probabilities = model.detect_language(mel)
        known = {code: p for code, p in probabilities.items() if not among or code in among}
        for language, probability in known.items():
            votes[language] = votes.get(language, 0.0) + probability / sum(known.values())
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


def _upstream_options(
    options: DecodingOptions, language: str, clips: Spans, device: str
) -> dict[str, Any]:
    prompt = prompt_of(options, language)
    return {
        "language": language,
        "task": options.task,
        "temperature": options.temperatures,
        "best_of": options.best_of,
        "beam_size": options.beam_size,
        "patience": options.patience,
        "length_penalty": options.length_penalty,
        "suppress_tokens": options.suppress_tokens or None,
        "initial_prompt": prompt or None,
        "carry_initial_prompt": bool(prompt),
        "condition_on_previous_text": options.condition_on_previous_text,
        "word_timestamps": options.word_timestamps,
        "compression_ratio_threshold": options.compression_ratio_threshold,
        "logprob_threshold": options.logprob_threshold,
        "no_speech_threshold": options.no_speech_threshold,
        "clip_timestamps": clips.reshape(-1).tolist(),
        "fp16": device != "cpu",
    }


def _segments(found: list[dict[str, Any]]) -> list[Segment]:
    segments = []
    for item in found:
        if not item["text"].strip():
            continue
        words = item.get("words")
        segments.append(
            Segment(
                **{
                    **{name: item[name] for name in _COPIED},
                    "tokens": tuple(item["tokens"]),
                    "words": None if words is None else tuple(map(_word, words)),
                }
            )
        )
    return segments


def _word(item: dict[str, Any]) -> Word:
    # numpy's numbers are no JSON
    times = (float(item[name]) for name in ("start", "end", "probability"))
    return Word(item["word"], *times)


_COPIED = (
    *("id", "seek", "start", "end", "text"),
    *("temperature", "avg_logprob", "compression_ratio", "no_speech_prob"),
)
