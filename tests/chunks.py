"""Chunks made for tests."""

from pathlib import Path
from typing import Any

from longscribe.audio.chunks import Chunk
from tests.sounds import RATE_HZ


def chunk(index: int = 0, **values: Any) -> Chunk:
    """One second, all of it sound, of a recording that is nowhere."""
    return Chunk(
        **{
            "index": index,
            "count": 1,
            "pcm_path": Path("none.pcm"),
            "start_sample": 0,
            "stop_sample": RATE_HZ,
            "original_start_s": 0.0,
            "original_end_s": 1.0,
            "sha256": "ab" * 32,
            "cut_in_pause": True,
            "sound": ((0.0, 1.0),),
            **values,
        }
    )
