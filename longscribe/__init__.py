"""Long recordings to transcripts, on people's own machines.

`longscribe.transcribe("meeting.m4a", model="turbo")` does it in this process, and
`longscribe.tune("meeting.m4a")` says which options are worth their time on it. The flow in
longscribe/flows/ does it as a Prefect workflow: on a pool of workers, resumed after any crash.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from longscribe.api.transcription import HeardSegment, Transcription, stream, transcribe
    from longscribe.api.tuner import tune
    from longscribe.api.tuning import Tuning, TuningRow
    from longscribe.capacity.plan import Plan, plan
    from longscribe.errors import (
        InputError,
        LongscribeError,
        ModelError,
        OptionError,
        OutputError,
        RecordingError,
        ResourceError,
        ServerError,
        TranscriptionError,
    )
    from longscribe.transcript import Segment, Transcript, Word

    __version__: str

_PLACES = {
    "longscribe.api.transcription": ("HeardSegment", "Transcription", "stream", "transcribe"),
    "longscribe.api.tuner": ("tune",),
    "longscribe.api.tuning": ("Tuning", "TuningRow"),
    "longscribe.capacity.plan": ("Plan", "plan"),
    "longscribe.errors": (
        *("InputError", "LongscribeError", "ModelError", "OptionError", "OutputError"),
        *("RecordingError", "ResourceError", "ServerError", "TranscriptionError"),
    ),
    "longscribe.transcript": ("Segment", "Transcript", "Word"),
}

__all__ = [
    "HeardSegment",
    "InputError",
    "LongscribeError",
    "ModelError",
    "OptionError",
    "OutputError",
    "Plan",
    "RecordingError",
    "ResourceError",
    "Segment",
    "ServerError",
    "Transcript",
    "Transcription",
    "TranscriptionError",
    "Tuning",
    "TuningRow",
    "Word",
    "plan",
    "stream",
    "transcribe",
    "tune",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for, and nothing before: the command line starts without most of it."""
    import importlib

    if name == "__version__":
        from importlib import metadata

        return metadata.version("longscribe")
    for module, names in _PLACES.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'longscribe' has no attribute {name!r}")
