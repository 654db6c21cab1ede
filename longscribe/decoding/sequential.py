"""A chunk decoded by openai-whisper's own loop, window after window: `whisper.transcribe`.

The chunk's stretches of sound become `clip_timestamps`, so long silences are neither computed nor
hallucinated over, and every window starts where speech starts.
"""

import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
import whisper
from torch import Tensor
from whisper.audio import HOP_LENGTH, SAMPLE_RATE
from whisper.decoding import DecodingResult, DecodingTask, LogitFilter
from whisper.model import Whisper
from whisper.tokenizer import get_tokenizer

from longscribe.audio.recording import Samples
from longscribe.audio.voice_activity import Spans, merge_spans
from longscribe.decoding.hotwords import Hotwords
from longscribe.decoding.spoken_languages import Listener, Votes
from longscribe.decoding.tokenizer import as_text, tokenizer_of, upstream_uses
from longscribe.decoding.verbatim import prompt_of
from longscribe.decoding.windows import Window, pack
from longscribe.engine.mapped_weights import mapped, unfilled
from longscribe.models.checkpoint import ModelDims
from longscribe.models.weights import ModelSpec
from longscribe.options import DecodingOptions
from longscribe.runtime.worker_progress import advance
from longscribe.transcript import Segment, Word

# Silences longer than this are left out of the windows. Each window costs a whole 30 s encoder
# pass however little speech it holds, so leaving out shorter ones would cost more than it saves.
_SKIPPED_SILENCE_S = 5.0
_CLIP_PAD_S = 0.2

# Of all languages that there may be together: float32 has no smaller number for what is none.
_LEAST_PROBABILITY = float(np.finfo(np.float32).tiny)


class Sequential(NamedTuple):
    """What a chunk was decoded to, in seconds from its start.

    Attributes:
        segments: in order, each with its language.
        language: that most is spoken in.
        language_probability: of it, on the average; None where it was told.
    """

    segments: tuple[Segment, ...]
    language: str
    language_probability: float | None


class _Part(NamedTuple):
    """What is given to upstream's loop at once: its clips, shape (n, 2), all in one language."""

    clips: Spans
    language: str
    probability: float | None


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
    for block in (*model.encoder.blocks, *model.decoder.blocks):
        block.register_forward_hook(lambda *_: advance())
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
    added = tuple(token.text for token in spec.added_tokens)
    prompt = as_text(options.initial_prompt, tokenizer_of(spec.dims, added))
    options = options.model_copy(update={"initial_prompt": prompt})
    with upstream_uses(spec.dims, added), _favouring(options.hotwords, model, spec.dims, added):
        return _transcribe(model, device, samples, sound, options)


def _transcribe(
    model: Whisper, device: str, samples: Samples, sound: Spans, options: DecodingOptions
) -> Sequential:
    told = options.told_language if model.is_multilingual else "en"
    if told:
        parts = [_Part(speech_clips(sound, len(samples)), told, None)]
    else:
        parts = _parts_by_language(model, samples, sound, options.possible_languages)
    segments: list[Segment] = []
    spoken_s: dict[str, float] = {}
    for part in parts:
        seconds = float(np.sum(part.clips[:, 1] - part.clips[:, 0]))
        spoken_s[part.language] = spoken_s.get(part.language, 0.0) + seconds
        given = _upstream_options(options, part.language, part.clips, device)
        with warnings.catch_warnings():
            # The CPU was chosen on purpose, also on a machine with a GPU.
            warnings.filterwarnings("ignore", message="Performing inference on CPU when CUDA")
            result = whisper.transcribe(model, samples, **given, verbose=None)
        segments += [
            replace(one, language=part.language, language_probability=part.probability)
            for one in _segments(result["segments"])
        ]
    language = max(spoken_s, key=spoken_s.__getitem__, default="")
    sure = [part.probability for part in parts if part.language == language]
    known = [probability for probability in sure if probability is not None]
    mean = sum(known) / len(known) if known else None
    return Sequential(tuple(segments), language, mean)


def _parts_by_language(
    model: Whisper, samples: Samples, sound: Spans, among: Collection[str]
) -> list[_Part]:
    """The chunk's sound, cut where the language changes.

    Upstream listens to the first 30 s, be they silent, and takes all to be in that language.
    """
    windows = pack(sound, samples)
    if not windows:
        return []
    spoken = _listener(model, samples, sound, among).spoken(windows)
    found = []
    for language, run in groupby(spoken, key=lambda one: one.language):
        together = list(run)
        pieces = np.asarray([piece for one in together for piece in one.window.pieces])
        probability = float(np.mean([one.probability for one in together]))
        found.append(_Part(_clips(pieces, 0.0, len(samples)), language, probability))
    return found


def _listener(model: Whisper, samples: Samples, sound: Spans, among: Collection[str]) -> Listener:
    tokenizer = get_tokenizer(True, num_languages=model.num_languages)
    codes = [code for code in tokenizer.all_language_codes if not among or code in among]

    def votes(windows: Sequence[Window]) -> Votes:
        found = []
        for window in windows:
            heard = whisper.pad_or_trim(window.samples(samples))
            mel = whisper.log_mel_spectrogram(heard, model.dims.n_mels).to(model.device)
            _, probabilities = model.detect_language(mel)
            known = np.asarray([probabilities[code] for code in codes], np.float32)
            found.append(known / max(known.sum(), _LEAST_PROBABILITY))
        return np.stack(found)

    return Listener(codes, votes, sound)


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
    return _clips(sound, _CLIP_PAD_S, samples)


def _clips(spans: Spans, pad_s: float, samples: int) -> Spans:
    end_s = (samples // HOP_LENGTH) * HOP_LENGTH / SAMPLE_RATE
    clips = merge_spans(spans, pad_s=pad_s, join_s=_SKIPPED_SILENCE_S, end_s=end_s)
    return clips[np.round(clips[:, 1] * 100) > np.round(clips[:, 0] * 100)]


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
    start, end, probability = (float(item[name]) for name in ("start", "end", "probability"))
    return Word(item["word"], start, end, probability)


_COPIED = (
    *("id", "seek", "start", "end", "text"),
    *("temperature", "avg_logprob", "compression_ratio", "no_speech_prob"),
)
