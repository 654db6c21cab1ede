"""One chunk of samples to segments: the way of decoding and the precision that were asked for."""

import base64
import gzip
import os
import resource
import time
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import whisper

from longscribe.audio.chunks import Chunk
from longscribe.audio.recording import Samples, read_samples, to_float
from longscribe.audio.voice_activity import PAD_S, Spans, overlap_s
from longscribe.decoding.batched import Batched, transcribe_batched
from longscribe.decoding.rehearsal import have_compiled, rehearse
from longscribe.decoding.sequential import load as load_upstream
from longscribe.decoding.sequential import transcribe_sequentially
from longscribe.decoding.tempos import TwoTempos, with_own_tempo
from longscribe.engine import packed_linear
from longscribe.engine.float_network import FloatNetwork
from longscribe.engine.gpu_memory import BatchesOnGpu
from longscribe.engine.int8_network import Int8Network
from longscribe.engine.network import Heads, Network
from longscribe.errors import OptionError, ResourceError
from longscribe.models.added_tokens import to_engine, to_stored
from longscribe.models.weights import ModelSpec
from longscribe.options import DecodingOptions, Precision
from longscribe.runtime.worker_slot import worker_slot
from longscribe.transcript import ChunkTranscript, Segment
from longscribe.wording.catalog import translated

# How far a time may be moved to the beginning or end of sound.
_SNAP_REACH_S = 0.5
_NEIGHBOUR_S = 0.4  # sound of the segment before or after that a time may still touch

_BATCHES = BatchesOnGpu()  # of this process, as the network is

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class Arithmetic(NamedTuple):
    """Where and in which numbers a chunk is computed."""

    device: str
    precision: Precision


def arithmetic(options: DecodingOptions) -> Arithmetic:
    """What `auto` means on this machine, and what was asked for where it can be had.

    Raises:
        OptionError: the device or the precision is not to be had here.
    """
    device: str = options.device
    precision = options.precision
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise OptionError(translated("--device: torch finds no CUDA device here; use cpu or auto."))
    if device == "auto":
        device = "cuda" if has_gpu else "cpu"
    if device == "cuda":
        if precision == "int8":
            raise OptionError(
                translated("--precision: int8 is for CPUs; use float16 on a GPU, or auto.")
            )
        device = f"cuda:{worker_slot() % torch.cuda.device_count()}"
        return Arithmetic(device, "float16" if precision == "auto" else precision)
    if precision in ("float16", "bfloat16"):
        raise OptionError(
            translated("--precision: {precision} is for GPUs; use int8, float32 or auto.").format(
                precision=precision
            )
        )
    if precision == "int8" and not packed_linear.has_int8_products():
        raise OptionError(
            translated(
                "--precision: this processor or this build of torch has no int8 products; "
                "use float32."
            )
        )
    if precision == "auto":
        precise = options.decoding == "sequential" or not packed_linear.has_int8_products()
        precision = "float32" if precise else "int8"
    return Arithmetic(device, precision)


@lru_cache(maxsize=1)
def load(spec: ModelSpec, chosen: Arithmetic) -> Network:
    """The network of a spec, once per process, over the machine's one copy of its weights.

    Raises:
        ModelError: the checkpoint cannot be loaded or its converted copy not be kept.
        ResourceError: the GPU's memory does not hold it.
    """
    if chosen.precision == "int8":
        return Int8Network(spec)
    if chosen.device != "cpu":
        torch.cuda.set_device(chosen.device)  # where streams and recorded steps are made
    try:
        return FloatNetwork(spec, chosen.device, _DTYPES[chosen.precision])
    except torch.OutOfMemoryError as error:
        raise ResourceError(
            translated(
                "the memory of the GPU does not hold the model {model} beside what else is in it; "
                "use a smaller model, or --device cpu."
            ).format(model=spec.name)
        ) from error


def prepare(spec: ModelSpec, options: DecodingOptions) -> None:
    """Load what chunks of a run will need, so that the first does not wait for it.

    Raises:
        ModelError: the checkpoint cannot be loaded.
        OptionError: a device or precision that this machine does not have.
    """
    chosen = arithmetic(options)
    if options.decoding != "batched":
        load_upstream(spec, chosen.device)
        return
    if chosen.device == "cpu":
        have_compiled(spec, options, chosen.precision)
    rehearse_first_layers(spec, options)


def rehearse_first_layers(spec: ModelSpec, options: DecodingOptions) -> None:
    """Load the model and hear one silent window with its first layers, without gradients."""
    with torch.no_grad():
        rehearse(load(spec, arithmetic(options)).shallow(), options)


def with_own_suppression(spec: ModelSpec, options: DecodingOptions) -> DecodingOptions:
    """The options with the model's own list of suppressed tokens in the place of -1, if it has one.

    A fine-tune may have been taught the very symbols that Whisper is kept from. Ids, the model's
    own and those asked for, become the engine's (models/added_tokens.py).
    """
    asked = [part.strip() for part in options.suppress_tokens.split(",") if part.strip()]
    listed = spec.suppress_tokens if "-1" in asked else None
    if listed is None and not spec.added_tokens:
        return options
    kept = [part for part in asked if part != "-1"]
    stored = [*map(int, kept), *(listed or ())]
    ids = [to_engine(id_, spec.dims, spec.added_tokens) for id_ in stored]
    tokens = [str(id_) for id_ in ids if id_ is not None]
    if listed is None and "-1" in asked:
        tokens.insert(0, "-1")
    return options.model_copy(update={"suppress_tokens": ",".join(tokens)})


def alignment_heads(spec: ModelSpec) -> Heads:
    """The heads whose attention follows the words: as the model's own files list them.

    Else as known for official models (whisper/__init__.py), and for others the upper half of the
    decoder, as whisper/model.py takes it.
    """
    if spec.alignment_heads is not None:
        return spec.alignment_heads
    layers, heads = spec.dims.n_text_layer, spec.dims.n_text_head
    marked = whisper._ALIGNMENT_HEADS.get(spec.name)
    if marked is None:
        return tuple((i, j) for i in range(layers // 2, layers) for j in range(heads))
    flags = np.frombuffer(gzip.decompress(base64.b85decode(marked)), dtype=bool)
    return tuple((int(i), int(j)) for i, j in np.argwhere(flags.reshape(layers, heads)))


def transcribe_chunk(
    chunk: Chunk, spec: ModelSpec, options: DecodingOptions, batch_size: int
) -> ChunkTranscript:
    """Transcribe one chunk; segments in accelerated seconds from the chunk's start.

    The same chunk, weights and options give the same segments, whichever process runs it: sampling
    at higher temperatures is seeded by the chunk's digest.

    Args:
        chunk: of an accelerated recording.
        spec: of the model.
        options: of the run.
        batch_size: windows decoded side by side.

    Raises:
        ModelError: the checkpoint cannot be loaded.
        OptionError: a device or precision that this machine does not have.
        ResourceError: the GPU's memory does not hold the model.
    """
    started_s = time.perf_counter()
    torch.set_grad_enabled(False)
    sound = np.asarray(chunk.sound, dtype=np.float64).reshape(-1, 2)
    chosen = arithmetic(options)
    options = with_own_suppression(spec, options)
    language, probability = options.told_language or "", None
    segments: tuple[Segment, ...] = ()
    windows = fallbacks = windows_again = 0
    loaded_s, cpu_started_s = time.perf_counter(), time.process_time()
    if len(sound):
        samples = to_float(read_samples(chunk.pcm_path, chunk.start_sample, chunk.stop_sample))
        seed = int(chunk.sha256[:15], 16)
        if options.decoding == "batched":
            load(spec, chosen)
            loaded_s, cpu_started_s = time.perf_counter(), time.process_time()
            decode = _Decoding(chunk, spec, chosen, samples, sound, options, seed)
            heard = _BATCHES.within_memory(batch_size, decode, forget=load.cache_clear)
            segments, language, probability, windows, fallbacks, windows_again = heard
        else:
            load_upstream(spec, chosen.device)
            loaded_s, cpu_started_s = time.perf_counter(), time.process_time()
            segments, language, probability = transcribe_sequentially(
                spec, chosen.device, samples, sound, options, seed
            )
    ended_s = time.perf_counter()
    return ChunkTranscript(
        index=chunk.index,
        language=language,
        language_probability=probability,
        segments=tuple(
            _as_stored(_snapped_segment(item, sound, chunk.duration_s), spec) for item in segments
        ),
        windows=windows,
        fallbacks=fallbacks,
        windows_again=windows_again,
        precision=chosen.precision,
        seconds=ended_s - started_s,
        load_s=loaded_s - started_s,
        ready_at_s=time.monotonic() - (ended_s - loaded_s),
        cpu_percent=100.0 * (time.process_time() - cpu_started_s) / max(ended_s - loaded_s, 1e-6),
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        pid=os.getpid(),
    )


class _Decoding:
    """A chunk decoded in batches, once or, where that helps, some of it twice."""

    def __init__(
        self,
        chunk: Chunk,
        spec: ModelSpec,
        chosen: Arithmetic,
        samples: Samples,
        sound: Spans,
        options: DecodingOptions,
        seed: int,
    ) -> None:
        self._chunk = chunk
        self._spec = spec
        self._chosen = chosen
        self._samples = samples
        self._sound = sound
        self._options = options
        self._seed = seed

    def __call__(self, batch_size: int) -> TwoTempos:
        """With so many windows side by side."""
        own = self._chunk.own_tempo

        def decode(samples: Samples, sound: Spans, again: bool, presumed: str = "") -> Batched:
            return transcribe_batched(
                load(self._spec, self._chosen),
                alignment_heads(self._spec),
                samples,
                sound,
                self._options,
                batch_size=batch_size,
                seed=self._seed,
                hears_again=again,
                presumed=presumed,
            )

        def again(sound: Spans, presumed: str) -> Batched:
            assert own is not None
            samples = to_float(read_samples(own.pcm_path, own.start_sample, own.stop_sample))
            return decode(samples, sound, False, presumed)

        first = decode(self._samples, self._sound, own is not None)
        scale = 1.0 if own is None else (own.stop_sample - own.start_sample) / len(self._samples)
        return with_own_tempo(first, again, self._sound, scale)


def _as_stored(segment: Segment, spec: ModelSpec) -> Segment:
    """A segment with the ids that the stored model's own tokenizer knows."""
    if not spec.added_tokens:
        return segment
    ids = (to_stored(id_, spec.dims, spec.added_tokens) for id_ in segment.tokens)
    return replace(segment, tokens=tuple(ids))


def _snapped_segment(segment: Segment, sound: Spans, chunk_s: float) -> Segment:
    start_s, end_s = _snapped(segment.start, segment.end, sound, chunk_s)
    words = segment.words and tuple(
        replace(
            word,
            start=min(max(word.start, start_s), end_s),
            end=min(max(word.end, start_s), end_s),
        )
        for word in segment.words
    )
    return replace(segment, start=start_s, end=end_s, words=words)


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
