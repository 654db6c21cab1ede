"""Before stage 1, for a recording that is not on this machine: it is fetched."""

import time
from collections.abc import Sequence
from pathlib import Path

from prefect.logging import get_run_logger

from longscribe.storage.access import Access
from longscribe.storage.downloads import fetch as fetch_recording
from longscribe.storage.uris import is_url, shown
from longscribe.tasks.stage import stage
from longscribe.wording.catalog import translated

_REPORT_EVERY_S = 5.0


def fetch(recordings: Sequence[str], scratch: Path, access: Access) -> list[Path]:
    """The recordings' files: those they name, or copies in `scratch` of what their URLs name.

    Raises:
        RecordingError, ResourceError: as `longscribe.storage.downloads.fetch`.
    """
    return [
        # A folder of its own: whoever named the file must not hit one of the run's own.
        _fetch(place, scratch / f"fetched{number or ''}", access) if is_url(place) else Path(place)
        for number, place in enumerate(recordings)
    ]


@stage("fetch")
def _fetch(url: str, folder: Path, access: Access) -> Path:
    logger = get_run_logger()
    logger.info(translated("Fetching %s"), shown(url))
    reported_s = time.monotonic()

    def on_progress(done_bytes: int, total_bytes: int) -> None:
        nonlocal reported_s
        if time.monotonic() - reported_s >= _REPORT_EVERY_S:
            reported_s = time.monotonic()
            share = f" ({100 * done_bytes / total_bytes:.0f} %)" if total_bytes else ""
            logger.info(translated("Fetched %.0f MB%s"), done_bytes / 1e6, share)

    path = fetch_recording(url, folder, access, on_progress)
    logger.info(translated("Fetched %.1f MB"), path.stat().st_size / 1e6)
    return path
