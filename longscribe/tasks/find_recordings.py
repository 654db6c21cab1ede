"""The inbox, step 1: what was dropped into it and is complete."""

from prefect.logging import get_run_logger

from longscribe.inbox.folder import Dropped, Inbox, settled
from longscribe.inbox.ledger import Ledger
from longscribe.tasks.stage import stage
from longscribe.wording.catalog import translated


@stage("find_recordings")
def find_recordings(inbox: Inbox, ledger: Ledger, settle_s: float) -> list[Dropped]:
    """The recordings to look after, with their digests.

    Raises:
        OptionError: the inbox cannot be read.
    """
    recordings, incomplete = settled(inbox, ledger, settle_s)
    get_run_logger().info(
        translated("%d recording(s) in the inbox, %d more may still be on their way"),
        len(recordings),
        incomplete,
    )
    return recordings
