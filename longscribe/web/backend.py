"""What carries jobs out, as the web application sees it: the Prefect server, or a test's own."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol

State = Literal["queued", "running", "done", "partial", "failed", "cancelled"]
STATES: Final[tuple[State, ...]] = (
    "queued",
    "running",
    "done",
    "partial",
    "failed",
    "cancelled",
)
ENDED: Final[tuple[State, ...]] = ("done", "partial", "failed", "cancelled")
HAS_TRANSCRIPT: Final[tuple[State, ...]] = ("done", "partial")


class RunState(NamedTuple):
    """What became of a run so far.

    Attributes:
        state: in our words.
        message: the server's own about it.
        started_at: when the run began, in seconds since 1970; None before.
        ended_at: when it ended; None before.
    """

    state: State
    message: str = ""
    started_at: float | None = None
    ended_at: float | None = None


class RunProgress(NamedTuple):
    """How far a run is.

    Attributes:
        percent: of the recording.
        left_s: seconds left; None where that is not known yet.
        chunks: one row a chunk, as the Prefect UI shows it.
    """

    percent: float = 0.0
    left_s: float | None = None
    chunks: Sequence[Mapping[str, Any]] = ()


class BackendError(Exception):
    """The backend cannot be reached, or refused; the message says which."""


class Refused(BackendError):
    """The backend answered that it will not do that, however often it is asked."""


class Backend(Protocol):
    """Starts runs and tells of them. Threads may share it."""

    def start(
        self, parameters: Mapping[str, Any], idempotency_key: str, queue: str | None, name: str
    ) -> str:
        """Start a run; the same key again gives the same run.

        Returns:
            its identifier.

        Raises:
            BackendError: it cannot be started now.
            Refused: the parameters are not accepted.
        """

    def states(self, run_ids: Sequence[str]) -> dict[str, RunState]:
        """The states of runs; those that there are not are left out.

        Raises:
            BackendError: nobody answers.
        """

    def progress(self, run_id: str, with_chunks: bool = False) -> RunProgress:
        """How far a run is.

        Raises:
            BackendError: nobody answers.
        """

    def cancel(self, run_id: str) -> None:
        """End a run, if it has not ended.

        Raises:
            BackendError: nobody answers.
        """

    def forget(self, run_id: str) -> bool:
        """Remove a run that has ended, with all that is kept of it; False while it goes on.

        Raises:
            BackendError: nobody answers.
        """

    def is_there(self) -> bool:
        """Whether it answers."""
