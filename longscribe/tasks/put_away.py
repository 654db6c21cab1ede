"""The inbox, step 4: recordings that are done or given up leave it."""

from prefect.logging import get_run_logger
from prefect.utilities.urls import url_for

from longscribe.inbox.folder import Afterwards, Dropped, Fate, Inbox
from longscribe.inbox.ledger import Ledger
from longscribe.tasks.stage import stage
from longscribe.wording.catalog import translated


@stage("put_away")
def put_away(
    inbox: Inbox, ledger: Ledger, fates: list[tuple[Dropped, Fate]], afterwards: Afterwards
) -> None:
    """Move or mark recordings whose runs have ended; a failed one has its reason beside it."""
    logger = get_run_logger()
    for recording, fate in fates:
        run = url_for("flow-run", obj_id=fate.run_id) or fate.run_id
        if fate.kind == "done":
            note = translated("Transcribed by {run}").format(run=run) + "\n"
            if fate.reason:
                note += translated("With gaps: {reason}").format(reason=fate.reason) + "\n"
            inbox.put_away(recording, afterwards, note, failed=False)
            logger.info(translated("%s is done"), recording.name)
            continue
        given_up = translated("Given up after attempt {attempt}: {run}")
        again = translated("To have it tried again, move it back into the inbox.")
        if afterwards == "mark":
            again = translated("To have it tried again, remove this file.")
        note = f"{fate.reason}\n\n{given_up.format(attempt=fate.attempt, run=run)}\n{again}\n"
        inbox.put_away(recording, afterwards, note, failed=True)
        # Only now: a recording still in the inbox would count as put back.
        ledger.give_up(recording.digest, fate.attempt)
        logger.warning(translated("%s was given up: %s"), recording.name, fate.reason)
