"""After stage 7, where transcripts go to a bucket or another machine: files are copied there."""

from collections.abc import Sequence
from pathlib import Path

from prefect.logging import get_run_logger

from longscribe.storage.uploads import deliver as deliver_files
from longscribe.storage.uris import is_url, shown
from longscribe.tasks.stage import stage
from longscribe.wording.catalog import translated


def deliver(files: Sequence[Path], output_dir: str, name: str) -> tuple[Path | str, ...]:
    """Where the files are in the end: where they were written, or at the URL of `output_dir`.

    Raises:
        OutputError: they cannot be written there.
    """
    return tuple(_deliver(files, output_dir, name) if is_url(output_dir) else files)


@stage("deliver")
def _deliver(files: Sequence[Path], output_dir: str, name: str) -> list[str]:
    urls = deliver_files(files, output_dir, name)
    for url in urls:
        get_run_logger().info(translated("Delivered %s"), shown(url))
    return urls
