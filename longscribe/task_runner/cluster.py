"""A Dask cluster, as a run uses it: who is there, and how something is run on one of them."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from longscribe.errors import ClusterError
from longscribe.task_runner.cluster_inside import in_thread
from longscribe.wording.catalog import translated

if TYPE_CHECKING:
    from distributed import Client

_CONNECT_WITHIN_S: Final = 10.0
_SENT_AT_ONCE: Final = 4


class DaskWorker(NamedTuple):
    """A worker of a cluster.

    Attributes:
        address: such as `tcp://10.0.0.3:41234`.
        threads: that it was started with.
        memory_bytes: that it may take; 0 for no limit.
    """

    address: str
    threads: int
    memory_bytes: int


class Cluster:
    """A connection to the scheduler of a Dask cluster.

    Args:
        address: of the scheduler.

    Raises:
        ClusterError: Dask is not installed here, or the scheduler does not answer.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.client = _connected(address)
        # Each holds what it sends three times while it does.
        self.sending = threading.Semaphore(_SENT_AT_ONCE)

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def close(self) -> None:
        """Leave the cluster, which goes on."""
        with suppress(Exception):  # whatever is left of the connection
            self.client.close(timeout=5)

    def workers(self) -> dict[str, DaskWorker]:
        """Those that are there now, by their addresses.

        Raises:
            OSError: the scheduler is gone.
        """
        # Not `scheduler_info`: what it returns is replaced meanwhile by a copy without workers.
        identity = self.client.sync(self.client.scheduler.identity, n_workers=-1)
        found: dict[str, Any] = identity["workers"]
        return {
            address: DaskWorker(address, int(about["nthreads"]), int(about["memory_limit"] or 0))
            for address, about in found.items()
            if about.get("status", "running") in ("running", "paused")
        }

    def call(self, address: str, function: Callable[..., Any], *args: Any) -> Any:
        """The result of a function that was run on a worker, in a thread beside its tasks.

        Raises:
            OSError: the worker is gone, or does not have what is called.
            Exception: what the function raised.
        """
        return self.ask(address, in_thread, function, *args)

    def ask(self, address: str, coroutine: Callable[..., Any], *args: Any) -> Any:
        """The same of a coroutine that returns at once."""
        answers = self.client.run(coroutine, *args, workers=[address], on_error="return")
        answer = answers.get(address, OSError(f"{address} is gone"))
        if isinstance(answer, Exception):
            raise answer
        return answer


def _connected(address: str) -> "Client":
    try:
        import dask
        from distributed import Client
    except ImportError:
        raise ClusterError(
            translated("--runner dask needs Dask: pip install 'longscribe[dask]'.")
        ) from None
    # What it says by itself about connections that come and go: the run says what matters.
    for name in ("distributed", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # How often a connection that is busy with a large chunk may miss its turn.
    settings = {"distributed.comm.timeouts.connect": f"{_CONNECT_WITHIN_S:.0f}s"}
    try:
        with dask.config.set(settings):
            return Client(address, timeout=_CONNECT_WITHIN_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise ClusterError(
            translated(
                "no Dask scheduler answers at {address} ({error}); start one by `dask scheduler`, "
                "or give the address that it shows to --address."
            ).format(address=address, error=type(error).__name__)
        ) from None
