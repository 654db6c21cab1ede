"""How well a Dask cluster's workers are kept busy: everything of a run's chunks but the decoding.

    python -m benchmarks.dask_workers --workers 64 --chunks 192 --minutes 10 --pace 5

Scheduler and workers are processes of this machine, and so is the Prefect server. The runner, the
task with its states, logs and results, and the samples that travel are the real ones; in the place
of the decoder a worker sleeps as long as the chunk would take at so many times real time. Each has
had a short chunk before. Where workers outnumber the cores, what they do besides sleeping is slower
than on machines of their own: the efficiency that is shown is a lower bound.
"""

import argparse
import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psutil

_HOST: Final = "127.0.0.1"
_PORT: Final = 8790
_FIRST_S: Final = 1.0  # length of each worker's first chunk, at which it imports what it needs
_SEGMENTS: Final = 150  # of ten minutes of speech
_TEXT: Final = "and so it went on for as long as anybody in the room could remember it, "


def main() -> None:
    """Measure once, and print a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--chunks", type=int, default=192)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--pace", type=float, default=5.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.environ["LONGSCRIBE_CACHE"] = f"{folder}/cache"
        os.environ["PREFECT_HOME"] = f"{folder}/prefect"
        os.environ["TMPDIR"] = folder
        os.makedirs(os.environ["PREFECT_HOME"])
        from longscribe.flows.head_start import set_prefect_defaults

        set_prefect_defaults()
        children = [_forked(_scheduler)]
        try:
            _load()
            for _ in range(asked.workers):
                children.append(_forked(lambda: _worker(folder, asked.pace)))
            _measured(asked, Path(folder), children)
        finally:
            for pid in children:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _forked(work: Callable[[], None]) -> int:
    """The pid of a child that does some work and ends with this process."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setpgid(0, 0)
        log = os.open(os.environ.get("LONGSCRIBE_BENCHMARK_LOG", os.devnull), os.O_WRONLY)
        os.dup2(log, 1)
        os.dup2(log, 2)
        work()
    finally:
        os._exit(0)


def _scheduler() -> None:
    from distributed import Scheduler

    async def serve() -> None:
        async with Scheduler(host=_HOST, port=_PORT, dashboard=False) as scheduler:
            await scheduler.finished()

    asyncio.run(serve())


def _load() -> None:
    """What all workers need, imported once and shared."""
    import torch  # noqa: F401
    from prefect.plugins import load_prefect_collections

    import longscribe.decoding.chunk
    import longscribe.tasks.cluster_site
    import longscribe.tasks.transcribe_chunk  # noqa: F401

    load_prefect_collections()


def _worker(folder: str, pace: float) -> None:
    import dask
    from distributed import Worker

    import longscribe.decoding.chunk
    import longscribe.tasks.cluster_site
    from longscribe.runtime.worker_progress import advance
    from longscribe.transcript import ChunkTranscript, Segment

    def stand_in(chunk: Any, spec: Any, options: Any, batch_size: int) -> ChunkTranscript:
        started_s = time.perf_counter()
        chunk.pcm_path.read_bytes()
        end_s = started_s + chunk.duration_s / pace
        while (left_s := end_s - time.perf_counter()) > 0:
            advance()
            time.sleep(min(1.0, left_s))
        each_s = chunk.duration_s / _SEGMENTS
        segments = tuple(
            Segment(
                id=number,
                seek=0,
                start=number * each_s,
                end=(number + 1) * each_s,
                text=_TEXT,
                tokens=tuple(range(20)),
                temperature=0.0,
                avg_logprob=-0.3,
                compression_ratio=1.5,
                no_speech_prob=0.0,
            )
            for number in range(_SEGMENTS)
        )
        return ChunkTranscript(
            index=chunk.index,
            language="en",
            segments=segments,
            language_probability=0.9,
            precision="int8",
            cpu_percent=100.0,
            peak_memory_bytes=0,
            seconds=time.perf_counter() - started_s,
            ready_at_s=time.monotonic(),
            pid=os.getpid(),
        )

    longscribe.decoding.chunk.transcribe_chunk = stand_in
    longscribe.tasks.cluster_site.get_ready = lambda *_: None

    # As docs/scaling.md says: it takes 3 % of a core, two cores of 64 workers.
    dask.config.set({"distributed.worker.profile.enabled": False})

    async def serve() -> None:
        address = f"tcp://{_HOST}:{_PORT}"
        options = {"nthreads": 1, "local_directory": folder, "memory_limit": 0}
        async with Worker(address, dashboard=False, **options) as worker:
            await worker.finished()

    asyncio.run(serve())


def _chunks(folder: Path, count: int, seconds: float) -> list[Any]:
    """Chunks of noise, with their samples at both tempos."""
    import numpy as np

    from longscribe.audio.chunks import Chunk, OwnTempo

    samples = round(seconds * 16_000)
    own_samples = round(1.2 * samples)
    noise = np.random.default_rng(0).integers(-3000, 3000, own_samples, dtype=np.int16)
    own_tempo, faster = folder / f"own_tempo-{samples}.pcm", folder / f"samples-{samples}.pcm"
    noise.tofile(own_tempo)
    noise[:samples].tofile(faster)
    return [
        Chunk(
            index=number,
            count=count,
            pcm_path=faster,
            start_sample=0,
            stop_sample=samples,
            original_start_s=1.2 * seconds * number,
            original_end_s=1.2 * seconds * (number + 1),
            sha256=f"{samples:032x}{number:032x}",
            cut_in_pause=True,
            sound=((0.0, seconds),),
            own_tempo=OwnTempo(pcm_path=own_tempo, start_sample=0, stop_sample=own_samples),
        )
        for number in range(count)
    ]


def _core_s(children: list[int]) -> dict[str, float]:
    """Core-seconds until now of each kind of process; the first child is the scheduler."""
    scheduler, *workers = children
    others = psutil.Process().children(recursive=True)
    servers = [one.pid for one in others if one.pid not in children]
    kinds = {"scheduler": [scheduler], "workers": workers, "server": servers}
    used = {name: sum(map(_core_s_of, pids)) for name, pids in kinds.items()}
    return {"run": _core_s_of(os.getpid()), **used}


def _core_s_of(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _measured(asked: argparse.Namespace, folder: Path, children: list[int]) -> None:
    from longscribe.flows.server import connected, started_server
    from longscribe.models.weights import resolve_model
    from longscribe.options import check_options
    from longscribe.task_runner.cluster import Cluster

    seconds = asked.minutes * 60
    chunks = _chunks(folder, asked.chunks, seconds)
    address = f"tcp://{_HOST}:{_PORT}"
    options = check_options(recording="a.wav", model="demo", runner="dask", address=address)
    spec = resolve_model("demo")
    with Cluster(address) as cluster:
        while len(cluster.workers()) < asked.workers:
            time.sleep(0.5)
    with connected(started_server()):
        from prefect import flow, unmapped
        from prefect.futures import as_completed

        from longscribe.tasks.cluster import cluster_runner
        from longscribe.tasks.kept_results import keeping
        from longscribe.tasks.transcribe_chunk import transcribe_chunk

        took: dict[str, float] = {}
        used: dict[str, float] = {}

        @flow(persist_result=False)
        def share_out() -> None:
            started_s = time.monotonic()
            with cluster_runner(spec, options) as runner:
                runner.warm_up()
                while sum(one.is_alive for one in runner.hired) < asked.workers:
                    time.sleep(0.1)
                took["ready"] = time.monotonic() - started_s
                for given in (_chunks(folder, asked.workers, _FIRST_S), chunks):
                    time.sleep(5.0)
                    used.update(_core_s(children))
                    started_s = time.monotonic()
                    futures = keeping(transcribe_chunk).map(
                        given,
                        *map(unmapped, (spec, options.for_chunks, 24)),
                        [chunk.sha256 for chunk in given],
                    )
                    for future in as_completed(list(futures)):
                        future.result()
                took["chunks"] = time.monotonic() - started_s
                used.update({name: at - used[name] for name, at in _core_s(children).items()})

        share_out()
    ideal_s = asked.chunks * seconds / asked.pace / asked.workers
    print(
        f"{asked.workers} workers, {asked.chunks} chunks of {asked.minutes:g} min at "
        f"{asked.pace:g} x real time: ready in {took['ready']:.1f} s, done in "
        f"{took['chunks']:.1f} s, {ideal_s:.1f} s without any overhead: "
        f"{100 * ideal_s / took['chunks']:.0f} % efficient; core-seconds meanwhile: "
        + ", ".join(f"{name} {seconds:.1f}" for name, seconds in used.items())
    )


if __name__ == "__main__":
    main()
