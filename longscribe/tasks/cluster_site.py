"""What a run asks of Dask workers before their first chunk, carried out in them.

Also a module for `dask worker --preload`: a worker that was started so has imported what chunks
need, and is at work a few seconds sooner.
"""

import multiprocessing
import os
import shutil
import socket
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

import psutil

from longscribe.cache.code import sources_sha256, versions_of
from longscribe.cache.folder import cache_folder
from longscribe.cache.kernels import kernels_folder
from longscribe.decoding.chunk_key import expected_precision
from longscribe.engine.processor import set_up_numba
from longscribe.errors import ModelError
from longscribe.models.weights import ModelSpec, find_model, resolve_model
from longscribe.options import DecodingOptions
from longscribe.runtime.fork_server import thread_variables
from longscribe.runtime.importing import without_collections
from longscribe.runtime.machine import instruction_set, this_machine
from longscribe.tasks.chunk_site import have_model
from longscribe.wording.catalog import translated

# All that a chunk's text depends on, or that what is sent to and fro does.
_CODE: Final = (
    *("audio", "cache", "decoding", "engine", "models", "options", "runtime", "task_runner"),
    *("tasks", "transcript.py"),
)
_LIBRARIES: Final = ("torch", "openai-whisper", "numba", "numpy", "prefect", "distributed")


class Facts(NamedTuple):
    """A worker, or the run's own process, as far as chunks and their results care.

    Attributes:
        versions: of Longscribe and of libraries.
        code: digest of Longscribe's.
        instructions: of the processor, by which the code chooses its arithmetic.
        precision: that `auto` stands for there.
        gpus: that torch can use.
        memory_bytes: of its machine.
        host: name of its machine.
        pid: of the process.
    """

    versions: dict[str, str]
    code: str
    instructions: tuple[str, ...]
    precision: str
    gpus: int
    memory_bytes: int
    host: str
    pid: int


def facts(options: DecodingOptions) -> Facts:
    """Of this process."""
    gpus = 0 if options.device == "cpu" else this_machine().gpus
    return Facts(
        versions={"longscribe": version("longscribe"), **versions_of(*_LIBRARIES)},
        code=sources_sha256(_CODE),
        instructions=instruction_set(),
        precision=expected_precision(options, gpus),
        gpus=gpus,
        memory_bytes=psutil.virtual_memory().available,
        host=socket.gethostname(),
        pid=os.getpid(),
    )


def find_weights(spec: ModelSpec) -> bool:
    """Whether a model's weights are on this machine, by its name or sent here earlier."""
    for name in (spec.name, str(_sent(spec))):
        with suppress(ModelError, OSError):
            if find_model(name) is None:
                continue
            found = resolve_model(name)
            if found.sha256 == spec.sha256:
                have_model(spec.model_copy(update={"path": found.path}))
                return True
    return False


def receive_weights(spec: ModelSpec, name: str, offset: int, content: bytes) -> None:
    """Take a piece of one of a model's files.

    Args:
        spec: of the model.
        name: of the file in the model's folder, or of the model where it is one file.
        offset: of the piece in the file.
        content: the piece.
    """
    path = _part(spec) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb" if offset == 0 else "r+b") as file:
        file.seek(offset)
        file.write(content)


def have_weights(spec: ModelSpec, is_folder: bool) -> None:
    """All pieces are here: check them, and put the model where others find it.

    Raises:
        ModelError: it is not what was sent.
    """
    part, sent = _part(spec), _sent(spec)
    place = part if is_folder else next(part.iterdir())
    if resolve_model(str(place)).sha256 != spec.sha256:
        shutil.rmtree(part, ignore_errors=True)
        raise ModelError(translated("the weights did not arrive whole."))
    with suppress(OSError):  # another worker of this machine was first
        place.rename(sent)
    shutil.rmtree(part, ignore_errors=True)
    if not find_weights(spec):
        raise ModelError(translated("the weights did not arrive whole."))


def _sent(spec: ModelSpec) -> Path:
    return cache_folder() / "weights" / f"sent-{spec.sha256[:32]}.model"


def _part(spec: ModelSpec) -> Path:
    return cache_folder() / "weights" / f"sent-{spec.sha256[:32]}.{os.getpid()}"


def get_ready(threads: int, spec: ModelSpec, options: DecodingOptions) -> None:
    """Load a model that is here, with what else the first chunk would wait for."""
    _begin(threads)
    _import_prefect()
    from longscribe.decoding.chunk import prepare
    from longscribe.tasks.chunk_site import model_here

    # Whatever is wrong is met again by the first chunk and said in its own log.
    with suppress(Exception):
        prepare(model_here(spec), options)


@lru_cache(maxsize=1)
def _begin(threads: int) -> None:
    """Once in a process: its threads are those that Dask started it with."""
    os.environ.update(thread_variables(threads))
    set_up_numba(kernels_folder())
    from longscribe.tasks.worker import start_worker

    method = multiprocessing.get_start_method(allow_none=True)
    start_worker(threads)
    multiprocessing.set_start_method(method, force=True)  # Dask's own


def _import_prefect() -> None:
    """What a process's first task would import: all integrations that are installed."""
    with without_collections():
        import prefect.task_engine  # noqa: F401
        from prefect.plugins import load_prefect_collections

        load_prefect_collections()


def dask_setup(worker: Any) -> None:
    """Called by `dask worker --preload` in each process; import what chunks need."""
    _begin(worker.state.nthreads)
    _import_prefect()
    with without_collections():
        import longscribe.decoding.batched
        import longscribe.decoding.chunk
        import longscribe.engine.int8_network
        import longscribe.tasks.transcribe_chunk  # noqa: F401
