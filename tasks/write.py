"""Stage 7: the transcript as files."""

from collections.abc import Sequence
from pathlib import Path

from prefect.logging import get_run_logger

from longscribe.errors import OutputError, ResourceError
from longscribe.formats import write_transcript
from longscribe.options import Format
from longscribe.transcript import Transcript
from tasks.stage import stage


@stage("write")
def write(transcript: Transcript, folder: Path, name: str, formats: Sequence[Format]) -> list[Path]:
    """Write all formats, or none.

    Raises:
        OutputError, ResourceError: the folder cannot be written.
    """
    logger = get_run_logger()
    try:
        files = write_transcript(transcript, folder, name, formats)
    except (OutputError, ResourceError) as error:
        raise type(error)(
            f"{error} The finished chunks are kept: the next run has only to write."
        ) from None
    for file in files:
        logger.info("Wrote %s", file)
    return files
