"""`longscribe.transcribe`: a recording to a transcript in this process, chunk after chunk.

The same stages as the flow's, without Prefect, a pool or kept results: for notebooks, other
programs, and recordings of minutes. All cores work on one chunk at a time.
"""

import html
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ConfigDict, PrivateAttr

from longscribe.api.sources import Held
from longscribe.audio.chunks import Chunk, make_chunks, plan_cuts
from longscribe.audio.recording import SAMPLE_RATE_HZ, accelerate, decode
from longscribe.audio.timeline import Timeline
from longscribe.audio.voice_activity import find_speech, levels_db, sound_spans
from longscribe.cache.kernels import kernels_folder
from longscribe.errors import OptionError
from longscribe.models.weights import check_language, check_task, resolve_model
from longscribe.options import DEFAULT_FORMATS, Format, RunOptions, check_options
from longscribe.outputs.formats import output_name, write_transcript
from longscribe.outputs.page.sound import Sound, loudness
from longscribe.text.glossary import read_glossary
from longscribe.text.hotwords import with_hotwords
from longscribe.text.merge import merge
from longscribe.text.rules import improve
from longscribe.transcript import ChunkTranscript, Segment, Transcript, format_time
from longscribe.wording.catalog import translated

if TYPE_CHECKING:
    from pydub import AudioSegment

OnProgress = Callable[[float, float], None]  # seconds of the recording done, and in all

_BATCH_SIZE: Final = 8
_SHOWN_SEGMENTS: Final = 200
# What only a run of the flow has: workers, kept results, a folder for outputs of its own.
_OF_THE_FLOW: Final = frozenset(
    {
        *("recording", "workers", "threads_per_worker", "memory_per_worker", "output_dir"),
        *("formats", "page_audio", "fresh", "chunk_timeout_minutes", "keep_days", "keep_size"),
        *("max_line_chars", "max_lines", "max_chars_per_s", "min_gap_s", "ui_language"),
    }
)


@dataclass(frozen=True, slots=True)
class HeardSegment(Segment):
    """A segment that knows its recording; equal to another that says the same."""

    held: Held | None = field(default=None, compare=False, repr=False)

    def audio(self) -> "AudioSegment":
        """Its sound as a pydub AudioSegment: a player in a notebook.

        Returns:
            mono, 16 kHz, 16 bits.

        Raises:
            ImportError: pydub is not installed.
        """
        import numpy as np

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it looks for programs that are not needed here
            from pydub import AudioSegment

        assert self.held is not None
        first, last = (round(time_s * SAMPLE_RATE_HZ) for time_s in (self.start, self.end))
        parts, position = [], 0
        for block in decode(self.held.recording):
            if position + len(block) > first:
                parts.append(block[max(0, first - position) : last - position])
            position += len(block)
            if position >= last:
                break
        samples = np.concatenate(parts) if parts else np.empty(0, np.float32)
        data = np.round(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
        return AudioSegment(data=data, sample_width=2, frame_rate=SAMPLE_RATE_HZ, channels=1)


class Transcription(Transcript):
    """A transcript that knows its recording, and can be saved in every format."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    segments: tuple[HeardSegment, ...]
    _held: Held = PrivateAttr()
    _loudness: bytes = PrivateAttr()
    _options: RunOptions = PrivateAttr()

    def save(
        self, folder: str | Path, formats: tuple[Format, ...] | list[str] | str = DEFAULT_FORMATS
    ) -> list[Path]:
        """Write the transcript as `folder/NAME.<suffix>`; all formats or none.

        Args:
            folder: made if it does not exist.
            formats: of longscribe.options.FORMATS, or `all`.

        Returns:
            the files written.

        Raises:
            OptionError: an unknown format.
            OutputError, ResourceError: the folder cannot be written.
        """
        values = self._options.model_dump() | {"formats": formats}
        options = check_options(**values)
        name = output_name(self._held.recording.path)
        sound = Sound(self._held.recording, self._loudness, self.duration_s, "link")
        if self._held.folder in self._held.recording.path.parents:
            sound = sound._replace(audio="copy")  # the file itself goes with this object
        rules = options.for_subtitles
        return write_transcript(self, Path(folder), name, options.formats, rules, sound)

    def _repr_html_(self) -> str:
        """The segments as a table, for notebooks."""
        rows = "".join(
            f"<tr><td>{format_time(one.start)}</td><td style='text-align:left'>"
            f"{html.escape(one.text.strip())}</td></tr>"
            for one in self.segments[:_SHOWN_SEGMENTS]
        )
        more = len(self.segments) - _SHOWN_SEGMENTS
        and_more = translated("and {count} more segments").format(count=more)
        tail = f"<p>{and_more}</p>" if more > 0 else ""
        language = self.language or translated("no speech")
        head = f"{self.recording}, {format_time(self.duration_s)}, {language}"
        return f"<p><b>{html.escape(head)}</b></p><table>{rows}</table>{tail}"


def transcribe(
    source: Any,
    model: str = "turbo",
    *,
    rate_hz: int | None = None,
    on_progress: OnProgress | None = None,
    **options: Any,
) -> Transcription:
    """Transcribe a recording in this process.

    Args:
        source: a path, a URL, a binary file object, samples as an array (n,) or (n, channels) with
            `rate_hz`, or a pydub AudioSegment.
        model: as `--model`: a name, a path, or a repository of the Hugging Face hub.
        rate_hz: of samples in an array.
        on_progress: called after every chunk with the seconds of the recording done, and in all.
        options: of longscribe.options.RunOptions, by their names: `language`, `speed`,
            `word_timestamps`, `hotwords`, `glossary` and so on.

    Raises:
        OptionError: an option that there is not, or a value out of its range.
        ModelError: the model is unknown, damaged, or cannot be had.
        RecordingError: the recording cannot be read or holds no sound.
        ResourceError: the disk or the memory is too small.
    """
    work = _Work(source, model, rate_hz, options)
    for done_s in work.chunk_ends_s():
        if on_progress:
            on_progress(done_s, work.duration_s)
    return work.transcription()


def stream(
    source: Any, model: str = "turbo", *, rate_hz: int | None = None, **options: Any
) -> Iterator[HeardSegment]:
    """Transcribe a recording in this process, and give its segments as they come.

    They come chunk by chunk, in order; set `chunk_minutes` to hear of them sooner. The last one of
    a chunk waits for the next chunk, which may go on with its sentence.

    Args, raises: as `transcribe`.
    """
    work = _Work(source, model, rate_hz, options)
    given_s = -1.0
    for done_s in work.chunk_ends_s():
        is_last = done_s >= work.duration_s
        segments = work.transcription().segments
        for segment in segments if is_last else segments[:-1]:
            if segment.start >= given_s and segment.end <= done_s:
                given_s = max(segment.end, given_s)
                yield segment


class _Work:
    """A recording on its way: all that is done once, and the results of its chunks so far."""

    def __init__(
        self, source: Any, model: str, rate_hz: int | None, options: dict[str, Any]
    ) -> None:
        self._options = with_hotwords(_checked(model, options))
        self._glossary = read_glossary(self._options.glossary)
        self._spec = resolve_model(self._options.model, self._options.model_dir)
        check_language(self._spec, self._options.language)
        check_task(self._spec.name, self._options.task, self._spec.dims)
        self._held = Held(source, rate_hz, self._options.audio_track_number)
        self._audio = accelerate(
            self._held.recording,
            self._options.tempo,
            self._held.folder / "samples.pcm",
            own_tempo_path=self._held.folder / "own_tempo.pcm"
            if self._options.hears_again
            else None,
        )
        levels = levels_db(self._audio.pcm_path, self._audio.samples)
        duration_s = self._audio.duration_s
        self._sound = sound_spans(levels, duration_s)
        self._speech = find_speech(
            *(self._audio.pcm_path, self._audio.samples, self._options.vad, self._sound, duration_s)
        )
        chunk_s = self._options.chunk_minutes * 60.0
        cuts = plan_cuts(self._audio.samples, chunk_s, self._speech, levels)
        self._chunks = make_chunks(self._audio, cuts, self._speech)
        self._loudness = loudness(self._audio)
        self._results: list[ChunkTranscript] = []
        self.duration_s = self._audio.original_duration_s + self._audio.missing_s

    def chunk_ends_s(self) -> Iterator[float]:
        """Do chunk after chunk; the seconds of the recording that are done after each."""
        # Here: it imports torch, which a bad option, source or model need not wait for.
        from longscribe.engine.processor import set_up_numba

        set_up_numba(kernels_folder())  # before numba is imported
        from longscribe.decoding.chunk import transcribe_chunk

        size = self._options.batch_size
        batch_size = _BATCH_SIZE if size == "auto" else size
        for chunk in self._chunks:
            self._results.append(
                transcribe_chunk(chunk, self._spec, self._options.for_chunks, batch_size)
            )
            is_last = chunk is self._chunks[-1]
            yield self.duration_s if is_last else chunk.original_end_s
        for path in (self._audio.pcm_path, self._audio.own_tempo_path):
            if path:
                path.unlink(missing_ok=True)

    def transcription(self) -> Transcription:
        """What there is so far."""
        done: list[Chunk] = self._chunks[: len(self._results)]
        merged = merge(
            self._held.name,
            *(done, self._results, Timeline.of(self._audio), self._sound, self._audio.missing_s),
        )
        scale = self._audio.original_samples / self._audio.samples
        improved = improve(
            merged, self._speech * scale, self._glossary, verbatim=self._options.verbatim
        )
        values = {name: getattr(improved, name) for name in Transcript.model_fields}
        values |= {"model": self._options.model, "speed": self._options.tempo}
        values["segments"] = tuple(_with_sound(one, self._held) for one in improved.segments)
        found = Transcription.model_construct(**values)
        found._held, found._loudness, found._options = self._held, self._loudness, self._options
        return found


def _with_sound(segment: Segment, held: Held) -> HeardSegment:
    values = {one.name: getattr(segment, one.name) for one in fields(Segment)}
    return HeardSegment(**values, held=held)


def _checked(model: str, options: dict[str, Any]) -> RunOptions:
    allowed = sorted(set(RunOptions.model_fields) - _OF_THE_FLOW - {"model"})
    for name in options:
        if name not in allowed:
            raise OptionError(
                translated("{name}: there is no such option; there are {names}.").format(
                    name=name, names=", ".join(allowed)
                )
            )
    return check_options(recording="here", model=model, **options)
