"""Who takes part in the comparisons, and with which settings.

Every program gets all cores. In the comparison of speed text of the window before is given to none:
the demo model was hardly trained on such prompts and runs into loops with them (28 % word error
rate instead of 2 %), which would cost the programs that use them their speed too. On real speech,
with real weights, every program has its own defaults.
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
    settings = {"compute_type": kind, "beam_size": beam, "condition_on_previous_text": False}
    return Contestant(
        f"faster-whisper {kind}, beam {beam}",
        "faster-whisper",
        form=f"ct2-{kind}",
        settings=settings,
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
    Contestant(
        "openai-whisper, greedy",
        "openai-whisper",
        settings={"condition_on_previous_text": False},
        slow=True,
    ),
    Contestant(
        "openai-whisper, beam 5",
        "openai-whisper",
        settings={"beam_size": 5, "best_of": 5, "condition_on_previous_text": False},
        slow=True,
    ),
    *(_sequential(beam, kind) for kind in ("int8", "float32") for beam in (1, 5)),
    *(_batched(batch, 1, kind) for kind in ("int8", "float32") for batch in (8, 16)),
    _batched(8, 5, "int8"),
    # Without time stamps it gives one segment for up to 30 s; with them, sentences as the others.
    _batched(8, 1, "int8", timestamps=True),
    *(
        # No room for text of the window before.
        Contestant(
            f"whisper.cpp {kind}",
            "whisper.cpp",
            form=f"ggml-{kind}.bin",
            settings={"n_max_text_ctx": 0},
            slow=True,
        )
        for kind in ("f16", "q8_0")
    ),
)
DEFAULT_NAMES = ("longscribe", "longscribe --speed 1.0", *(rival.name for rival in _RIVALS))


def _whisper_cpp(kind: str, beam: int) -> Contestant:
    search = {"beam_search": {"beam_size": beam, "patience": -1.0}} if beam > 1 else {}
    name = f"whisper.cpp {kind}, " + (f"beam {beam}" if beam > 1 else "greedy") + _AS_CALLED
    return Contestant(name, "whisper.cpp", form=f"ggml-{kind}.bin", settings=search)


_AS_CALLED = ", its defaults"  # text of the window before, where the program uses it
OPENAI_WHISPER_AS_CALLED = f"openai-whisper, greedy{_AS_CALLED}"
FASTER_WHISPER_FASTEST = "faster-whisper batched 8 int8, beam 1"
# The most interesting first, as a run on every recording takes hours.
_REAL_RIVALS = (
    _batched(8, 1, "int8"),
    _batched(8, 5, "int8"),
    Contestant(OPENAI_WHISPER_AS_CALLED, "openai-whisper"),
    Contestant(
        f"faster-whisper int8, beam 5{_AS_CALLED}",
        "faster-whisper",
        form="ct2-int8",
        settings={"compute_type": "int8", "beam_size": 5},
    ),
    _batched(8, 1, "int8", timestamps=True),
    _batched(8, 5, "int8", timestamps=True),
    Contestant(
        f"openai-whisper, beam 5{_AS_CALLED}",
        "openai-whisper",
        settings={"beam_size": 5, "best_of": 5},
    ),
    *(_whisper_cpp("f16", beam) for beam in (1, 5)),
    *(_batched(16, beam, "int8", stamps) for stamps in (False, True) for beam in (1, 5)),
)
REAL_NAMES = (
    "longscribe",
    "longscribe --speed 1.0",
    *(rival.name for rival in _REAL_RIVALS[:3]),
    "longscribe --speed 1.0 --precision float32",
    "longscribe --speed 1.0 --beam_size 5",
    "longscribe --speed 1.0 --decoding sequential",
    *(rival.name for rival in _REAL_RIVALS[3:]),
)


def contestant_named(name: str) -> Contestant:
    """A rival by its name, or Longscribe by its command line ("longscribe --speed 1.0").

    Raises:
        ValueError: nobody has that name.
    """
    first, *arguments = shlex.split(name)
    if first == "longscribe":
        return Contestant(name, "longscribe", arguments=tuple(arguments))
    for rival in (*_RIVALS, *_REAL_RIVALS):
        if rival.name == name:
            return rival
    known = "; ".join(dict.fromkeys((*DEFAULT_NAMES, *REAL_NAMES)))
    raise ValueError(f"no contestant {name!r}; there are: {known}")
