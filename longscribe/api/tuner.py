"""`longscribe.tune`: which settings are worth their time on somebody's own recording.

Excerpts from all over the recording are transcribed with every setting, and the texts compared:
with what was said where somebody knows it, else with what the most careful setting heard. The
latter says how far a text is from another, and not which of them is right.

Seconds are of recognition alone, without loading a model or finding speech. Every model is warm
before it is timed, and all settings take turns: the second round goes through them the other way
round, and of a setting's times the shortest counts.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from longscribe.api.chain import Prepared, checked_options, hear, joined, precision_here, prepare
from longscribe.api.comparison import Comparison
from longscribe.api.settings import (
    COMPARED,
    Setting,
    checked_values,
    combinations,
    most_careful,
    run_options,
)
from longscribe.api.sources import Held
from longscribe.api.tuning import Tuning, TuningRow
from longscribe.audio.chunks import Chunk
from longscribe.audio.excerpts import Excerpt, choose_excerpts, join_excerpts, spoken_s
from longscribe.audio.lanes import Lane
from longscribe.audio.recording import SAMPLE_RATE_HZ
from longscribe.audio.voice_activity import Spans, clip_spans
from longscribe.errors import OptionError, RecordingError
from longscribe.models.weights import ModelSpec, check_language, check_model, resolve_model
from longscribe.options import Precision, RunOptions
from longscribe.text.glossary import read_glossary
from longscribe.wording.catalog import translated

DEFAULT_SPEEDS: Final = ("auto", 1.0, 1.2, 1.5)
DEFAULT_PRECISIONS: Final = ("auto",)
DEFAULT_BEAM_SIZES: Final = (None, 5)
DEFAULT_SAMPLE_MINUTES: Final = 4.0
DEFAULT_WITHIN_POINTS: Final = 0.3
DEFAULT_ROUNDS: Final = 2

_MOST_MINUTES: Final = 600.0
_MOST_ROUNDS: Final = 20
_WARM_UP_S: Final = 30.0
# What settings differ in, and what not all of them can have or nobody would compare.
_NOT_HERE: Final = (*COMPARED.values(), "decoding", "task", "patience", "word_timestamps")


class Measured(NamedTuple):
    """A setting that was just timed.

    Attributes:
        row: what is known of it.
        seconds: that it took this time.
        number: of this measurement, from 1.
        total: how many there are.
    """

    row: TuningRow
    seconds: float
    number: int
    total: int


OnMeasured = Callable[[Measured], None]


def tune(
    source: Any,
    models: Sequence[str] | str = ("turbo",),
    *,
    speeds: Sequence[Any] | str = DEFAULT_SPEEDS,
    precisions: Sequence[str] | str = DEFAULT_PRECISIONS,
    beam_sizes: Sequence[Any] | str = DEFAULT_BEAM_SIZES,
    reference: str | None = None,
    sample_minutes: float = DEFAULT_SAMPLE_MINUTES,
    within_points: float = DEFAULT_WITHIN_POINTS,
    rounds: int = DEFAULT_ROUNDS,
    rate_hz: int | None = None,
    on_measured: OnMeasured | None = None,
    **options: Any,
) -> Tuning:
    """Compare settings on excerpts of a recording, in this process.

    Args:
        source: as of `longscribe.transcribe`.
        models: names or paths; each list may also be a text with commas.
        speeds: numbers, or `auto`.
        precisions: as `--precision`.
        beam_sizes: numbers, or None for greedy decoding.
        reference: what is said in the whole recording; None where nobody knows: then texts are
            compared with that of the most careful setting, which is measured too.
        sample_minutes: of speech to transcribe.
        within_points: how many percentage points worse than the best is as good.
        rounds: how often each setting is timed.
        rate_hz: of samples in an array.
        on_measured: called after every measurement.
        options: of all settings, as of `longscribe.transcribe`.

    Raises:
        OptionError: a value is out of its range, or the reference is not of this recording.
        ModelError: a model is unknown, damaged, or cannot be had.
        RecordingError: the recording cannot be read, or nobody speaks in it.
        ResourceError: the disk or the memory is too small.
    """
    tuner = Tuner(
        source,
        dict(zip(COMPARED, (models, speeds, precisions, beam_sizes), strict=True)),
        reference=reference,
        sample_minutes=sample_minutes,
        within_points=within_points,
        rounds=rounds,
        rate_hz=rate_hz,
        options=options,
    )
    for measured in tuner.measure():
        if on_measured:
            on_measured(measured)
    return tuner.tuning()


class Tuner:
    """A recording and the settings to compare on it; what is measured so far.

    Attributes:
        duration_s: of the recording.
        excerpts: that are transcribed, in seconds of the recording.
        excerpt_speech_s: of speech in them.
        settings: all, in the order of the first round.
    """

    def __init__(
        self,
        source: Any,
        lists: dict[str, Sequence[Any] | str],
        *,
        reference: str | None,
        sample_minutes: float,
        within_points: float,
        rounds: int,
        rate_hz: int | None,
        options: dict[str, Any],
    ) -> None:
        """Check everything, cheap checks first; then choose the excerpts.

        Args:
            source: of the recording.
            lists: values to compare, by the names of `COMPARED`.
            reference: what is said in it, or None.
            sample_minutes: of speech to transcribe.
            within_points: how much worse than the best is as good.
            rounds: how often each setting is timed.
            rate_hz: of samples in an array.
            options: of all settings.

        Raises:
            as `tune`.
        """
        values = {name: checked_values(name, given) for name, given in lists.items()}
        self._within_points = _in_range("within", within_points, 0.0, 100.0)
        self._rounds = int(_in_range("rounds", rounds, 1, _MOST_ROUNDS))
        wanted_s = 60.0 * _in_range("sample-minutes", sample_minutes, 0.1, _MOST_MINUTES)
        if reference is not None and not reference.strip():
            raise OptionError(
                translated("--reference: it is empty; give the text of the whole recording.")
            )
        self._base = checked_options(values["models"][0], options, without=_NOT_HERE)
        self._glossary = read_glossary(self._base.glossary)
        for setting in _settings(values):
            run_options(self._base, setting)
        for model in values["models"]:
            check_model(model, self._base.model_dir)
        held = Held(source, rate_hz, self._base.audio_track_number)
        asked = (self._with(precision=precision) for precision in values["precisions"])
        values["precisions"] = list(dict.fromkeys(map(precision_here, asked)))
        whole = self._choose(held, wanted_s)
        self._specs = {name: self._spec(name) for name in values["models"]}
        self.settings = _settings(values)
        careful = most_careful(self.settings, max(self._specs, key=self._weights))
        self._yardstick = careful if reference is None else None
        if self._yardstick or careful in self.settings:
            self.settings.insert(0, careful)
        # Those on the same network follow each other.
        groups = list(dict.fromkeys(map(_network, self.settings)))
        by_network = sorted(dict.fromkeys(self.settings), key=lambda s: groups.index(_network(s)))
        self.settings = by_network
        shares = [spoken_s(whole, (Excerpt(0.0, one.end_s),)) for one in self.excerpts]
        shares = [share / self._speech_s for share in shares]
        self._comparison = Comparison(self._places, shares, reference)
        self._seconds: dict[Setting, list[float]] = {}
        self._prepared: dict[float | str, Prepared] = {}

    def measure(self) -> Iterator[Measured]:
        """Do setting after setting, round after round; each of them counts at once.

        Raises:
            OptionError: the reference is not of this recording.
            RecordingError: no word is heard in it.
        """
        warm: tuple[str, Precision] | None = None
        number = 0
        for turn in range(self._rounds):
            for setting in self.settings[:: -1 if turn % 2 else 1]:
                options = run_options(self._base, setting)
                prepared, spec = self._at(options), self._specs[setting.model]
                if warm != _network(setting):
                    deque(hear([_beginning(prepared.chunks[0])], spec, options), maxlen=0)
                    warm = _network(setting)
                results = list(hear(prepared.chunks, spec, options))
                if turn == 0:
                    heard = joined(self._name, prepared, results, self._glossary, options)
                    self._comparison.add(setting, heard)
                seconds = sum(result.seconds - result.load_s for result in results)
                self._seconds.setdefault(setting, []).append(seconds)
                number += 1
                total = self._rounds * len(self.settings)
                yield Measured(self._row(setting), seconds, number, total)

    @property
    def has_rows(self) -> bool:
        """Whether anything is measured."""
        return bool(self._seconds)

    def tuning(self) -> Tuning:
        """What there is so far; something must be measured."""
        rows = sorted(map(self._row, self._seconds), key=lambda row: row.seconds)
        return Tuning(
            recording=self._name,
            duration_s=self.duration_s,
            speech_s=self._speech_s,
            excerpts=self.excerpts,
            excerpt_speech_s=self.excerpt_speech_s,
            language=self._comparison.language,
            yardstick=self._yardstick,
            within_points=self._within_points,
            rows=tuple(rows),
            settings=len(self.settings),
        )

    def _choose(self, held: Held, wanted_s: float) -> Spans:
        """Choose the excerpts, and put them together as a recording; all speech there is."""
        whole = prepare([Lane(held.recording)], self._with(speed=1.0), held.folder)
        if not len(whole.speech):
            raise RecordingError(
                translated("nobody speaks in {path}, so there is nothing to compare.").format(
                    path=repr(held.name)
                )
            )
        self._name = held.name
        self.duration_s = whole.audio.original_duration_s + whole.audio.missing_s
        self.excerpts = choose_excerpts(whole.speech, wanted_s)
        self._speech_s = spoken_s(whole.speech, (Excerpt(0.0, self.duration_s),))
        self.excerpt_speech_s = spoken_s(whole.speech, self.excerpts)
        samples, self._places = join_excerpts(whole.audio, self.excerpts)
        self._held = Held(samples, SAMPLE_RATE_HZ)
        return whole.speech

    def _at(self, options: RunOptions) -> Prepared:
        """The excerpts at a speed, prepared once."""
        if options.speed not in self._prepared:
            folder = self._held.folder / f"{options.speed}x"
            folder.mkdir()
            self._prepared[options.speed] = prepare([Lane(self._held.recording)], options, folder)
        return self._prepared[options.speed]

    def _row(self, setting: Setting) -> TuningRow:
        seconds = self._seconds[setting]
        errors = self._comparison.errors(setting)
        whole_s = min(seconds) * self._speech_s / self.excerpt_speech_s
        return TuningRow(
            setting=setting,
            seconds=min(seconds),
            slowest_seconds=max(seconds),
            rounds=len(seconds),
            whole_recording_s=whole_s,
            x_real_time=self.duration_s / whole_s,
            **errors._asdict(),
        )

    def _with(self, **values: Any) -> RunOptions:
        return self._base.model_copy(update=values)

    def _spec(self, model: str) -> ModelSpec:
        spec = resolve_model(model, self._base.model_dir)
        check_language(spec, self._base.language)
        return spec

    def _weights(self, model: str) -> int:
        """How large a model is, as far as it matters which is the largest."""
        dims = self._specs[model].dims
        layers = dims.n_audio_layer * dims.n_audio_state**2
        return layers + dims.n_text_layer * dims.n_text_state**2


def _settings(values: dict[str, list[Any]]) -> list[Setting]:
    return combinations(*(values[name] for name in COMPARED))


def _network(setting: Setting) -> tuple[str, Precision]:
    return setting.model, setting.precision


def _beginning(chunk: Chunk) -> Chunk:
    """The first window or two of a chunk, at one tempo."""
    length_s = min(_WARM_UP_S, chunk.duration_s)
    sound = clip_spans(np.asarray(chunk.sound, np.float64).reshape(-1, 2), 0.0, length_s)
    return chunk.model_copy(
        update={
            "stop_sample": chunk.start_sample + round(length_s * SAMPLE_RATE_HZ),
            "sound": tuple((start_s, end_s) for start_s, end_s in sound.tolist()),
            "own_tempo": None,
        }
    )


def _in_range(option: str, given: float, least: float, most: float) -> float:
    if not least <= given <= most:  # as false for what is no number
        raise OptionError(
            translated("--{option}: {given:g} is not from {least:g} to {most:g}.").format(
                option=option, given=given, least=least, most=most
            )
        )
    return given
