"""How a recording was cut before: kept, so that the next run of it finds the same chunks.

The last chunks of a recording are shorter where workers would sit idle (`chunk_lengths`): planned
anew for another number of workers, they would hold other samples, and their results be of no use.
"""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from longscribe.cache.atomic_file import replace_file
from longscribe.cache.folder import mark_used, plans_folder

_LOOKED_AT_BYTES: Final = 1 << 16  # at either end of the recording's file


class Plan(BaseModel):
    """The cuts of a recording of `samples`, and the keys of the chunks between them, in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int
    cuts: tuple[tuple[int, bool], ...]
    chunk_keys: tuple[str, ...]


def plan_path(
    recording: Path,
    speed: float | str,
    chunk_minutes: float,
    decoding: str,
    channel: int | None = None,
) -> Path:
    """The file of a recording's plan; its name holds what the plan was made for.

    The recording is told by its length and both its ends, not by its path. Were it another one
    after all, its chunks' keys would say so: they hold the samples.

    Args:
        recording: its path.
        speed: as asked for: a tempo before recognition, or `auto`.
        chunk_minutes: as asked for.
        decoding: from `decoding_digest`.
        channel: that is heard by itself, from 1.

    Raises:
        OSError: the recording cannot be read.
    """
    with recording.open("rb") as file:
        size_bytes = os.fstat(file.fileno()).st_size
        ends = file.read(_LOOKED_AT_BYTES)
        file.seek(max(0, size_bytes - _LOOKED_AT_BYTES))
        ends += file.read(_LOOKED_AT_BYTES)
    parts: list[object] = [
        size_bytes,
        hashlib.sha256(ends).hexdigest(),
        speed,
        chunk_minutes,
        decoding,
    ]
    if channel is not None:
        parts.append(channel)
    return plans_folder() / f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}.json"


def read_plan(path: Path) -> Plan | None:
    """The plan in a file; None where there is none or it is damaged."""
    try:
        plan = Plan.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    mark_used(path)
    return plan


def keep_plan(path: Path, plan: Plan) -> None:
    """Write a plan; where that cannot be, the next run plans anew."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, plan.model_dump_json().encode())
