"""What `tune` found: a row for each setting, the one that is recommended, a picture of them."""

from typing import Final

from pydantic import BaseModel, ConfigDict

from longscribe.api.settings import Setting
from longscribe.audio.excerpts import Excerpt
from longscribe.outputs.plot.scatter import Point, Scatter, scatter
from longscribe.wording.catalog import translated

_FROZEN: Final = ConfigDict(frozen=True)


class TuningRow(BaseModel):
    """A setting, and what came of it.

    Attributes:
        setting: the options.
        seconds: of recognition over all excerpts, in the fastest round.
        slowest_seconds: the same in the slowest round.
        rounds: how often it was timed.
        whole_recording_s: about how long the whole recording would take so, by its speech.
        x_real_time: seconds of the recording in one of these.
        words: compared; characters in scripts without spaces.
        substituted: words that are others here.
        lost: words that are missing here.
        invented: words that are here only.
    """

    model_config = _FROZEN

    setting: Setting
    seconds: float
    slowest_seconds: float
    rounds: int
    whole_recording_s: float
    x_real_time: float
    words: int
    substituted: int
    lost: int
    invented: int

    @property
    def disagreement_percent(self) -> float:
        """Word errors against the reference, or against the most careful setting."""
        return 100.0 * (self.substituted + self.lost + self.invented) / max(1, self.words)


class Tuning(BaseModel):
    """What settings cost in time, and how far apart their texts are.

    Attributes:
        recording: its name.
        duration_s: of it.
        speech_s: of speech in it.
        excerpts: what was transcribed, in seconds of the recording.
        excerpt_speech_s: of speech in those.
        language: that most of it is in.
        yardstick: the setting that the others are compared with; None where the words are known.
        within_points: how much worse than the best is as good.
        rows: the settings that were measured, the fastest first.
        settings: how many there were to measure.
    """

    model_config = _FROZEN

    recording: str
    duration_s: float
    speech_s: float
    excerpts: tuple[Excerpt, ...]
    excerpt_speech_s: float
    language: str
    yardstick: Setting | None
    within_points: float
    rows: tuple[TuningRow, ...]
    settings: int

    @property
    def best(self) -> TuningRow:
        """The one nearest to the words; not the yardstick, whose zero says nothing."""
        others = [row for row in self.rows if row.setting != self.yardstick]
        return min(others or self.rows, key=lambda row: row.disagreement_percent)

    @property
    def recommended(self) -> TuningRow:
        """The fastest one that is as good as the best."""
        limit = self.best.disagreement_percent + self.within_points + 1e-9
        return next(row for row in self.rows if row.disagreement_percent <= limit)

    @property
    def words(self) -> int:
        """That were compared."""
        return self.rows[0].words

    def plot(self) -> str:
        """Time against disagreement, as SVG."""
        models = list(dict.fromkeys(row.setting.model for row in self.rows))
        recommended = self.recommended
        points = tuple(
            Point(
                x=row.seconds,
                y=row.disagreement_percent,
                group=row.setting.model,
                label=row.setting.label if len(models) > 1 else row.setting.label_beside_model,
                is_marked=row is recommended,
            )
            for row in self.rows
        )
        return scatter(
            Scatter(
                title=self.recording,
                subtitle=translated(
                    "{minutes:.1f} minutes of speech from {places} place(s), {words} words"
                ).format(
                    minutes=self.excerpt_speech_s / 60.0,
                    places=len(self.excerpts),
                    words=self.words,
                ),
                x_title=translated("seconds of recognition"),
                y_title=self.compared_with,
                mark=translated("recommended"),
                points=points,
            )
        )

    @property
    def compared_with(self) -> str:
        """What the percentages are of."""
        if self.yardstick is None:
            return translated("% word errors against the reference")
        return translated("% words otherwise than by {setting}").format(
            setting=self.yardstick.label
        )

    def _repr_html_(self) -> str:
        """The plot, for notebooks."""
        return self.plot()
