"""How a run ends that was stopped: at once, also where its Prefect server is away."""

import os
import re
import signal
import threading
from collections.abc import Callable
from functools import lru_cache, partial, wraps
from types import FrameType
from typing import Any, Final, ParamSpec, TypeVar
from uuid import UUID

import httpx
from prefect.context import refresh_global_settings_context
from prefect.exceptions import Abort, TerminationSignal
from prefect.settings import PREFECT_API_URL
from pydantic_core import PydanticSerializationError

from longscribe.tasks.current_run import current_run, is_deployment_s

P = ParamSpec("P")
R = TypeVar("R")

_STOPPED_WAITS_S: Final = 1.0
_SIGNAL_IN_SERIALIZER: Final = re.compile(r": (KeyboardInterrupt|TerminationSignal):")


def leaving_quickly(function: Callable[P, R]) -> Callable[P, R]:
    """A flow's function that, once stopped, does not wait for a server that is gone.

    Prefect reports the state of a stopped run with all the retries that work in progress deserves:
    minutes, in which the command would not end. The same where it is stopped while its end is
    being reported.

    Raises:
        StoppedAlone: it was stopped, and nobody is there to be told.
    """

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            result = function(*args, **kwargs)
        except Exception as error:
            stop = stop_behind(error)
            if stop is not None:
                leave_quickly(stop)
                raise stop from error
            _leave_when_signalled()
            raise
        except BaseException as stop:
            leave_quickly(stop)
            raise
        _leave_when_signalled()
        return result

    return wrapped


def stop_behind(error: Exception) -> BaseException | None:
    """The Ctrl-C or SIGTERM that an error was made of, if it was.

    Pydantic makes an ordinary error of whatever is raised while it serializes, and of models within
    models it keeps no more than the name. Prefect serializes its context with each chunk that is
    submitted.
    """
    if not isinstance(error, PydanticSerializationError):
        return None
    made_of = _SIGNAL_IN_SERIALIZER.search(str(error))
    if made_of is None:
        return None
    interrupted = made_of[1] == KeyboardInterrupt.__name__
    return KeyboardInterrupt() if interrupted else TerminationSignal(signal.SIGTERM)


class StoppedAlone(Abort):
    """A run was stopped while its server is away; Prefect does not report one that is aborted.

    Attributes:
        stop: what stopped it.
    """

    def __init__(self, stop: BaseException) -> None:
        super().__init__("stopped while the Prefect server is away")
        self.stop = stop


def server_answers() -> bool:
    """Whether the Prefect server says anything, within a moment; a run that ends asks once."""
    run = current_run()
    return _answers(run.id if run else None)


@lru_cache(maxsize=1)
def _answers(flow_run_id: UUID | None) -> bool:
    try:
        # Only whether it is there: certificates are Prefect's own client's to check.
        httpx.get(f"{PREFECT_API_URL.value()}/health", timeout=_STOPPED_WAITS_S, verify=False)
    except httpx.HTTPError:
        return False
    return True


def leave_quickly(stop: BaseException) -> None:
    """From now on each request of this process is tried once.

    Raises:
        StoppedAlone: the server is away; not in a deployment's run, whose worker tells of its end.
    """
    os.environ["PREFECT_CLIENT_MAX_RETRIES"] = "0"
    refresh_global_settings_context()
    if _is_the_command_s() and not server_answers():
        raise StoppedAlone(stop)


def _is_the_command_s() -> bool:
    return current_run() is not None and not is_deployment_s()


def _leave_when_signalled() -> None:
    # A deployment's run is stopped by its runner, which looks at Prefect's own handler.
    if _is_the_command_s() and threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if callable(handler) and not isinstance(handler, partial):
                signal.signal(number, partial(_leave_and, handler))


def _leave_and(
    handler: Callable[[int, FrameType | None], Any], number: int, frame: FrameType | None
) -> None:
    try:
        handler(number, frame)
    except BaseException as stop:
        leave_quickly(stop)
        raise
