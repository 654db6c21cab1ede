"""The inbox, step 3: a run of the deployment `transcribe` for each recording that needs one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from prefect.deployments import run_deployment
from prefect.logging import get_run_logger

from longscribe.inbox.folder import Dropped, Inbox, output_folder
from longscribe.inbox.ledger import Ledger
from longscribe.outputs.formats import output_name
from longscribe.tasks.look_up_runs import idempotency_key
from longscribe.tasks.stage import stage
from longscribe.wording.catalog import translated

DEPLOYMENT = "transcribe/transcribe"
_SHORT_QUEUE = "short"


class Wanted(NamedTuple):
    """A run to start."""

    recording: Dropped
    attempt: int


@stage("start_runs")
def start_runs(
    inbox: Inbox,
    wanted: Sequence[Wanted],
    ledger: Ledger,
    output_dir: str,
    options: Mapping[str, Any],
    short_bytes: float,
) -> None:
    """Start runs; one that is there already is not started again.

    Args:
        inbox: where the recordings are.
        wanted: recordings and the numbers of their attempts.
        ledger: of the inbox.
        output_dir: for the transcripts.
        options: further parameters of the runs.
        short_bytes: recordings up to this size need not wait behind longer ones.
    """
    logger = get_run_logger()
    for recording, attempt in wanted:
        name = output_name(Path(recording.name))
        run: Any = run_deployment(
            DEPLOYMENT,
            parameters={
                **options,
                "recording": inbox.place(recording),
                "output_dir": output_folder(recording, output_dir, name, ledger),
            },
            timeout=0,
            idempotency_key=idempotency_key(inbox.folder, recording.digest, attempt),
            tags=["inbox", f"recording:{recording.digest[:12]}"],
            work_queue_name=_SHORT_QUEUE if recording.size_bytes <= short_bytes else None,
            as_subflow=False,  # the sweep does not wait for it and must not end it
        )
        logger.info(translated("%s: attempt %d is run %s"), recording.name, attempt, run.name)
