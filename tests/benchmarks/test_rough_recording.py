from collections.abc import Iterator
from itertools import islice, pairwise

import numpy as np
import pytest

from benchmarks.recordings import RATE_HZ
from benchmarks.rough_recording import Plan, Sentence, blocks, make_plan, reference

MINUTES = 20
SEED = 5


def sentences() -> Iterator[Sentence]:
    """Tones of 1 to 4 s, at very different levels: so loud as to be told from any noise."""
    random = np.random.default_rng(1)
    for number in range(10_000):
        time_s = np.arange(round(random.uniform(1, 4) * RATE_HZ)) / RATE_HZ
        samples = np.sin(2 * np.pi * 1000 * time_s) * random.uniform(1000, 30000)
        yield Sentence({"start": 0.0, "end": 0.0, "text": str(number)}, samples.astype(np.int16))


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(sentences(), MINUTES * 60, SEED)


@pytest.fixture(scope="module")
def samples(plan: Plan) -> np.ndarray:
    return np.concatenate(list(blocks(plan, SEED)))


def level_db(samples: np.ndarray) -> float:
    return 20 * np.log10(np.sqrt(np.mean(np.square(samples / 32768))) + 1e-9)


def part(samples: np.ndarray, start_s: float, end_s: float) -> np.ndarray:
    return samples[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)]


def test_speech_is_where_the_reference_says(plan: Plan, samples: np.ndarray) -> None:
    rows = reference(plan)
    assert len(samples) == MINUTES * 60 * RATE_HZ
    assert [row["text"] for row in rows] == [str(number) for number in range(len(rows))]
    for row in rows:
        assert level_db(part(samples, row["start"], row["end"])) == pytest.approx(-24, abs=0.5)
    scenes = [(scene.start, scene.end) for scene in plan.scenes]
    for last, row in pairwise(rows):
        quiet = (last["end"], row["start"])
        if not any(start < quiet[1] and quiet[0] < end for start, end in scenes):
            assert level_db(part(samples, *quiet)) < -24 - 12


def test_half_is_speech_and_silences_are_long(plan: Plan) -> None:
    rows = reference(plan)
    gaps_s = [row["start"] - last["end"] for last, row in pairwise(rows)]
    long_s = [gap_s for gap_s in gaps_s if gap_s > 1.21]
    assert min(long_s) >= 5
    assert 60 < max(long_s) <= 120.01
    assert 0.4 < 1 - sum(long_s) / (MINUTES * 60) < 0.6


def test_noise_changes_between_stretches(plan: Plan, samples: np.ndarray) -> None:
    bounds = [0.0, *plan.changes_s, MINUTES * 60.0]
    levels = []
    for start_s, end_s in pairwise(bounds):
        inside = [p for p in plan.placed if start_s < p.start / RATE_HZ < end_s]
        pauses = [(a.stop / RATE_HZ, b.start / RATE_HZ) for a, b in pairwise(inside)]
        start_s, end_s = max(pauses, key=lambda pause: pause[1] - pause[0])
        levels.append(level_db(part(samples, start_s, end_s)))
    # A quiet room, 20 dB and 15 dB below speech.
    assert levels[:3] == pytest.approx([-66, -44, -39], abs=2)


def test_something_else_is_heard_alone(plan: Plan, samples: np.ndarray) -> None:
    assert {scene.kind for scene in plan.scenes} == {"noise", "tones"}
    for scene in plan.scenes:
        assert 8 <= scene.end - scene.start <= 40
        expected_db = {"noise": -30, "tones": -27}[scene.kind]
        assert level_db(part(samples, scene.start, scene.end)) == pytest.approx(expected_db, abs=3)
        for placed in plan.placed:
            assert scene.end <= placed.start / RATE_HZ or placed.stop / RATE_HZ <= scene.start


def test_tones_may_be_left_out(plan: Plan) -> None:
    without = make_plan(sentences(), MINUTES * 60, SEED, tones=False)
    assert without.scenes == tuple(scene for scene in plan.scenes if scene.kind == "noise")
    assert reference(without) == reference(plan)


def test_the_seed_says_all(plan: Plan, samples: np.ndarray) -> None:
    again = make_plan(sentences(), MINUTES * 60, SEED)
    assert reference(again) == reference(plan)
    assert again[2:] == plan[2:]
    first = next(blocks(again, SEED))
    assert np.array_equal(first, samples[: len(first)])
    other = make_plan(islice(sentences(), 50), 300, SEED + 1)
    assert other.placed[0].start != plan.placed[0].start
