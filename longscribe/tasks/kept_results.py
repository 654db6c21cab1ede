"""Results of chunks that survive the run: kept by Prefect, under keys of the engine."""

from contextlib import suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from prefect import Task
from prefect.context import TaskRunContext
from prefect.filesystems import LocalFileSystem
from prefect.results import ResultStore

from longscribe.audio.chunks import Chunk
from longscribe.cache.atomic_file import replace_file
from longscribe.cache.folder import mark_used, results_folder
from longscribe.cache.results import is_kept, result_name, result_path
from longscribe.errors import StoreError
from longscribe.storage.shared_store import SharedStore
from longscribe.task_runner.cluster_inside import returned_files
from longscribe.transcript import ChunkTranscript

P = ParamSpec("P")
R = TypeVar("R")

SERIALIZER = "json"  # what is kept must not depend on where a class lives in the code


class ResultFolder(LocalFileSystem):
    """A local folder whose files are there whole or not at all, and a store behind it.

    A result that cannot be written (a full disk) is no reason to lose the chunk: Prefect would log
    a traceback for each, the run says it once.

    Attributes:
        store: path or URL of what several machines share; empty where they share nothing.
    """

    _block_type_name = "Longscribe chunk results"

    store: str = ""

    def write_path(self, path: str, content: bytes, **_: Any) -> str:  # type: ignore[override]  # not also async
        """Write a file below the folder."""
        target = self._resolve_path(path)
        if (elsewhere := returned_files()) is not None:
            elsewhere[path] = content  # the run keeps it, on its own machine
            return str(target)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            replace_file(target, content)
        except OSError:
            with suppress(OSError):
                target.unlink()  # an older result, which was to be replaced
        if self.store:
            name = target.relative_to(Path(str(self.basepath)).expanduser().resolve()).as_posix()
            with suppress(StoreError):
                SharedStore(self.store).put(f"results/{name}", content)
        return str(target)


def keeping(run: Task[P, R]) -> Task[P, R]:
    """A task whose results are kept in this user's folder."""
    kept = run.with_options()
    # Not as an option: those must be saved on the server, which has no use for a folder of ours.
    kept.result_storage = result_folder()
    return kept


def keep_now(key: str, result: str) -> str:
    """The result of a task that is running, kept before Prefect says that the task is done.

    Prefect itself sets the state first and writes then (prefect/task_engine.py, `handle_success`,
    and the commit of its transaction): what a machine that dies in between had shown as Completed
    would be done again. It writes the same once more.
    """
    context = TaskRunContext.get()
    if context is not None and context.persist_result:
        context.result_store.write(result, key=result_name(key))
    return result


def read_kept(key: str) -> str:
    """The result of a chunk of which `keep_usable` says that it is there, as JSON."""
    result: str = ResultStore(result_storage=result_folder()).read(result_name(key)).result
    return result


def keep_returned(path: str, content: bytes) -> None:
    """Keep a result that a worker elsewhere wrote, by its path below the folder."""
    result_folder().write_path(path, content)


def result_folder() -> ResultFolder:
    """Where results are kept, as Prefect knows it."""
    store = SharedStore.from_environment()
    return ResultFolder(basepath=str(results_folder()), store=store.place if store else "")


def storage_key(context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """Prefect's cache key of a task run with a `key`: the file's name below the folder."""
    return result_name(parameters["key"])


def keep_usable(chunk: Chunk, key: str, precision: str, not_before_s: float = 0.0) -> bool:
    """Whether an earlier run left a result that this run would get too.

    One that does not count is removed, so that Prefect does not find it.

    Args:
        chunk: whose result it is.
        key: of the chunk.
        precision: that a result must have to count.
        not_before_s: one that was kept before, in seconds since 1970, does not count.

    Raises:
        ValueError: the file is damaged.
    """
    path = result_path(key)
    counts = is_kept(key, not_before_s)
    try:
        if counts:
            record = ResultStore(result_storage=result_folder()).read(result_name(key))
            found = ChunkTranscript.model_validate_json(record.result).precision
            counts = found == precision or not chunk.sound
    except Exception as error:  # whatever Prefect's, pydantic's and json's readers make of it
        counts = False
        raise ValueError(f"{path} is damaged: {error}") from error
    finally:
        if not counts:
            with suppress(OSError):
                path.unlink(missing_ok=True)
    if counts:
        mark_used(path)
    return counts
