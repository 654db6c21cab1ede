"""Stage 6: the text improved by named rules."""

from collections import Counter
from collections.abc import Sequence

from prefect.logging import get_run_logger

from longscribe.audio.voice_activity import Spans
from longscribe.options import RunOptions
from longscribe.tasks.stage import stage
from longscribe.text.glossary import Spelling
from longscribe.text.rules import improve
from longscribe.transcript import Transcript
from longscribe.wording.catalog import translated


@stage("postprocess")
def postprocess(
    transcript: Transcript, sound: Spans, glossary: Sequence[Spelling], options: RunOptions
) -> Transcript:
    """Improve the segments; `sound` is in original seconds."""
    logger = get_run_logger()
    improved = improve(
        transcript, sound, glossary, options.chinese_scripts, verbatim=options.verbatim
    )
    counts = Counter(change.rule for change in improved.changes)
    shown = ", ".join(f"{rule} {count}" for rule, count in sorted(counts.items()))
    logger.info(
        translated("Improved %d segments%s"),
        improved.improved_segments,
        f" ({shown})" if shown else "",
    )
    return improved
