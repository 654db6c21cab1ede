"""`longscribe.transcribe`: a recording to a transcript in this process, chunk after chunk.

The same stages as the flow's, without Prefect, a pool or kept results: for notebooks, other
programs, and recordings of minutes. All cores work on one chunk at a time.
"""

import html
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ConfigDict, PrivateAttr

from longscribe.api.chain import checked_options, hear, joined, prepare
from longscribe.api.sources import Held
from longscribe.api.speakers import who_speaks
from longscribe.audio.lanes import lanes_of
from longscribe.audio.recording import SAMPLE_RATE_HZ, decode
from longscribe.errors import OptionError
from longscribe.models.weights import check_language, check_task, resolve_model
from longscribe.options import DEFAULT_FORMATS, Format, RunOptions, check_options
from longscribe.outputs.formats import output_name, write_transcript
from longscribe.outputs.page.sound import Sound, loudness
from longscribe.text.glossary import read_glossary
from longscribe.text.hotwords import with_hotwords
from longscribe.transcript import ChunkTranscript, Segment, Transcript, format_time
from longscribe.wording.catalog import translated

if TYPE_CHECKING:
    from pydub import AudioSegment

OnProgress = Callable[[float, float], None]  # seconds of the recording done, and in all

_SHOWN_SEGMENTS: Final = 200


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
    _others: tuple[Held, ...] = PrivateAttr(default=())
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
        others = tuple(held.recording for held in self._others)
        sound = Sound(self._held.recording, self._loudness, self.duration_s, "link", others)
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
    together: bool = False,
    on_progress: OnProgress | None = None,
    **options: Any,
) -> Transcription:
    """Transcribe a recording in this process.

    Args:
        source: a path, a URL, a binary file object, samples as an array (n,) or (n, channels) with
            `rate_hz`, or a pydub AudioSegment.
        model: as `--model`: a name, a path, or a repository of the Hugging Face hub.
        rate_hz: of samples in an array.
        together: whether `source` is a list of such, recordings of one conversation that begin at
            the same moment, one speaker each.
        on_progress: called after every chunk with the seconds of the recording done, and in all.
        options: of longscribe.options.RunOptions, by their names: `language`, `speed`,
            `word_timestamps`, `hotwords`, `glossary`, `speakers` and so on.

    Raises:
        OptionError: an option that there is not, or a value out of its range.
        ModelError: the model is unknown, damaged, or cannot be had.
        RecordingError: the recording cannot be read or holds no sound.
        ResourceError: the disk or the memory is too small.
    """
    work = _Work(source if together else [source], model, rate_hz, options)
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
    work = _Work([source], model, rate_hz, options)
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
        self, sources: Sequence[Any], model: str, rate_hz: int | None, options: dict[str, Any]
    ) -> None:
        self._options = with_hotwords(checked_options(model, options))
        self._glossary = read_glossary(self._options.glossary)
        self._spec = resolve_model(self._options.model, self._options.model_dir)
        check_language(self._spec, self._options.language)
        check_task(self._spec.name, self._options.task, self._spec.dims)
        if not sources:
            raise OptionError(translated("source: there is no recording in the list."))
        track = self._options.audio_track_number
        self._all_held = [Held(source, rate_hz, track) for source in sources]
        self._held = self._all_held[0]
        lanes = lanes_of(
            [held.recording for held in self._all_held],
            by_channel=self._options.by_channel,
            names=self._options.speaker_names
            if self._options.by_channel or len(sources) > 1
            else (),
        )
        self._prepared = prepare(lanes, self._options, self._held.folder)
        audios = [lane.audio for lane in self._prepared.lanes]
        self._loudness = loudness(audios)
        first = self._prepared.lanes[0]
        self._speakers = who_speaks(first.audio, first.sound, first.speech, self._options)
        self._results: list[ChunkTranscript] = []
        self.duration_s = max(audio.original_duration_s + audio.missing_s for audio in audios)

    def chunk_ends_s(self) -> Iterator[float]:
        """Do chunk after chunk; the seconds of the recording that are done after each."""
        chunks = self._prepared.chunks
        for chunk, result in zip(chunks, hear(chunks, self._spec, self._options), strict=True):
            self._results.append(result)
            yield self.duration_s if chunk is chunks[-1] else chunk.original_end_s
        for lane in self._prepared.lanes:
            for path in (lane.audio.pcm_path, lane.audio.own_tempo_path):
                if path:
                    path.unlink(missing_ok=True)

    def transcription(self) -> Transcription:
        """What there is so far."""
        improved = joined(
            self._held.name,
            *(self._prepared, self._results, self._glossary, self._options, self._speakers),
        )
        values = {name: getattr(improved, name) for name in Transcript.model_fields}
        values |= {"model": self._options.model, "speed": self._options.tempo}
        values["segments"] = tuple(_with_sound(one, self._held) for one in improved.segments)
        found = Transcription.model_construct(**values)
        found._held, found._loudness, found._options = self._held, self._loudness, self._options
        found._others = tuple(self._all_held[1:])
        return found


def _with_sound(segment: Segment, held: Held) -> HeardSegment:
    values = {one.name: getattr(segment, one.name) for one in fields(Segment)}
    return HeardSegment(**values, held=held)
