"""Stage 7: the transcript as files."""

from collections.abc import Sequence
from pathlib import Path

from prefect.logging import get_run_logger

from longscribe.audio.lanes import HeardLane, Lane
from longscribe.errors import OutputError, ResourceError
from longscribe.monitoring.progress import ending_s
from longscribe.monitoring.run_record import RunRecord
from longscribe.options import RunOptions
from longscribe.outputs.formats import write_transcript, written_duration_s
from longscribe.outputs.page.sound import Sound, loudness
from longscribe.storage.uris import is_url
from longscribe.tasks.stage import stage
from longscribe.transcript import Transcript, format_time
from longscribe.wording.catalog import translated

_SAME_WITHIN_S = 0.05  # the same recording, decoded by another version of FFmpeg


@stage("write")
def write(
    transcript: Transcript,
    folder: Path,
    name: str,
    options: RunOptions,
    lanes: Sequence[Lane],
    heard: Sequence[HeardLane],
    record: RunRecord,
) -> list[Path]:
    """Write all formats, or none; the page also needs the lanes and their samples, the report
    what the run did.

    Raises:
        OutputError, ResourceError: the folder cannot be written.
    """
    logger = get_run_logger()
    other_s = written_duration_s(folder, name)
    if other_s is not None and abs(other_s - transcript.duration_s) > _SAME_WITHIN_S:
        logger.warning(
            translated(
                "%s held the transcript of another recording of this name, of %s: it is replaced; "
                "--output-dir keeps both"
            ),
            folder,
            format_time(other_s),
        )
    sound = None
    if "html" in options.formats:
        audios = [lane.audio for lane in heard]
        sound = _page_sound(lanes, heard, options)._replace(levels=loudness(audios))
        if sound.way != "link":
            logger.info(translated("Encoding the sound of the page"))
    try:
        files = write_transcript(
            transcript, folder, name, options.formats, options.for_subtitles, sound, record
        )
    except (OutputError, ResourceError) as error:
        raise type(error)(
            translated(
                "{error} The finished chunks are kept: the next run has only to write."
            ).format(error=error)
        ) from None
    for file in files:
        logger.info(translated("Wrote %s"), file)
    return files


def expected_ending_s(
    lanes: Sequence[Lane], heard: Sequence[HeardLane], options: RunOptions
) -> float:
    """About how long a run takes after its last chunk: merging, the rules, and writing."""
    duration_s = _longest_s(heard)
    if "html" not in options.formats:
        return ending_s(duration_s)
    return ending_s(duration_s, _page_sound(lanes, heard, options).copying_s(duration_s))


def _page_sound(lanes: Sequence[Lane], heard: Sequence[HeardLane], options: RunOptions) -> Sound:
    """The sound of the page, its loudness aside."""
    files = {lane.file: lane.recording.model_copy(update={"channel": None}) for lane in lanes}
    recording, *others = files.values()
    # A fetched recording goes with the run's scratch folder: there would be nothing to link to.
    fetched = is_url(options.recording) and options.page_audio in ("auto", "link")
    way = "copy" if fetched else options.page_audio
    return Sound(recording, b"", _longest_s(heard), way, tuple(others))


def _longest_s(heard: Sequence[HeardLane]) -> float:
    return max(lane.audio.original_duration_s for lane in heard)
