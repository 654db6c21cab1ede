"""The real Prefect UI of a recording that is under way, opened in Chromium."""

import io
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pytest

from tests.flows.ui import UI, prefect_ui, wait_for
from tests.longscribe.browser import needs_chromium
from tests.recordings import SYNTHETIC, beginning
from tests.sounds import write_sound

pytestmark = [needs_chromium, pytest.mark.timeout(600)]
_REPEATS = 8  # of the sample: 32 minutes, longer than anybody looks on
_END_WITHIN_S = 60.0


class Running(NamedTuple):
    """A run of a recording that is under way, and the UI that shows it."""

    ui: UI
    run: dict[str, Any]
    folder: Path

    @property
    def path(self) -> str:
        return f"/v2/runs/flow-run/{self.run['id']}"

    def chunks(self, state: str) -> list[dict[str, Any]]:
        runs = self.ui.find("task_runs")
        return [r for r in runs if r["name"].startswith("chunk ") and r["state_type"] == state]

    def is_under_way(self) -> bool:
        [run] = self.ui.find("flow_runs")
        return bool(run["state_type"] == "RUNNING")


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, prefect_home: Callable[[Path], Path]
) -> Iterator[Running]:
    """Two workers of one thread each, in the slow way of decoding, with two chunks behind them."""
    folder = tmp_path_factory.mktemp("running")
    recording = write_sound(
        folder / "Town hall.flac", np.tile(beginning(SYNTHETIC, 240.0), _REPEATS), "flac"
    )
    prefect_home(folder / "home")
    with prefect_ui(folder) as ui:
        command = subprocess.Popen(
            [
                *(sys.executable, "-m", "longscribe.flows.command_line", str(recording)),
                *("--model", "demo", "--decoding", "sequential", "--beam_size", "5"),
                *("--workers", "2", "--threads-per-worker", "1"),
                *("--chunk-minutes", "1", "--fresh", "--output-dir", str(folder / "out")),
            ],
            env=ui.environment,
            stdout=subprocess.DEVNULL,
        )
        try:
            wait_for(lambda: ui.find("flow_runs"), "the run")
            [run] = ui.find("flow_runs")
            seen = Running(ui, run, folder)
            wait_for(lambda: len(seen.chunks("COMPLETED")) >= 2, "two finished chunks")
            yield seen
        finally:
            command.terminate()  # not by SIGINT: a script's background jobs ignore it
            try:
                command.wait(_END_WITHIN_S)
            finally:
                command.kill()


def test_chunks_are_side_by_side_on_the_timeline(running: Running) -> None:
    """The bars' own names and spans are what the canvas is drawn from."""
    page = running.ui.open(running.path, "Town hall", "Running")

    def shown() -> list[dict[str, Any]] | None:
        """The bars of chunks, in a moment at which two are under way."""
        nodes = [node for _, node in running.ui.graph(running.run["id"])["nodes"]]
        chunks = [node for node in nodes if "chunk " in node["label"]]
        under_way = [node for node in chunks if node["state_type"] == "RUNNING"]
        return chunks if len(under_way) >= 2 else None

    nodes = wait_for(shown, "two chunks under way at once")
    under_way = [node["label"] for node in nodes if node["state_type"] == "RUNNING"]
    over = [node["label"] for node in nodes if node["state_type"] == "COMPLETED"]
    assert len(over) >= 2
    for label in [*under_way, *over]:
        assert re.fullmatch(r"chunk \d\d of \d\d, \d:\d\d:\d\d-\d:\d\d:\d\d", label)
    spans = [(_moment(n["start_time"]), _moment(n["end_time"])) for n in nodes if n["end_time"]]
    assert any(a < d and c < b for (a, b), (c, d) in combinations(spans, 2))
    timeline = page.locator("canvas").first
    wait_for(lambda: _bars(timeline.screenshot()) >= 4, "bars on the canvas")
    page.screenshot(path=str(running.folder / "timeline.png"))
    assert running.is_under_way()


def test_the_progress_artifact_has_the_time_left(running: Running) -> None:
    [artifact] = [a for a in running.ui.find("artifacts") if a["key"].startswith("progress-")]
    text = running.ui.text(
        f"/v2/artifacts/artifact/{artifact['id']}", "Town hall", "x real time", " left", "for 0:"
    )
    told = re.search(r"(\d+) of (\d+) chunks after (\S+), about (\d:\d\d:\d\d) left", text)
    assert told, text
    assert 2 <= int(told[1]) < int(told[2])
    assert told[4] > "0:00:00"
    at_it = r"chunk \d+ of \d+, \d:\d\d:\d\d-\d:\d\d:\d\d, for \d:\d\d:\d\d"
    assert re.search(rf"worker \d+: {at_it}.*; CPU \d+ %, memory \d\.\d\d GB", text), text
    assert running.is_under_way()


def test_a_finished_chunk_has_its_own_log_with_its_timing(running: Running) -> None:
    [chunk, *_] = running.chunks("COMPLETED")
    number = int(chunk["name"].split()[1])
    text = running.ui.text(
        f"/v2/runs/task-run/{chunk['id']}", f"Chunk {number} of ", " done", " at most"
    )
    assert re.search(
        rf"Chunk {number} of \d+ done: .*\d segments, [\d.]+ s, [\d.]+ x real time", text
    )
    assert set(re.findall(r"Chunk (\d+) of", text)) == {str(number)}
    assert running.is_under_way()


def _bars(picture: bytes) -> int:
    """Rows of coloured bars in a picture: bands as wide as a bar in which little is grey."""
    with av.open(io.BytesIO(picture)) as png:
        pixels = next(png.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    coloured = (np.ptp(pixels, axis=2) > 80).sum(axis=1) >= 24
    return int(np.count_nonzero(np.diff(coloured.astype(int)) == 1))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
