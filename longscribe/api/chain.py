"""The stages of the chain, one after the other in this process."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from longscribe.api.speakers import needs_own_tempo, told
from longscribe.audio.activity import activity_of
from longscribe.audio.chunks import Chunk, make_chunks, plan_cuts
from longscribe.audio.lanes import Lane, hear_lanes, in_order, without_own_tempo
from longscribe.audio.recording import AcceleratedAudio
from longscribe.audio.timeline import Timeline
from longscribe.audio.voice_activity import Spans
from longscribe.cache.kernels import kernels_folder
from longscribe.errors import OptionError
from longscribe.models.weights import ModelSpec
from longscribe.options import Precision, RunOptions, check_options
from longscribe.speakers.diarization import Diarization
from longscribe.text.glossary import Spelling
from longscribe.text.interleave import Spoken, interleaved, with_numbers_apart
from longscribe.text.merge import merge
from longscribe.text.rules import improve
from longscribe.transcript import ChunkTranscript, Transcript
from longscribe.wording.catalog import translated

_BATCH_SIZE: Final = 8
# What only a run of the flow has: workers, kept results, a folder for outputs of its own.
_OF_THE_FLOW: Final = frozenset(
    {
        *(
            "recording",
            "together",
            "workers",
            "threads_per_worker",
            "memory_per_worker",
            "output_dir",
        ),
        *("formats", "page_audio", "fresh", "chunk_timeout_minutes", "keep_days", "keep_size"),
        *("max_line_chars", "max_lines", "max_chars_per_s", "min_gap_s", "ui_language"),
        "speaker_marks",
    }
)


class PreparedLane(NamedTuple):
    """A channel, a file or all of a recording, as the model will hear it.

    Attributes:
        name: who speaks in it; empty in an ordinary recording.
        audio: its samples, at the chosen tempo.
        sound: stretches of sound in accelerated seconds, shape (n, 2).
        speech: those in which somebody speaks.
    """

    name: str
    audio: AcceleratedAudio
    sound: Spans
    speech: Spans


class Prepared(NamedTuple):
    """A recording as the model will hear it: one lane, or several; all of it, cut at silences."""

    lanes: list[PreparedLane]
    chunks: list[Chunk]

    @property
    def audio(self) -> AcceleratedAudio:
        """The samples of the first lane: of an ordinary recording, all."""
        return self.lanes[0].audio

    @property
    def speech(self) -> Spans:
        """Where somebody speaks in it, in accelerated seconds, shape (n, 2)."""
        return self.lanes[0].speech


def checked_options(
    model: str, options: dict[str, Any], without: Collection[str] = ()
) -> RunOptions:
    """The options of a run in this process.

    Args:
        model: as `--model`.
        options: the others, by their names.
        without: names that are not options here.

    Raises:
        OptionError: there is no such option here, or a value is out of its range.
    """
    allowed = sorted(set(RunOptions.model_fields) - _OF_THE_FLOW - {"model", *without})
    for name in options:
        if name not in allowed:
            raise OptionError(
                translated("{name}: there is no such option; there are {names}.").format(
                    name=name, names=", ".join(allowed)
                )
            )
    return check_options(recording="here", model=model, **options)


def prepare(lanes: Sequence[Lane], options: RunOptions, folder: Path) -> Prepared:
    """Decode a recording at the chosen tempo, find speech, and cut it into chunks.

    Args:
        lanes: of the recording: what is heard by itself.
        options: of the run.
        folder: for the samples.

    Raises:
        RecordingError: nothing in it can be decoded.
        ResourceError, OutputError: the samples cannot be written.
    """
    prepared, chunks = [], []
    own = needs_own_tempo(options)
    for lane in hear_lanes(lanes, options.tempo, folder, keep_own_tempo=own, vad=options.vad):
        audio = lane.audio
        levels, sound, speech = activity_of(audio, options.vad)
        cuts = plan_cuts(audio.samples, options.chunk_minutes * 60.0, speech, levels)
        prepared.append(PreparedLane(lane.name, audio, sound, speech))
        heard = lane if options.hears_again else without_own_tempo(lane)
        chunks.append(make_chunks(heard.audio, cuts, speech))
    return Prepared(prepared, in_order(chunks, [lane.name for lane in prepared]))


def precision_here(options: RunOptions) -> Precision:
    """What the options' precision is on this machine.

    Raises:
        OptionError: it is not to be had here.
    """
    _set_up()
    from longscribe.decoding.chunk import arithmetic

    return arithmetic(options.for_chunks).precision


def hear(
    chunks: Sequence[Chunk], spec: ModelSpec, options: RunOptions
) -> Iterator[ChunkTranscript]:
    """Transcribe chunk after chunk, with all cores; a recording without sound loads no model."""
    _set_up()
    from longscribe.decoding.chunk import prepare as prepare_model
    from longscribe.decoding.chunk import transcribe_chunk

    if any(len(chunk.sound) for chunk in chunks):
        prepare_model(spec, options.for_chunks)
    batch_size = _BATCH_SIZE if options.batch_size == "auto" else options.batch_size
    for chunk in chunks:
        yield transcribe_chunk(chunk, spec, options.for_chunks, batch_size)


def joined(
    name: str,
    prepared: Prepared,
    results: Sequence[ChunkTranscript],
    glossary: Sequence[Spelling],
    options: RunOptions,
    speakers: Diarization | None = None,
) -> Transcript:
    """The transcript of the chunks that are done: merged, and improved.

    Args:
        name: of the recording.
        prepared: of it.
        results: of the first chunks, in order.
        glossary: the user's own spellings.
        options: of the run.
        speakers: who speaks, where that was asked.
    """
    done = prepared.chunks[: len(results)]
    merged = [
        merge(
            name,
            [chunk for chunk in done if chunk.lane == number],
            results,
            Timeline.of(lane.audio),
            lane.sound,
            lane.audio.missing_s,
        )
        for number, lane in enumerate(prepared.lanes)
    ]
    spoken = []
    for transcript, lane in zip(with_numbers_apart(merged), prepared.lanes, strict=True):
        scale = lane.audio.original_samples / lane.audio.samples
        better = improve(
            transcript,
            *(lane.speech * scale, glossary, options.chinese_scripts),
            verbatim=options.verbatim,
        )
        spoken.append(Spoken(better, lane.name, lane.sound * scale))
    if len(spoken) > 1:
        return interleaved(spoken)
    if speakers is None:
        return spoken[0].transcript
    return told(spoken[0].transcript, speakers, options)


def _set_up() -> None:
    """Before numba is imported, by the decoding room.

    Not when this module is: they bring torch, which a bad option or model need not wait for.
    """
    from longscribe.engine.processor import set_up_numba

    set_up_numba(kernels_folder())
