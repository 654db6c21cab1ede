import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longscribe.errors import ModelError
from longscribe.options.speakers import VoiceCount
from longscribe.speakers.community import Community, HeardPeople, people_heard
from longscribe.speakers.community_weights import CommunityWeights
from longscribe.speakers.parts import Part
from tests.longscribe.speakers.made_pyannote import Output

ANY = VoiceCount(1, 20)
RATE_HZ = 16_000


@pytest.fixture
def part(tmp_path: Path) -> Part:
    """Twelve seconds."""
    samples = np.arange(12 * RATE_HZ, dtype="<i2")
    samples.tofile(tmp_path / "a.pcm")
    return Part(index=0, count=1, pcm_path=tmp_path / "a.pcm", samples=len(samples))


class Pipeline:
    """Gives what it was told, and keeps what it was given."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self.given: dict[str, Any] = {}

    def __call__(self, file: Any, **given: Any) -> Output:
        self.given = {**file, **given}
        return self.output


def community(part: Part, voices: VoiceCount = ANY, sha256: str = "a") -> Community:
    return Community(CommunityWeights(part.pcm_path.parent, sha256), voices)


def test_people_are_numbered_as_they_are_first_heard(part: Part) -> None:
    embeddings = np.array([[0.0, 3.0], [4.0, 0.0], [np.nan, np.nan]])
    said = [(4.0, 6.0, "A"), (0.5, 5.0, "B"), (7.0, 12.5, "B"), (12.0, 12.3, "A"), (8.0, 9.0, "C")]
    heard = people_heard(Pipeline(Output(said, embeddings)), part, ANY)
    assert heard.turns == ((0.5, 5.0, 0), (4.0, 6.0, 1), (7.0, 12.0, 0), (8.0, 9.0, 2))
    assert heard.heard_embeddings().tolist() == [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    kept = HeardPeople.model_validate_json(heard.model_dump_json())
    found = community(part).diarization(
        [(part, kept.model_dump_json())], 12.0, np.array([[0.0, 12.0]])
    )
    assert found.turns == list(heard.turns)
    assert len(found.people) == 3


@pytest.mark.parametrize("embeddings", [None, np.zeros((0, 256))])
def test_nobody_is_heard(part: Part, embeddings: np.ndarray | None) -> None:
    output = Output([])
    output.speaker_embeddings = embeddings
    heard = people_heard(Pipeline(output), part, ANY)
    found = community(part).diarization([(part, heard.model_dump_json())], 12.0, np.zeros((0, 2)))
    assert (found.turns, len(found.people)) == ([], 0)
    assert community(part).diarization([], 12.0, np.zeros((0, 2))).turns == []


def test_the_pipeline_gets_all_samples_in_float32(
    part: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longscribe.speakers.community._BLOCK_SAMPLES", 100_000)
    pipeline = Pipeline(Output([]))
    people_heard(pipeline, part, ANY)
    waveform = pipeline.given["waveform"]
    assert (tuple(waveform.shape), str(waveform.dtype)) == ((1, part.samples), "torch.float32")
    assert (waveform[0] * 32768.0).numpy().astype("<i2").tolist() == list(
        np.arange(part.samples, dtype="<i2")
    )
    assert pipeline.given["sample_rate"] == RATE_HZ


@pytest.mark.parametrize(
    ("voices", "bounds"),
    [
        (ANY, {"min_speakers": 1, "max_speakers": 20}),
        (VoiceCount(2, 5), {"min_speakers": 2, "max_speakers": 5}),
        (VoiceCount(3, 3), {"num_speakers": 3}),
    ],
)
def test_how_many_there_may_be_is_said(
    part: Part, voices: VoiceCount, bounds: dict[str, int]
) -> None:
    pipeline = Pipeline(Output([]))
    people_heard(pipeline, part, voices)
    assert {name: n for name, n in pipeline.given.items() if name.endswith("speakers")} == bounds


def test_progress_is_shown_by_layers_and_then_by_a_clock(
    part: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr("longscribe.speakers.community._TICK_S", 0.01)
    counted: list[int] = []
    stages: list[int] = []

    def pipeline(file: Any, hook: Any, **_: Any) -> Output:
        torch.nn.Sequential(torch.nn.ReLU(), torch.nn.ReLU())(torch.zeros(1))
        stages.append(len(counted))
        hook("embeddings", None, file=file, total=3, completed=0)
        time.sleep(0.1)
        stages.append(len(counted))
        hook("embeddings", np.zeros(1), file=file)
        deadline_s = time.monotonic() + 60.0
        while len(counted) < stages[1] + 4 and time.monotonic() < deadline_s:
            time.sleep(0.01)
        hook("embeddings", np.zeros(1), file=file)  # not started again
        return Output([])

    people_heard(pipeline, part, ANY, lambda: counted.append(1))
    assert stages == [3, 4]
    assert len(counted) >= 8
    done = len(counted)
    torch.nn.ReLU()(torch.zeros(1))
    time.sleep(0.05)
    assert len(counted) == done


def test_what_it_says_of_itself_is_not_shown(part: Part, capsys: Any) -> None:
    import warnings

    def pipeline(*_: Any, **__: Any) -> Output:
        warnings.warn("The detected number of speakers", stacklevel=1)
        assert not logging.getLogger("lightning.pytorch.utilities").isEnabledFor(logging.INFO)
        return Output([])

    people_heard(pipeline, part, ANY)
    assert capsys.readouterr() == ("", "")


def test_the_key_is_all_that_it_depends_on(
    part: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "longscribe.speakers.community.versions_of", lambda *names: dict.fromkeys(names, "1")
    )
    key = community(part).key(part)
    assert key == community(part).key(part.model_copy(update={"index": 1}))
    np.zeros(part.samples, "<i2").tofile(tmp_path / "b.pcm")
    others = {
        community(part, VoiceCount(2, 2)).key(part),
        community(part, sha256="b").key(part),
        community(part).key(part.model_copy(update={"pcm_path": tmp_path / "b.pcm"})),
    }
    assert len(others | {key}) == 4


def test_a_recording_is_one_part_where_anybody_may_speak(part: Part) -> None:
    diarizer = community(part)
    assert diarizer.parts(part.pcm_path, part.samples, np.zeros((0, 2))) == []
    (whole,) = diarizer.parts(part.pcm_path, 36_000 * RATE_HZ, np.array([[5.0, 6.0]]))
    assert (whole.place, whole.label) == (
        "0:00:00-10:00:00",
        "voices 01 of 01, 0:00:00-10:00:00",
    )
    assert diarizer.limit_s(whole) > 36_000.0


def test_what_was_kept_is_checked(part: Part) -> None:
    diarizer = community(part)
    kept = people_heard(Pipeline(Output([(0.0, 1.0, "A")])), part, ANY).model_dump_json()
    diarizer.check(kept)
    for damaged in (kept[:-9], "{}", json.dumps({**json.loads(kept), "people": 3})):
        with pytest.raises(ValueError, match=r"HeardPeople|reshape"):
            diarizer.check(damaged)


def test_a_pipeline_that_cannot_be_loaded_is_told_in_a_sentence(part: Part) -> None:
    with pytest.raises(ModelError, match=r"^--diarization-model: .* cannot be loaded: .*\.$"):
        community(part).hear(part)
