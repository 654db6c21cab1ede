"""The inbox, step 2: what the Prefect server knows of the runs of its recordings."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterIdempotencyKey

from longscribe.inbox.folder import Attempt
from longscribe.tasks.stage import stage

_KEYS_PER_REQUEST = 200  # as many runs as the server returns at once


def idempotency_key(folder: str, digest: str, attempt: int) -> str:
    """The key of a recording's run: the server starts one run for it, however often it is asked."""
    inbox = hashlib.sha256(folder.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"inbox-{inbox}-{digest}-{attempt}"


@stage("look_up_runs")
def look_up_runs(
    folder: str, digests: Iterable[str], first_attempts: Mapping[str, int], most_attempts: int
) -> dict[str, list[Attempt]]:
    """Digest -> the runs there were for it.

    Args:
        folder: the inbox.
        digests: of its recordings.
        first_attempts: as in `Ledger.first_attempts`.
        most_attempts: that are made from there.
    """
    keys = {
        idempotency_key(folder, digest, attempt): (digest, attempt)
        for digest in digests
        for attempt in range(1, first_attempts.get(digest, 1) + most_attempts)
    }
    wanted = list(keys)
    runs: defaultdict[str, list[Attempt]] = defaultdict(list)
    with get_client(sync_client=True) as client:
        for start in range(0, len(wanted), _KEYS_PER_REQUEST):
            part = FlowRunFilterIdempotencyKey(any_=wanted[start : start + _KEYS_PER_REQUEST])
            for run in client.read_flow_runs(flow_run_filter=FlowRunFilter(idempotency_key=part)):
                digest, attempt = keys[run.idempotency_key or ""]
                state = run.state_type.value if run.state_type else "SCHEDULED"
                message = (run.state and run.state.message) or ""
                runs[digest].append(Attempt(attempt, state, message, str(run.id)))
    return runs
