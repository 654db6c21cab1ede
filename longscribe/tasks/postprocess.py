"""Stage 6: the text improved by named rules."""

from collections import Counter
from collections.abc import Sequence

from prefect.logging import get_run_logger

from longscribe.audio.lanes import HeardLane
from longscribe.options import RunOptions
from longscribe.tasks.split import SplitAudio
from longscribe.tasks.stage import stage
from longscribe.text.glossary import Spelling
from longscribe.text.interleave import Spoken, interleaved
from longscribe.text.rules import improve
from longscribe.transcript import Transcript
from longscribe.wording.catalog import translated


@stage("postprocess")
def postprocess(
    transcripts: Sequence[Transcript],
    heard: Sequence[HeardLane],
    pieces: SplitAudio,
    glossary: Sequence[Spelling],
    options: RunOptions,
) -> Transcript:
    """Improve the segments of every lane, and put those of several on one timeline.

    Args:
        transcripts: of the lanes, as merged.
        heard: the lanes.
        pieces: of them.
        glossary: the user's own spellings.
        options: of the run.
    """
    logger = get_run_logger()
    spoken = []
    for transcript, lane, own in zip(transcripts, heard, pieces.lanes, strict=True):
        scale = lane.audio.original_samples / lane.audio.samples
        better = improve(
            transcript,
            own.speech * scale,
            glossary,
            options.chinese_scripts,
            verbatim=options.verbatim,
        )
        spoken.append(Spoken(better, lane.name, own.sound * scale))
    improved = interleaved(spoken) if len(spoken) > 1 else spoken[0].transcript
    counts = Counter(change.rule for change in improved.changes)
    shown = ", ".join(f"{rule} {count}" for rule, count in sorted(counts.items()))
    logger.info(
        translated("Improved %d segments%s"),
        improved.improved_segments,
        f" ({shown})" if shown else "",
    )
    return improved
