"""The options that reach the decoder."""

import re
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from longscribe.languages import ChineseScript, chinese_script, language_code
from longscribe.options.choices import Decoding, Device, Precision, Task
from longscribe.options.presentation import CommandLine, Docs
from longscribe.wording.catalog import translatable, translated

_BEAMS_FOR_HOTWORDS: Final = 3


class DecodingOptions(BaseModel):
    """What reaches the decoder of every chunk; the names and defaults are openai-whisper's.

    Two defaults differ from `whisper.transcribe`: `condition_on_previous_text` is off, because a
    loop in one window then cannot feed the next (the most frequent complaint about long audio,
    https://github.com/openai/whisper/discussions/679), and `initial_prompt` is carried to every
    window, because a chunk starts every few minutes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    decoding: Annotated[
        Decoding,
        Field(
            description="`batched` decodes windows of speech side by side; `sequential` is "
            "`whisper.transcribe` itself, slower."
        ),
        CommandLine(
            metavar="WAY", help=translatable("or sequential, openai-whisper's.  [batched]")
        ),
    ] = "batched"
    precision: Annotated[
        Precision,
        Field(
            description="Numbers to compute with: `int8` or `float32` on a CPU, `float32`, "
            "`float16` or `bfloat16` on a GPU; `auto` is int8 where the processor can, float16 on "
            "a GPU; `sequential` computes in float32."
        ),
        CommandLine(help=translatable("int8, float32 on a CPU.  [auto]")),
    ] = "auto"
    device: Annotated[
        Device,
        Field(description="`cpu` or `cuda`; `auto` takes a GPU where there is one."),
        CommandLine(help="[auto]"),
    ] = "auto"
    language: Annotated[
        str,
        Field(
            description="Code or name of the spoken language; `auto` detects it for every window, "
            "and of several, as in `en,pt`, one is chosen for each. `zh-CN` and `zh-TW` also say "
            "how Chinese is written."
        ),
        CommandLine(names=("-l",), help=translatable("Spoken language; auto detects it.  [auto]")),
        Docs(values="code or name, or several with commas"),
    ] = "auto"
    task: Annotated[
        Task,
        Field(description="`transcribe`, or `translate` into English."),
        CommandLine(help=translatable("translate gives English.  [transcribe]")),
    ] = "transcribe"
    initial_prompt: Annotated[
        str,
        Field(description="Text that sets style and vocabulary for every window."),
        CommandLine(help=translatable("Sets style and vocabulary of all windows.")),
    ] = ""
    hotwords: Annotated[
        tuple[str, ...],
        Field(
            description="Names and terms that may be said, made likelier where they are half "
            "heard: words separated by commas, or paths of text files with one a line."
        ),
        CommandLine(metavar="WORDS|FILE", help=translatable("Names and terms that may be said.")),
        Docs(
            text="names and terms that may be said, made likelier where they are half heard "
            "([how](architecture.md#hotwords)): words separated by commas, repeatable on the "
            "command line, or a text file with one a line"
        ),
    ] = ()
    verbatim: Annotated[
        bool,
        Field(
            description="Write down hesitations and repetitions as far as the model does: `um`, "
            "`no, no, no, no`."
        ),
        CommandLine(is_flag=True, help=translatable("Hesitations and repetitions as well.")),
        Docs(
            text="write down hesitations and repetitions as far as the model does: `um`, "
            "`no, no, no, no` ([how](outputs.md#word-for-word))"
        ),
    ] = False
    temperature: Annotated[
        float, Field(ge=0.0, le=1.0, description="First sampling temperature.")
    ] = 0.0
    temperature_increment_on_fallback: Annotated[
        Annotated[float, Field(gt=0.0, le=1.0)] | None,
        Field(description="Step to the next temperature when decoding fails; `null` for no step."),
        Docs(
            text="step to the next temperature when decoding fails; `None` on the command line, "
            "`null` over the API for no step"
        ),
    ] = 0.2
    best_of: Annotated[int, Field(ge=1, le=20, description="Candidates when sampling.")] = 5
    beam_size: Annotated[
        Annotated[int, Field(ge=1, le=20)] | None,
        Field(description="Beams at temperature zero; without it decoding is greedy."),
    ] = None
    patience: Annotated[
        Annotated[float, Field(gt=0.0, le=10.0)] | None,
        Field(description="Beam search patience; needs `beam_size`."),
    ] = None
    length_penalty: Annotated[
        Annotated[float, Field(ge=0.0, le=1.0)] | None,
        Field(description="Length penalty of candidates."),
    ] = None
    suppress_tokens: Annotated[
        str,
        Field(
            description="Ids of tokens that are never sampled; -1 stands for the non-speech "
            "symbols."
        ),
        Docs(values="token ids, with commas"),
    ] = "-1"
    condition_on_previous_text: Annotated[
        bool,
        Field(description="Give each window the text before it; needs `decoding` `sequential`."),
    ] = False
    word_timestamps: Annotated[bool, Field(description="Find the times of words.")] = False
    compression_ratio_threshold: Annotated[
        float, Field(description="Above it, text counts as repetitive and is decoded again.")
    ] = 2.4
    logprob_threshold: Annotated[
        float, Field(description="Below this average log probability, text is decoded again.")
    ] = -1.0
    no_speech_threshold: Annotated[
        float,
        Field(
            ge=0.0,
            le=1.0,
            description="Above this probability of no speech, a failed window counts as silence.",
        ),
    ] = 0.6

    @field_validator("language")
    @classmethod
    def _known_language(cls, value: str) -> str:
        asked = [part.strip() for part in value.split(",") if part.strip()]
        if not asked or any(part.lower() == "auto" for part in asked):
            return "auto"
        named: dict[str, str] = {}
        for part in asked:
            code = language_code(part)
            if code is None:
                sentence = translated(
                    "{value!r} is not a language Whisper knows; give a code like en or pt, or auto"
                )
                raise ValueError(sentence.format(value=part))
            script = chinese_script(part)
            scripted = f"{code}-{script}" if script else code
            before = named.setdefault(code, scripted)
            if script and before not in (code, scripted):
                sentence = translated(
                    "{value!r} writes one language in two ways; give one of {first} and {second}"
                )
                raise ValueError(sentence.format(value=value, first=before, second=scripted))
            if script:
                named[code] = scripted
        return ",".join(named.values())

    @field_validator("hotwords", mode="before")
    @classmethod
    def _list_of_hotwords(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("suppress_tokens")
    @classmethod
    def _token_ids(cls, value: str) -> str:
        if value and not re.fullmatch(r"\s*-?\d+(\s*,\s*-?\d+)*\s*", value):
            raise ValueError(
                translated("{value!r} is no list of token ids; write it like -1 or 50,60").format(
                    value=value
                )
            )
        return value

    @model_validator(mode="after")
    def _patience_needs_beams(self) -> "DecodingOptions":
        if self.patience is not None and self.beam_size is None:
            raise ValueError(translated("patience needs beam_size as well"))
        return self

    @model_validator(mode="after")
    def _sequential_only(self) -> "DecodingOptions":
        if self.decoding == "batched" and self.condition_on_previous_text:
            raise ValueError(
                translated(
                    "condition_on_previous_text needs --decoding sequential, as windows of a batch "
                    "are decoded at once; give --initial-prompt for style and vocabulary instead"
                )
            )
        if self.decoding == "sequential" and self.precision in ("int8", "bfloat16"):
            raise ValueError(
                translated(
                    "--precision {precision} needs --decoding batched; use auto with sequential"
                ).format(precision=self.precision)
            )
        return self

    @property
    def told_language(self) -> str | None:
        """The only language there is; None where it is to be heard."""
        possible = self.possible_languages
        return possible[0] if len(possible) == 1 else None

    @property
    def possible_languages(self) -> tuple[str, ...]:
        """Those that are to be told apart; empty for all that the model knows."""
        if self.language == "auto":
            return ()
        return tuple(part.partition("-")[0] for part in self.language.split(","))

    @property
    def chinese_scripts(self) -> dict[str, ChineseScript]:
        """How Chinese is to be written, by the language's code; `zh-HK` holds for Cantonese too."""
        parts = () if self.language == "auto" else self.language.split(",")
        scripts = {part.partition("-")[0]: chinese_script(part) for part in parts}
        asked = {code: script for code, script in scripts.items() if script}
        return {"yue": "HK", **asked} if asked.get("zh") == "HK" else asked

    @property
    def beams(self) -> int:
        """Hypotheses of a window side by side at temperature zero, in batches; 1 is greedy.

        With hotwords a few, unless a number is given: greedily a word that was begun for its bonus
        and then is not what was said leaves its beginning in the text.
        """
        return self.beam_size or (_BEAMS_FOR_HOTWORDS if self.hotwords else 1)

    @property
    def temperatures(self) -> tuple[float, ...]:
        """The temperatures tried in turn, as `whisper.transcribe.cli` builds them."""
        step = self.temperature_increment_on_fallback
        if step is None:
            return (self.temperature,)
        count = int((1.0 + 1e-6 - self.temperature) / step) + 1
        return tuple(round(self.temperature + i * step, 6) for i in range(count))
