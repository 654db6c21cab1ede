"""Measured constants that plans rest on: one file, `measured.json`, with where each is from."""

import json
from functools import cache
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

_FILE: Final = Path(__file__).with_name("measured.json")


class Constant(BaseModel):
    """A number and where it is from.

    Attributes:
        value: in the unit that its name ends with.
        basis: measured, or estimated from what was measured.
        date: of the measurement.
        machine: it was measured on.
        how: the command, or what the estimate is made of.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    basis: Literal["measured", "estimated"]
    date: str
    machine: str
    how: str


class Measured(BaseModel):
    """All constants.

    Attributes:
        base_core_s_per_hour: chunks of an hour of speech at the size base on avx512-vnni.
        size_factors: model -> its chunks' cost, base's being 1.
        processor_factors: class of processor -> cost of the chunks, avx512-vnni's being 1.
        gpu_s_per_hour: GPU -> model -> seconds in which an hour's chunks keep it busy.
        run_core_s: what a run costs besides its chunks and its length: starting and ending.
        run_core_s_per_hour: what a run costs for each hour of its recording besides its chunks:
            decoding the file, speeding it up, cutting, merging, writing.
        chunk_core_s: what the task of a chunk costs besides decoding it.
        run_requests: of a run to the server's API, besides its chunks'.
        chunk_requests: of a chunk to the server's API.
        run_server_core_s: what a run costs the server's process.
        chunk_server_core_s: what a chunk costs the server's process.
        request_server_core_s: what a request that changes little costs the server's process.
        rest_server_cores: of a process of the server that has nothing to do but its services.
        rest_database_cores: of PostgreSQL meanwhile.
        shown_requests: each time that a run shows how far it is (`monitoring.pace`).
        shown_server_core_s: of the server's process for that.
        shown_database_core_s: of PostgreSQL for that.
        shown_database_bytes: that the database grows by: events, which say what was changed.
        run_database_core_s: what a run costs PostgreSQL.
        chunk_database_core_s: what a chunk costs PostgreSQL.
        run_database_bytes: what a run adds to the database, its events and logs included.
        chunk_database_bytes: what a chunk adds.
        recording_run_requests: this and the next: the same with one row for each recording.
        recording_chunk_requests: of a chunk.
        recording_run_server_core_s: of the server's process.
        recording_chunk_server_core_s: of a chunk.
        recording_run_database_core_s: of PostgreSQL.
        recording_chunk_database_core_s: of a chunk.
        recording_run_database_bytes: in the database.
        recording_chunk_database_bytes: of a chunk.
        result_bytes_per_hour: kept results of chunks for an hour of recording.
        transcript_bytes_per_hour: texts, subtitles and JSON of an hour, a page's sound left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_core_s_per_hour: Constant
    size_factors: dict[str, Constant]
    processor_factors: dict[str, Constant]
    gpu_s_per_hour: dict[str, dict[str, Constant]]
    run_core_s: Constant
    run_core_s_per_hour: Constant
    chunk_core_s: Constant
    run_requests: Constant
    chunk_requests: Constant
    run_server_core_s: Constant
    chunk_server_core_s: Constant
    request_server_core_s: Constant
    rest_server_cores: Constant
    rest_database_cores: Constant
    shown_requests: Constant
    shown_server_core_s: Constant
    shown_database_core_s: Constant
    shown_database_bytes: Constant
    run_database_core_s: Constant
    chunk_database_core_s: Constant
    run_database_bytes: Constant
    chunk_database_bytes: Constant
    recording_run_requests: Constant
    recording_chunk_requests: Constant
    recording_run_server_core_s: Constant
    recording_chunk_server_core_s: Constant
    recording_run_database_core_s: Constant
    recording_chunk_database_core_s: Constant
    recording_run_database_bytes: Constant
    recording_chunk_database_bytes: Constant
    result_bytes_per_hour: Constant
    transcript_bytes_per_hour: Constant


@cache
def measured() -> Measured:
    """The constants of this version."""
    return Measured.model_validate(json.loads(_FILE.read_text(encoding="utf-8")))
