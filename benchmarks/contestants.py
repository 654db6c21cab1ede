"""Who takes part in the comparison of speed, and with which settings.

Every program gets the language and all cores. Text of the window before is given to none: the demo
model was hardly trained on such prompts and runs into loops with them (28 % word error rate instead
of 2 %), which would cost the programs that use them their speed too.
"""

import shlex
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

Program = Literal[
    "longscribe", "openai-whisper", "faster-whisper", "faster-whisper batched", "whisper.cpp"
]


class Contestant(NamedTuple):
    """A program with its settings."""

    name: str
    program: Program
    form: str | None = None  # of benchmarks.convert.FORMATS; None: the checkpoint itself
    settings: Mapping[str, Any] = MappingProxyType({})  # as the program calls them
    arguments: tuple[str, ...] = ()  # of the `longscribe` command
    slow: bool = False  # may be given a shorter recording

    @property
    def is_longscribe(self) -> bool:
        """Whether this is the program that the others are compared with."""
        return self.program == "longscribe"


def _sequential(beam: int, kind: str) -> Contestant:
    return Contestant(
        f"faster-whisper {kind}, beam {beam}",
        "faster-whisper",
        form=f"ct2-{kind}",
        settings={"compute_type": kind, "beam_size": beam},
        slow=True,
    )


def _batched(batch: int, beam: int, kind: str, timestamps: bool = False) -> Contestant:
    settings = {"compute_type": kind, "beam_size": beam, "batch_size": batch}
    return Contestant(
        f"faster-whisper batched {batch} {kind}, beam {beam}" + ", time stamps" * timestamps,
        "faster-whisper batched",
        form=f"ct2-{kind}",
        settings={**settings, "without_timestamps": not timestamps},
        slow=kind == "float32",
    )


_RIVALS = (
    # As `model.transcribe(path)` does it, and as the command `whisper` does it.
    Contestant("openai-whisper, greedy", "openai-whisper", slow=True),
    Contestant(
        "openai-whisper, beam 5",
        "openai-whisper",
        settings={"beam_size": 5, "best_of": 5},
        slow=True,
    ),
    *(_sequential(beam, kind) for kind in ("int8", "float32") for beam in (1, 5)),
    *(_batched(batch, 1, kind) for kind in ("int8", "float32") for batch in (8, 16)),
    _batched(8, 5, "int8"),
    # Without time stamps it gives one segment for up to 30 s; with them, sentences as the others.
    _batched(8, 1, "int8", timestamps=True),
    Contestant("whisper.cpp f16", "whisper.cpp", form="ggml-f16.bin", slow=True),
    Contestant("whisper.cpp q8_0", "whisper.cpp", form="ggml-q8_0.bin", slow=True),
)
DEFAULT_NAMES = ("longscribe", "longscribe --speed 1.0", *(rival.name for rival in _RIVALS))


def contestant_named(name: str) -> Contestant:
    """A rival by its name, or Longscribe by its command line ("longscribe --speed 1.0").

    Raises:
        ValueError: nobody has that name.
    """
    first, *arguments = shlex.split(name)
    if first == "longscribe":
        return Contestant(name, "longscribe", arguments=tuple(arguments))
    for rival in _RIVALS:
        if rival.name == name:
            return rival
    known = "; ".join(DEFAULT_NAMES)
    raise ValueError(f"no contestant {name!r}; there are: {known}")
