"""Jobs as runs of the deployment `transcribe`, over the Prefect server's own HTTP API.

By plain requests on connections that are kept: Prefect's client takes a second and 100 MB to
import.
"""

import base64
import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import httpx

from longscribe.flows.wake import wake
from longscribe.monitoring.events import LEFT_S
from longscribe.web.backend import ENDED, BackendError, Refused, RunProgress, RunState, State

_DEPLOYMENT: Final = "transcribe/transcribe"
_TIMEOUT_S: Final = 30.0
_RUNS_PER_REQUEST: Final = 200  # as many as the server returns at once
_STATES: Final[dict[str, State]] = {
    "SCHEDULED": "queued",
    "PENDING": "queued",
    "PAUSED": "queued",
    "RUNNING": "running",
    "CANCELLING": "running",
    "COMPLETED": "done",
    "FAILED": "failed",
    "CRASHED": "failed",
    "CANCELLED": "cancelled",
}


class PrefectBackend:
    """The Prefect server behind an address.

    Args:
        api_url: of its API, such as http://127.0.0.1:4200/api.
        auth: user and password with a colon between; empty for none.
    """

    def __init__(self, api_url: str, auth: str = "") -> None:
        headers = {}
        if auth:
            headers["authorization"] = f"Basic {base64.b64encode(auth.encode()).decode()}"
        self._client = httpx.Client(
            base_url=api_url.rstrip("/"), headers=headers, timeout=_TIMEOUT_S
        )
        self._deployment: str | None = None
        self._lock = threading.Lock()

    def start(
        self, parameters: Mapping[str, Any], idempotency_key: str, queue: str | None, name: str
    ) -> str:
        """Start a run; the same key again gives the same run."""
        body = {
            "parameters": dict(parameters),
            "idempotency_key": idempotency_key,
            "tags": ["web", f"recording:{name}"],
            "state": {"type": "SCHEDULED"},
        }
        if queue is not None:
            body["work_queue_name"] = queue
        try:
            run = self._ask("POST", f"/deployments/{self._deployment_id()}/create_flow_run", body)
        except Refused:
            with self._lock:
                self._deployment = None  # registered anew since, perhaps
            run = self._ask("POST", f"/deployments/{self._deployment_id()}/create_flow_run", body)
        wake(queue or "default")
        return str(run["id"])

    def states(self, run_ids: Sequence[str]) -> dict[str, RunState]:
        """The states of runs."""
        found = {}
        for start in range(0, len(run_ids), _RUNS_PER_REQUEST):
            wanted = list(run_ids[start : start + _RUNS_PER_REQUEST])
            runs = self._ask("POST", "/flow_runs/filter", {"flow_runs": {"id": {"any_": wanted}}})
            found.update({str(run["id"]): _state(run) for run in runs})
        return found

    def progress(self, run_id: str, with_chunks: bool = False) -> RunProgress:
        """How far a run is, from its artifacts."""
        kinds = ("progress-%", "chunks-%") if with_chunks else ("progress-%",)
        percent, left_s = 0.0, None
        chunks: list[dict[str, Any]] = []
        for kind in kinds:
            artifacts = {"flow_run_id": {"any_": [run_id]}, "key": {"like_": kind}}
            asked = {"artifacts": artifacts, "sort": "UPDATED_DESC", "limit": 1}
            for artifact in self._ask("POST", "/artifacts/filter", asked):
                if kind.startswith("chunks"):
                    data = artifact["data"]
                    chunks = json.loads(data) if isinstance(data, str) else list(data or ())
                else:
                    percent = float(artifact["data"] or 0.0)
                    left = (artifact.get("metadata_") or {}).get(LEFT_S)
                    left_s = float(left) if left else None
        return RunProgress(percent, left_s, chunks)

    def cancel(self, run_id: str) -> None:
        """End a run."""
        state = self.states([run_id]).get(run_id)
        if state is not None and state.state in ("queued", "running"):
            # One that no worker has taken yet would wait for one to cancel it.
            kind = "CANCELLED" if state.state == "queued" else "CANCELLING"
            self._ask("POST", f"/flow_runs/{run_id}/set_state", {"state": {"type": kind}})

    def forget(self, run_id: str) -> bool:
        """Remove a run that has ended; with it go its task runs and logs, and its artifacts here.

        Those are not the server's to remove with a run (prefect/server/services/db_vacuum.py), and
        the texts are among them.
        """
        state = self.states([run_id]).get(run_id)
        if state is not None and state.state not in ENDED:
            return False
        artifacts = {"flow_run_id": {"any_": [run_id]}}
        while found := self._ask("POST", "/artifacts/filter", {"artifacts": artifacts}):
            for artifact in found:
                self._remove(f"/artifacts/{artifact['id']}")
        self._remove(f"/flow_runs/{run_id}")
        return True

    def _remove(self, path: str) -> None:
        with suppress(Refused):  # it is gone already
            self._ask("DELETE", path)

    def is_there(self) -> bool:
        """Whether the server answers."""
        try:
            return self._client.get("/health", timeout=5.0).is_success
        except httpx.HTTPError:
            return False

    def _deployment_id(self) -> str:
        with self._lock:
            if self._deployment is None:
                found = self._ask("GET", f"/deployments/name/{_DEPLOYMENT}")
                self._deployment = str(found["id"])
            return self._deployment

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise BackendError(f"the Prefect server does not answer: {error}") from None
        if answer.status_code >= 500 or answer.status_code in (401, 403, 429):
            raise BackendError(f"the Prefect server answered {answer.status_code} to {path}")
        if answer.is_error:
            raise Refused(_detail(answer))
        return answer.json() if answer.content else None


def _state(run: Mapping[str, Any]) -> RunState:
    state = _STATES.get(str(run.get("state_type")), "queued")
    if state == "done" and run.get("state_name") == "Partial":
        state = "partial"
    message = str((run.get("state") or {}).get("message") or "")
    return RunState(state, message, _seconds(run.get("start_time")), _seconds(run.get("end_time")))


def _seconds(when: str | None) -> float | None:
    return datetime.fromisoformat(when).timestamp() if when else None


def _detail(answer: httpx.Response) -> str:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = answer.text
    return str(detail)[:500]
