"""What runs cost a Prefect server on PostgreSQL: thousands of short ones, with the demo model.

`python -m benchmarks.many_runs --runs 5000 --folder FOLDER` starts a server, workers on hosts of
their own (`cluster`), and runs in batches, all recordings different. After each batch it notes in
`FOLDER/state.json` what the batch took: requests to the API, core-seconds of the server, of
PostgreSQL and of the workers, rows and bytes in the database. It goes on where it was stopped, in
the same database. `--chunks 5` gives recordings more chunks: two sets tell what a run costs and
what a chunk does (`--table`). `--length-s 5` makes them short, so that decoding is little beside
what they cost the server.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import asyncpg
import numpy as np
from pydantic import BaseModel

from benchmarks.cluster import ENDED, Cluster, missing, until
from benchmarks.database import Database
from benchmarks.database import missing as missing_database
from benchmarks.many_hosts import write_recordings
from benchmarks.surroundings import describe_machine

_TABLES: Final = ("flow_run", "flow_run_state", "task_run", "task_run_state", "log", "artifact")
_TABLES_OF_EVENTS: Final = ("events", "event_resources")
_CHUNK_S: Final = 30.0
_SETTLE_S: Final = 15.0  # events and logs are written behind
_BATCH_WITHIN_S: Final = 3600.0
_LOOK_EVERY_S: Final = 2.0  # each costs the server what is counted as the runs' own


class Batch(BaseModel):
    """What some runs took.

    Attributes:
        runs: how many.
        chunks: of each.
        length_s: of each recording.
        rows_mode: of the workers: LONGSCRIBE_ROWS.
        seconds: from the first one's request to the last one's end.
        lost: that did not end Completed.
        requests: to the API.
        server_s: core-seconds of the server.
        database_s: core-seconds of PostgreSQL.
        hosts_s: core-seconds of the workers and their runs.
        bytes: that the database grew by.
        rows: by table, that came.
        runs_before: in the database.
        machine: where, and when.
    """

    runs: int
    chunks: int = 1
    length_s: float = _CHUNK_S
    rows_mode: str = "chunk"
    seconds: float
    lost: int
    requests: int
    server_s: float
    database_s: float
    hosts_s: float
    bytes: int
    rows: dict[str, int]
    runs_before: int = 0
    machine: str


class State(BaseModel):
    """All batches until now."""

    batches: list[Batch] = []


def main() -> None:
    """Run batches until there are enough, or print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--chunks", type=int, default=1)
    parser.add_argument("--length-s", type=float, help="of a recording; by default 30 for a chunk")
    parser.add_argument("--hosts", type=int, default=2)
    parser.add_argument("--limit", type=int, default=1, help="runs at once on a host")
    parser.add_argument("--waiting", type=int, default=8, help="runs that are asked for at most")
    parser.add_argument("--rows", choices=["chunk", "recording"], default="chunk")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--table", action="store_true", help="of what was measured before")
    options = parser.parse_args()
    folder = options.folder.resolve()
    file = folder / "state.json"
    state = State.model_validate_json(file.read_bytes()) if file.exists() else State()
    if options.table:
        return _print_table(state)
    if lacks := missing() or missing_database():
        sys.exit(lacks)
    with (
        Database(folder / "postgres") as database,
        Cluster(folder, database, {"LONGSCRIBE_ROWS": options.rows}) as cluster,
    ):
        for number in range(options.hosts):
            cluster.start_host(f"host-{number}", "--limit", str(options.limit))
        if not state.batches or state.batches[-1].chunks != options.chunks:
            _run_batch(cluster, database, options, 2 * options.hosts, 0)  # what is made once
        while (done := _done(state, options)) < options.runs:
            batch = min(options.batch, options.runs - done)
            measured = _run_batch(cluster, database, options, batch, cluster.count_runs())
            state.batches.append(measured)
            file.write_text(state.model_dump_json(indent=1), encoding="utf-8")
            print(
                f"{done + batch} runs; {measured.seconds:.0f} s for the last {batch}, "
                f"{measured.lost} lost, {measured.server_s / batch:.2f} server core-s a run",
                flush=True,
            )
    _print_table(state)


def _done(state: State, options: argparse.Namespace) -> int:
    return sum(
        batch.runs
        for batch in state.batches
        if (batch.chunks, batch.rows_mode) == (options.chunks, options.rows)
    )


def _run_batch(
    cluster: Cluster, database: Database, options: argparse.Namespace, runs: int, before: int
) -> Batch:
    length_s = options.length_s or _CHUNK_S * options.chunks
    seed = time.time_ns() % 1_000_000_007
    paths = write_recordings(cluster.folder / "media", runs, length_s, seed=seed)
    asked = {"chunk_minutes": _CHUNK_S / 60, "workers": 1}
    measured = measure(cluster, database, paths, asked, options.waiting)
    kind = {
        "chunks": options.chunks,
        "length_s": length_s,
        "rows_mode": options.rows,
        "runs_before": before,
    }
    return measured.model_copy(update=kind)


def measure(
    cluster: Cluster,
    database: Database,
    recordings: list[Path],
    parameters: dict[str, Any],
    waiting: int,
) -> Batch:
    """What runs over recordings take; the recordings are removed.

    Args:
        cluster: they run on.
        database: of its server.
        recordings: in its folder of media.
        parameters: of the runs.
        waiting: so many are asked for at most before one of them is over.
    """
    rows_before, bytes_before = asyncio.run(_size(database))
    requests, server_s = cluster.requests(), cluster.server_cpu_s
    database_s, hosts_s = cluster.database_cpu_s, sum(host.cpu_s for host in cluster.hosts)
    looks_before = cluster.looks
    began_s = time.monotonic()
    under_way: set[str] = set()
    names: Counter[str] = Counter()

    def has_room() -> bool:
        for run in cluster.runs(under_way):
            if run["state_type"] in ENDED:
                names[run["state_name"]] += 1
                under_way.discard(run["id"])
        return len(under_way) < waiting

    for path in recordings:
        until(has_room, _BATCH_WITHIN_S, _LOOK_EVERY_S)
        under_way.add(cluster.start_run(path, f"{began_s}-{path.name}", **parameters))
    until(lambda: has_room() and not under_way, _BATCH_WITHIN_S, _LOOK_EVERY_S)
    seconds = time.monotonic() - began_s
    time.sleep(_SETTLE_S)
    looks = cluster.looks - looks_before
    rows_after, bytes_after = asyncio.run(_size(database))
    for path in recordings:
        path.unlink()
    runs = len(recordings)
    return Batch(
        runs=runs,
        seconds=seconds,
        lost=runs - names["Completed"],
        requests=cluster.requests() - requests - looks,
        server_s=cluster.server_cpu_s - server_s,
        database_s=cluster.database_cpu_s - database_s,
        hosts_s=sum(host.cpu_s for host in cluster.hosts) - hosts_s,
        bytes=bytes_after - bytes_before,
        rows={name: rows_after[name] - rows_before[name] for name in rows_after},
        machine=describe_machine(),
    )


async def _size(database: Database) -> tuple[dict[str, int], int]:
    """Rows by table, and the bytes of all."""
    connection = await asyncpg.connect(database.url.replace("+asyncpg", ""))
    try:
        rows = {
            name: int(await connection.fetchval(f"SELECT count(*) FROM {name}"))
            for name in (*_TABLES, *_TABLES_OF_EVENTS)
        }
        size = await connection.fetchval("SELECT pg_database_size(current_database())")
        return rows, int(size)
    finally:
        await connection.close()


def _print_table(state: State) -> None:
    """What a run cost of each kind, and by least squares what of it is a chunk's."""
    kinds = sorted({(b.rows_mode, b.chunks, b.length_s) for b in state.batches})
    print(
        "rows     chunks  length s  runs  lost  requests  server s  database s  hosts s    kB  rows"
    )
    for rows_mode, chunks, length_s in kinds:
        kind = (rows_mode, chunks, length_s)
        found = [b for b in state.batches if (b.rows_mode, b.chunks, b.length_s) == kind]
        runs = sum(batch.runs for batch in found)

        def each(total: float, runs: int = runs) -> float:
            return total / runs

        print(
            f"{rows_mode:9}{chunks:6} {length_s:9g} {runs:5} {sum(b.lost for b in found):5} "
            f"{each(sum(b.requests for b in found)):9.1f} "
            f"{each(sum(b.server_s for b in found)):9.3f} "
            f"{each(sum(b.database_s for b in found)):11.3f} "
            f"{each(sum(b.hosts_s for b in found)):8.2f} "
            f"{each(sum(b.bytes for b in found)) / 1e3:5.0f} "
            f"{each(sum(sum(b.rows.values()) for b in found)):5.0f}"
        )
    for rows_mode in sorted({kind for kind, *_ in kinds}):
        found = [
            batch
            for batch in state.batches
            if batch.rows_mode == rows_mode and batch.length_s == _CHUNK_S * batch.chunks
        ]
        if len({batch.chunks for batch in found}) < 2:
            continue
        weights = np.array([batch.runs for batch in found], dtype=float)
        at = np.stack([np.ones(len(found)), [float(batch.chunks) for batch in found]], axis=1)
        for name in ("requests", "server_s", "database_s", "hosts_s", "bytes"):
            took = np.array([getattr(batch, name) / batch.runs for batch in found])
            root = np.sqrt(weights)
            (run, chunk), *_ = np.linalg.lstsq(at * root[:, None], took * root, rcond=None)
            print(f"{rows_mode}: {name}: {run:.4g} a run and {chunk:.4g} a chunk")


if __name__ == "__main__":
    main()
