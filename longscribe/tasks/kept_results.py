"""Results of chunks that survive the run: kept by Prefect, under keys of the engine."""

from contextlib import suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.client.schemas.objects import State
from prefect.context import TaskRunContext
from prefect.filesystems import LocalFileSystem
from prefect.results import ResultStore

from longscribe.audio.chunks import Chunk
from longscribe.cache.atomic_file import replace_file
from longscribe.cache.folder import mark_used, results_folder
from longscribe.transcript import ChunkTranscript

P = ParamSpec("P")
R = TypeVar("R")

SERIALIZER = "json"  # what is kept must not depend on where a class lives in the code


class ResultFolder(LocalFileSystem):
    """A local folder whose files are there whole or not at all.

    A result that cannot be written (a full disk) is no reason to lose the chunk: Prefect would log
    a traceback for each, the run says it once.
    """

    _block_type_name = "Longscribe chunk results"

    def write_path(self, path: str, content: bytes, **_: Any) -> str:  # type: ignore[override]  # not also async
        """Write a file below the folder."""
        target = self._resolve_path(path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            replace_file(target, content)
        except OSError:
            with suppress(OSError):
                target.unlink()  # an older result, which was to be replaced
        return str(target)


def keeping(run: Task[P, R]) -> Task[P, R]:
    """A task whose results are kept in this user's folder."""
    kept = run.with_options()
    # Not as an option: those must be saved on the server, which has no use for a folder of ours.
    kept.result_storage = _folder()
    return kept


def _folder() -> ResultFolder:
    return ResultFolder(basepath=str(results_folder()))


def storage_key(context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """Prefect's cache key of a task run with a `key`: the file's name below the folder."""
    return _name(parameters["key"])


def result_path(key: str) -> Path:
    """The file of a chunk's result."""
    return results_folder() / _name(key)


def _name(key: str) -> str:
    return f"{key[:2]}/{key[2:]}.json"


def is_kept(key: str, not_before_s: float = 0.0) -> bool:
    """Whether there is a result under a key, kept since then, in seconds since 1970."""
    try:
        return result_path(key).stat().st_mtime >= not_before_s
    except OSError:
        return False


def kept_transcript(
    chunk: Chunk, key: str, precision: str, not_before_s: float = 0.0
) -> ChunkTranscript | None:
    """A chunk's result from an earlier run, as this run would have got it; None if there is none.

    Args:
        chunk: whose place in the recording the result gets.
        key: of the chunk.
        precision: that a result must have to count.
        not_before_s: one that was kept before, in seconds since 1970, does not count.

    Raises:
        ValueError: the file is damaged.
    """
    if not is_kept(key, not_before_s):
        return None
    path = result_path(key)
    try:
        record = ResultStore(result_storage=_folder()).read(_name(key))
        transcript = ChunkTranscript.model_validate_json(record.result)
    except Exception as error:  # whatever Prefect's, pydantic's and json's readers make of it
        raise ValueError(f"{path} is damaged: {error}") from error
    if chunk.sound and transcript.precision != precision:
        return None
    mark_used(path)
    return transcript.model_copy(update={"index": chunk.index})


@task(
    name="transcribe_chunk",
    task_run_name="{chunk.label}",
    cache_key_fn=storage_key,
    persist_result=True,
    result_serializer=SERIALIZER,
)
def kept_chunk(chunk: Chunk, key: str) -> str:
    """A chunk that an earlier run finished, as a task run of this one in state Cached.

    Its body is never run: Prefect finds the result first.
    """
    raise FileNotFoundError(f"the result of chunk {chunk.number} is no longer kept")


def show_as_cached(chunk: Chunk, key: str) -> bool:
    """Give a kept chunk its row in the UI; whether Prefect found the result as well."""
    state: State[str] = keeping(kept_chunk)(chunk, key, return_state=True)
    return state.is_completed()
