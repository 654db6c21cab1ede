"""What a finished run returns, and the last line of its log."""

from pathlib import Path

from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed
from pydantic import BaseModel, ConfigDict

from longscribe.outputs.formats import printable_lines
from longscribe.tasks.collect import Transcribed
from longscribe.tasks.throughput import note_sound
from longscribe.text.paragraphs import speakers_of
from longscribe.transcript import Transcript
from longscribe.wording.catalog import translated


class RunSummary(BaseModel):
    """What a finished run returns: figures and where the files are."""

    model_config = ConfigDict(frozen=True)

    files: tuple[Path | str, ...]  # URLs where output_dir is one
    segments: int
    improved_segments: int
    chunks: int
    kept_chunks: int
    failed_chunks: int
    duration_s: float
    seconds: float
    language: str
    lines: tuple[str, ...]
    speakers: dict[str, float] = {}  # seconds that each one speaks, by name


def ended(
    transcript: Transcript,
    transcribed: Transcribed,
    chunks: int,
    files: tuple[Path | str, ...],
    seconds: float,
) -> State[RunSummary]:
    """The state in which a run ends, said in its log: Completed, or Partial where chunks failed.

    Args:
        transcript: as it was written.
        transcribed: what became of the chunks.
        chunks: how many there are.
        files: that were written, as paths or URLs.
        seconds: the run took.
    """
    logger = get_run_logger()
    if not transcript.segments:
        logger.info(translated("No speech was found in the recording: the transcript is empty"))
    logger.info(
        translated("Done in %.1f s (%.1f x real time): %d segments, %d improved, %d chunk(s)"),
        seconds,
        transcript.duration_s / max(seconds, 1e-6),
        len(transcript.segments),
        transcript.improved_segments,
        chunks,
    )
    note_sound(transcript.duration_s)
    failed = len(transcribed.failures)
    summary = RunSummary(
        files=files,
        segments=len(transcript.segments),
        improved_segments=transcript.improved_segments,
        chunks=chunks,
        kept_chunks=transcribed.kept,
        failed_chunks=failed,
        duration_s=transcript.duration_s,
        seconds=seconds,
        language=transcript.language,
        lines=tuple(printable_lines(transcript)),
        speakers={name: round(s, 3) for name, s in speakers_of(transcript).items()},
    )
    if failed:
        message = translated("{done} of {total} chunks").format(done=chunks - failed, total=chunks)
        return Completed(name="Partial", message=message, data=summary)
    return Completed(data=summary)
