"""A backend that writes transcripts itself, for tests of the web application."""

import threading
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from longscribe.monitoring.run_record import RunRecord
from longscribe.options import Format
from longscribe.outputs.formats import output_name, write_transcript
from longscribe.storage.uris import name_of
from longscribe.transcript import Segment, Stretch, Transcript, Word
from longscribe.web.backend import ENDED, BackendError, Refused, RunProgress, RunState


def segment(id_: int, start: float, end: float, text: str) -> Segment:
    words = text.split()
    step = (end - start) / max(1, len(words))
    timed = tuple(
        Word(f" {word}", start + step * i, start + step * (i + 1), 0.9)
        for i, word in enumerate(words)
    )
    return Segment(id_, 0, start, end, text, (), 0.0, -0.2, 1.1, 0.01, timed, "en", 0.99)


def transcript(recording: str = "talk.wav") -> Transcript:
    return Transcript(
        recording=recording,
        duration_s=5.0,
        language="en",
        segments=(
            segment(0, 0.0, 2.0, " Good morning to everybody."),
            segment(1, 2.5, 4.5, " This is <b>the</b> report on Monday."),
        ),
        stretches=(Stretch(0.0, 5.0, "speech"),),
        model="demo",
    )


class FakeBackend:
    """Runs are done when `finish` says so, or at once."""

    def __init__(self, at_once: bool = True) -> None:
        self.at_once = at_once
        self.is_away = False
        self.refuses = ""
        self.started: dict[str, dict[str, Any]] = {}
        self.forgotten: list[str] = []
        self.queues: dict[str, str | None] = {}
        self._keys: dict[str, str] = {}
        self._states: dict[str, RunState] = {}
        self._lock = threading.Lock()

    def start(
        self, parameters: Mapping[str, Any], idempotency_key: str, queue: str | None, name: str
    ) -> str:
        self._answer()
        if self.refuses:
            raise Refused(self.refuses)
        with self._lock:
            if idempotency_key in self._keys:
                return self._keys[idempotency_key]
            run_id = self._keys[idempotency_key] = str(uuid.uuid4())
            self.started[run_id] = dict(parameters)
            self.queues[run_id] = queue
            self._states[run_id] = RunState("queued")
        if self.at_once:
            self.finish(run_id)
        return run_id

    def finish(self, run_id: str, state: str = "done", message: str = "") -> None:
        parameters = self.started[run_id]
        if state in ("done", "partial"):
            name = output_name(Path(name_of(parameters["recording"])))
            formats: list[Format] = [f for f in parameters["formats"] if f != "html"]
            written = transcript(name_of(parameters["recording"]))
            write_transcript(
                written, Path(parameters["output_dir"]) / name, name, formats, record=RunRecord()
            )
        self._states[run_id] = RunState(state, message, 1.0, 2.0)  # type: ignore[arg-type]

    def run(self, run_id: str) -> None:
        self._states[run_id] = RunState("running", "", 1.0)

    def states(self, run_ids: Sequence[str]) -> dict[str, RunState]:
        self._answer()
        return {run_id: self._states[run_id] for run_id in run_ids if run_id in self._states}

    def progress(self, run_id: str, with_chunks: bool = False) -> RunProgress:
        self._answer()
        return RunProgress(40.0, 12.5, [{"chunk": 1, "state": "done"}] if with_chunks else ())

    def cancel(self, run_id: str) -> None:
        self._answer()
        self._states[run_id] = RunState("cancelled", "", 1.0, 2.0)

    def forget(self, run_id: str) -> bool:
        self._answer()
        if self._states[run_id].state not in ENDED:
            return False
        self.forgotten.append(run_id)
        return True

    def is_there(self) -> bool:
        return not self.is_away

    def _answer(self) -> None:
        if self.is_away:
            raise BackendError("the Prefect server does not answer")
