"""Stage 5: one transcript on the original timeline."""

from collections.abc import Sequence
from pathlib import Path

from prefect.logging import get_run_logger

from longscribe.audio.lanes import HeardLane
from longscribe.audio.timeline import Timeline
from longscribe.options import RunOptions
from longscribe.tasks.collect import Transcribed
from longscribe.tasks.split import SplitAudio
from longscribe.tasks.stage import stage
from longscribe.text.cues import reason_shown
from longscribe.text.interleave import with_numbers_apart
from longscribe.text.merge import merge as merge_transcripts
from longscribe.transcript import ChunkTranscript, Transcript, format_time
from longscribe.wording.catalog import translated


@stage("merge")
def merge(
    recording: Path,
    options: RunOptions,
    heard: Sequence[HeardLane],
    pieces: SplitAudio,
    transcribed: Transcribed,
) -> list[Transcript]:
    """Merge what the workers returned and account for every second, lane by lane.

    Args:
        recording: the recording's path.
        options: of the run.
        heard: what its lanes were turned into.
        pieces: its chunks.
        transcribed: what became of the chunks; those without a result become gaps.

    Returns:
        a transcript for each lane, with no number of a segment in two.
    """
    merged = [
        merge_transcripts(
            recording.name,
            [chunk for chunk in pieces.chunks if chunk.lane == number],
            map(ChunkTranscript.model_validate_json, transcribed.results),
            Timeline.of(lane.audio),
            pieces.lanes[number].sound,
            lane.audio.missing_s,
            transcribed.failures,
        ).model_copy(update={"model": options.model, "speed": options.tempo})
        for number, lane in enumerate(heard)
    ]
    for transcript in merged:
        _tell(transcript)
    return with_numbers_apart(merged)


def _tell(transcript: Transcript) -> None:
    logger = get_run_logger()
    seconds = {"speech": 0.0, "silence": 0.0, "gap": 0.0}
    for stretch in transcript.stretches:
        seconds[stretch.kind] += stretch.duration_s
    logger.info(
        translated("Merged %d segments: %.1f s speech, %.1f s silence, %.1f s gaps"),
        len(transcript.segments),
        seconds["speech"],
        seconds["silence"],
        seconds["gap"],
    )
    for gap in transcript.gaps:
        logger.warning(
            translated("Gap %s-%s (%.1f s): %s"),
            format_time(gap.start),
            format_time(gap.end),
            gap.duration_s,
            reason_shown(gap),
        )
