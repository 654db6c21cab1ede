"""A run as artifacts in the Prefect UI: progress, chunks, the transcript's beginning, a summary.

Each kind has one key per recording, so that the page of an artifact is the recording's history.
"""

import base64
import contextvars
import hashlib
import json
import re
import threading
import time
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.logging import get_run_logger
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from longscribe.monitoring.events import LEFT_S, RunBegan, RunOver, RunStatus, tell
from longscribe.monitoring.pace import pause_s
from longscribe.monitoring.run_record import ChunkRow, Outcome
from longscribe.outputs.documents import escaped, markdown
from longscribe.tasks.stopping import server_answers
from longscribe.text.cues import reason_shown
from longscribe.transcript import Transcript, format_time
from longscribe.wording.catalog import translatable, translated

_LAST_WITHIN_S: Final = 15.0  # for what is still to be sent when the run is over
_STOPPED_WITHIN_S = 2.0  # a run that was stopped must be gone soon
_ANSWER_WITHIN_S: Final = 10.0
_LONGEST_SLUG: Final = 60
_BEGINNING_CHARS: Final = 6000
_MOST_ROWS: Final = 1000
_MOST_GAPS: Final = 50
_MOST_WORKERS: Final = 64
_LARGEST_IMAGE_BYTES: Final = 1_000_000


class RunArtifacts:
    """Shows a run, in a thread of its own: a server that is slow or away never holds a run up.

    As a context manager, within a flow run. Only the latest state of each artifact is sent.

    Args:
        name: of the recording's outputs.
        flow_run_id: of the run.
    """

    def __init__(self, name: str, flow_run_id: UUID) -> None:
        self._name = name
        self._slug = slug(name)
        self._flow_run_id = flow_run_id
        self._latest: dict[str, ArtifactCreate] = {}
        self._changed: dict[str, ArtifactCreate] = {}
        self._ids: dict[str, UUID] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._failed = False
        # The API's address may be known to this thread's context only.
        context = contextvars.copy_context()
        self._sender = threading.Thread(
            target=context.run, args=(self._send_all,), name="run-artifacts", daemon=True
        )

    def __enter__(self) -> "RunArtifacts":
        tell(RunBegan(self._name))
        self._sender.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stop.set()
        if kind is None or server_answers():
            self._sender.join(_LAST_WITHIN_S if kind is None else _STOPPED_WITHIN_S)
        tell(RunOver())

    def show_progress(self, status: RunStatus) -> None:
        """How far, how long yet, and what each worker is at."""
        left = pace = ""
        if status.left_s is not None:
            left = translated(", about {time} left").format(time=format_time(status.left_s))
        if status.x_real_time is not None:
            pace = translated(", {pace:.1f} x real time").format(pace=status.x_real_time)
        description = translated(
            "**{name}**: {done} of {total} chunks after {elapsed}{left}{pace}; "
            "CPU {cpu:.0f} %, memory {memory:.2f} GB"
        ).format(
            name=escaped(self._name),
            done=status.done,
            total=status.total,
            elapsed=format_time(status.elapsed_s),
            left=left,
            pace=pace,
            cpu=status.cpu_percent,
            memory=status.memory_bytes / 1e9,
        )
        if status.done < status.total:
            description += _workers(status)
        percent = 100.0 if status.done == status.total else min(status.percent, 99.0)
        left_s = {} if status.left_s is None else {LEFT_S: f"{status.left_s:.1f}"}
        self._show("progress", "progress", round(percent, 1), description, left_s)

    def show_chunks(self, rows: Sequence[ChunkRow]) -> None:
        """A row for each chunk."""
        description = translated("Chunks of **{name}**").format(name=escaped(self._name))
        if len(rows) > _MOST_ROWS:
            left_out = translated("; the first {shown} of {count}")
            description += escaped(left_out.format(shown=_MOST_ROWS, count=len(rows)))
        self._show("chunks", "table", [_cells(row) for row in rows[:_MOST_ROWS]], description)

    def show_transcript(self, transcript: Transcript, files: Sequence[Path | str]) -> None:
        """The beginning of the text, with links to the files."""
        text, whole = "", True
        for block in markdown(transcript):
            if len(text) + len(block) > _BEGINNING_CHARS and text:
                whole = False
                break
            text += block
        rest = "" if whole else f"\n*{translated('... the rest is in the files.')}*\n"
        shown = f"{text}{rest}\n{_links(files)}"
        self._show("transcript", "markdown", shown, translated("The transcript"))

    def show_summary(
        self, figures: Mapping[str, str], transcript: Transcript, files: Sequence[Path | str]
    ) -> None:
        """The run in figures, its gaps, its files."""
        lines = [f"# {escaped(transcript.recording)}", "", "| | |", "|---|---|"]
        lines += [_row([escaped(name), escaped(value)]) for name, value in figures.items()]
        if transcript.gaps:
            heads = [translated("from"), translated("to"), translated("reason")]
            lines += ["", f"## {translated('Gaps')}", "", _row(heads), "|---|---|---|"]
            lines += [
                _row([format_time(gap.start), format_time(gap.end), escaped(reason_shown(gap))])
                for gap in transcript.gaps[:_MOST_GAPS]
            ]
            if len(transcript.gaps) > _MOST_GAPS:
                more = translated("and {count} more.")
                lines += ["", more.format(count=len(transcript.gaps) - _MOST_GAPS)]
        shown = "\n".join([*lines, "", _links(files)])
        self._show("summary", "markdown", shown, translated("The run"))

    def show_report(self, plot: Path) -> None:
        """The plot of the run, inside the artifact: the server need not reach the file."""
        try:
            drawn = plot.read_bytes()
        except OSError:
            return
        if len(drawn) <= _LARGEST_IMAGE_BYTES:
            address = f"data:image/svg+xml;base64,{base64.b64encode(drawn).decode()}"
            place = translated("Also in {place}").format(place=escaped(str(plot)))
            self._show("report", "image", address, place)

    def _show(
        self,
        kind: str,
        type_: str,
        data: Any,
        description: str,
        figures: Mapping[str, str] | None = None,
    ) -> None:
        artifact = ArtifactCreate(
            key=f"{kind}-{self._slug}",
            type=type_,
            description=description,
            data=json.dumps(data) if type_ == "table" else data,
            flow_run_id=self._flow_run_id,
            metadata_=dict(figures or {}),
        )
        with self._lock:
            if self._latest.get(kind) != artifact:
                self._latest[kind] = self._changed[kind] = artifact

    def _send_all(self) -> None:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 1}), _OneClient() as client:
            began_s, give_up_s = time.monotonic(), float("inf")
            while True:
                over = self._stop.wait(pause_s(time.monotonic() - began_s))
                if over:
                    give_up_s = min(give_up_s, time.monotonic() + _LAST_WITHIN_S)
                with self._lock:
                    changed, self._changed = self._changed, {}
                if changed:
                    self._send(client, changed)
                with self._lock:
                    left = bool(self._changed)
                if over and (not left or self._failed or time.monotonic() > give_up_s):
                    return

    def _send(self, client: "_OneClient", changed: dict[str, ArtifactCreate]) -> None:
        """Send artifacts; those that did not get through are sent again with the next."""
        try:
            while changed:
                kind, artifact = next(iter(changed.items()))
                self._send_one(client.opened(), kind, artifact)
                del changed[kind]
            self._failed = False
        except Exception as error:  # whatever it is: the run matters more than its picture
            client.close()
            if not self._failed:
                get_run_logger().warning(
                    translated("Artifacts cannot be shown at the moment (%s): the run goes on"),
                    type(error).__name__,
                )
            self._failed = True
            with self._lock:
                self._changed = {**changed, **self._changed}

    def _send_one(self, client: SyncPrefectClient, kind: str, artifact: ArtifactCreate) -> None:
        known = self._ids.get(kind)
        if known is None:
            self._ids[kind] = client.create_artifact(artifact).id
        else:
            update = ArtifactUpdate(
                data=artifact.data,
                description=artifact.description,
                metadata_=artifact.metadata_,
            )
            client.update_artifact(known, update)


class _OneClient:
    """A client of a thread's own, the flow's being its thread's, made when it is first wanted.

    One for the whole run: making it reads all certificates of the system, which took more of the
    processor than whatever is sent.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._client: SyncPrefectClient | None = None

    def __enter__(self) -> "_OneClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def opened(self) -> SyncPrefectClient:
        """The client; a new one after `close`."""
        if self._client is None:
            client = get_client(sync_client=True, httpx_settings={"timeout": _ANSWER_WITHIN_S})
            self._client = self._stack.enter_context(client)
        return self._client

    def close(self) -> None:
        """Let go of it, as after an error: the next one connects anew."""
        self._client = None
        self._stack.close()


def slug(name: str) -> str:
    """A name as artifacts' keys take it: lower case, digits, dashes; no two names share one."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    made = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_LONGEST_SLUG].strip("-")
    if made == name:
        return made
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{made}-{digest}" if made else digest


# The states of a chunk, for people.
_OUTCOMES: Final[dict[Outcome, str]] = {
    "done": translatable("done"),
    "kept": translatable("kept from an earlier run"),
    "failed": translatable("failed"),
    "running": translatable("running"),
    "waiting": translatable("waiting"),
}


def _row(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def _cells(row: ChunkRow) -> dict[str, Any]:
    done = row.outcome in ("done", "kept")
    return {
        translated("chunk"): row.number,
        translated("span"): row.span,
        translated("state"): translated(_OUTCOMES[row.outcome]),
        translated("seconds"): f"{row.seconds:.1f}" if done else "",
        translated("x real time"): f"{row.x_real_time:.1f}" if done else "",
        translated("segments"): row.segments if done else "",
        translated("words"): row.words if done else "",
        translated("language"): row.language,
        translated("fallbacks"): row.fallbacks if done else "",
        translated("attempts"): row.attempts or "",
        translated("CPU %"): f"{row.cpu_percent:.0f}" if done else "",
        translated("peak memory GB"): f"{row.peak_memory_bytes / 1e9:.2f}" if done else "",
        translated("worker"): row.pid or "",
        translated("remark"): escaped(row.reason),
    }


def _workers(status: RunStatus) -> str:
    """A line for each worker, below a line of text: the UI has no room between cells here."""
    lines = []
    for worker in status.workers[:_MOST_WORKERS]:
        doing = translated("idle")
        if worker.chunk:
            doing = translated("chunk {number}, {span}, for {time}").format(
                number=worker.chunk, span=worker.span, time=format_time(worker.running_s)
            )
        if worker.x_real_time is not None:
            before = translated(", {pace:.1f} x real time before")
            doing += before.format(pace=worker.x_real_time)
        line = translated("worker {pid}: {doing}; CPU {cpu:.0f} %, memory {memory:.2f} GB")
        lines.append(
            line.format(
                pid=worker.pid, doing=doing, cpu=worker.cpu_percent, memory=worker.rss_bytes / 1e9
            )
        )
    if len(status.workers) > _MOST_WORKERS:
        more = len(status.workers) - _MOST_WORKERS
        lines.append(translated("and {count} more").format(count=more))
    return "".join(f"\n\n{line}" for line in lines)


def _links(files: Sequence[Path | str]) -> str:
    """Links, and the paths: browsers follow no link from a web page to a file."""
    rows = []
    for file in files:
        if isinstance(file, Path):
            folder, url = str(file.resolve().parent), file.resolve().as_uri()
        else:
            folder, url = file.rpartition("/")[0], file
        name = file.name if isinstance(file, Path) else file.rpartition("/")[2]
        rows.append(f"- [{escaped(name)}]({url}) {escaped(folder)}")
    return "\n".join([f"## {translated('Files')}", "", *rows, ""])
