"""The options one by one, as the command, the form and the docs show them."""

from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from longscribe.options.choices import Auto
from longscribe.options.presentation import CommandLine, Docs
from longscribe.options.run import RunOptions

# In the help of the command, in the form and in the docs.
# fmt: off
ORDER: Final = (
    "recording",
    "model", "language", "task", "decoding", "precision", "device",
    "speed", "chunk_minutes",
    "workers", "threads_per_worker", "memory_per_worker", "batch_size",
    "runner", "address",
    "output_dir", "formats", "page_audio",
    "max_line_chars", "max_lines", "max_chars_per_s", "min_gap_s", "speaker_marks",
    "speakers", "speaker_names", "together", "known_voices", "diarization_model",
    "hotwords", "glossary", "verbatim", "initial_prompt",
    "model_dir", "vad", "audio_track",
    "fresh", "chunk_timeout_minutes", "keep_days", "keep_size",
    "temperature", "temperature_increment_on_fallback", "best_of", "beam_size", "patience",
    "length_penalty", "suppress_tokens", "condition_on_previous_text", "word_timestamps",
    "compression_ratio_threshold", "logprob_threshold", "no_speech_threshold",
    "ui_language",
)
# fmt: on


@dataclass(frozen=True, kw_only=True)
class Option:
    """A field of `RunOptions`, taken apart.

    Attributes:
        name: of the field.
        description: what it does, in Markdown without links.
        command_line: how the command has it.
        docs: what the docs say besides.
        is_required: whether it has no default.
        default: its default; None for one that is required.
        annotation: its type with the limits.
        type: of a value, or of each in a list: str, int, float or bool.
        choices: the values there are; empty for any.
        is_list: whether it takes several.
        takes_auto: whether `auto` stands for a number.
        takes_none: whether None stands for no number.
        at_least: the smallest number; None for any.
        above: a number that all must be above; None for any.
        at_most: the largest number; None for any.
    """

    name: str
    description: str
    command_line: CommandLine
    docs: Docs
    is_required: bool
    default: Any
    annotation: Any
    type: type
    choices: tuple[str, ...]
    is_list: bool
    takes_auto: bool
    takes_none: bool
    at_least: float | None
    above: float | None
    at_most: float | None

    @property
    def spelled(self) -> str:
        """Its name on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def has_limits(self) -> bool:
        """Whether there are numbers that it does not take."""
        return (self.at_least, self.above, self.at_most) != (None, None, None)

    @property
    def values(self) -> str:
        """What may be given, in words, in Markdown: `1 to 256, or auto`."""
        if self.docs.values:
            return self.docs.values
        if self.choices:
            words = ", ".join(f"`{choice}`" for choice in self.choices)
        elif self.type is bool:
            words = "yes or no" if self.command_line.is_flag else "`True`, `False`"
        else:
            words = "text" if self.type is str else self._numbers
        words = f"list of {words}" if self.is_list else words
        return words + ", or `auto`" * self.takes_auto + ", or none" * self.takes_none

    @property
    def _numbers(self) -> str:
        unit = self.docs.unit or ("number" if self.type is float else "")
        if self.above is not None:
            limits = [f"{unit} above {self.above:g}"]
            limits += [] if self.at_most is None else [f"to {self.at_most:g}"]
        else:
            limits = [unit] if unit else []
            if self.at_least is not None:
                end = "or more" if self.at_most is None else f"to {self.at_most:g}"
                limits.append(f"{self.at_least:g} {end}")
        return ", ".join(limits)


def _option(name: str, field: FieldInfo) -> Option:
    metadata = field.metadata
    limits = [part for part in metadata if not isinstance(part, CommandLine | Docs)]
    annotation = Annotated[field.annotation, *limits] if limits else field.annotation
    is_union = get_origin(field.annotation) in (Union, UnionType)
    kinds = get_args(field.annotation) if is_union else (field.annotation,)
    (kind,) = (kind for kind in kinds if not is_union or kind not in (Auto, NoneType))
    if get_origin(kind) is Annotated:
        kind, *fields = get_args(kind)
        limits += [limit for part in fields for limit in part.metadata]
    is_list = get_origin(kind) is tuple
    if is_list:
        kind, _ = get_args(kind)
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    return Option(
        name=name,
        description=field.description or "",
        command_line=next((p for p in metadata if isinstance(p, CommandLine)), CommandLine()),
        docs=next((part for part in metadata if isinstance(part, Docs)), Docs()),
        is_required=field.is_required(),
        default=None if field.is_required() else field.default,
        annotation=annotation,
        type=str if choices else kind,
        choices=choices,
        is_list=is_list,
        takes_auto=is_union and Auto in kinds,
        takes_none=NoneType in kinds,
        at_least=_limit(limits, "ge"),
        above=_limit(limits, "gt"),
        at_most=_limit(limits, "le"),
    )


def _limit(limits: list[Any], kind: str) -> float | None:
    return next((getattr(limit, kind) for limit in limits if hasattr(limit, kind)), None)


OPTIONS: Final = tuple(_option(name, RunOptions.model_fields[name]) for name in ORDER)
