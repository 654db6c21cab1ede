"""Stage 5: one transcript on the original timeline."""

from pathlib import Path

from prefect.logging import get_run_logger

from longscribe.audio.recording import AcceleratedAudio
from longscribe.audio.timeline import Timeline
from longscribe.options import RunOptions
from longscribe.tasks.collect import Transcribed
from longscribe.tasks.split import SplitAudio
from longscribe.tasks.stage import stage
from longscribe.text.cues import reason_shown
from longscribe.text.merge import merge as merge_transcripts
from longscribe.transcript import ChunkTranscript, Transcript, format_time
from longscribe.wording.catalog import translated


@stage("merge")
def merge(
    recording: Path,
    options: RunOptions,
    audio: AcceleratedAudio,
    pieces: SplitAudio,
    transcribed: Transcribed,
) -> Transcript:
    """Merge what the workers returned and account for every second.

    Args:
        recording: the recording's path.
        options: of the run.
        audio: what it was turned into.
        pieces: its chunks.
        transcribed: what became of the chunks; those without a result become gaps.
    """
    logger = get_run_logger()
    transcript = merge_transcripts(
        recording.name,
        pieces.chunks,
        (ChunkTranscript.model_validate_json(result) for result in transcribed.results),
        Timeline.of(audio),
        pieces.sound,
        audio.missing_s,
        transcribed.failures,
    )
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
    return transcript.model_copy(update={"model": options.model, "speed": options.tempo})
