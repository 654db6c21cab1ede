"""The real Prefect UI of a finished recording, opened in Chromium."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.flows.ui import UI, WITHIN_S, prefect_ui
from tests.longscribe.browser import needs_chromium
from tests.recordings import SAMPLE

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UI]:
    folder = tmp_path_factory.mktemp("ui")
    recording = folder / "Town <script>hall.opus"
    recording.write_bytes(SAMPLE.read_bytes())
    with prefect_ui(folder) as ui:
        subprocess.run(
            [
                *(sys.executable, "-m", "flows.command_line", str(recording)),
                *("--model", "demo", "--chunk-minutes", "1", "--fresh"),
                *("--output-dir", str(folder / "out")),
            ],
            env=ui.environment,
            check=True,
            timeout=250,
            stdout=subprocess.DEVNULL,
        )
        yield ui


def test_the_run_is_named_and_its_chunks_are_on_the_timeline(seen: UI) -> None:
    [run] = seen.find("flow_runs")
    assert run["name"] == "Town <script>hall"
    chunks = [t["name"] for t in seen.find("task_runs") if t["name"].startswith("chunk")]
    assert len(chunks) >= 3
    # The timeline itself is drawn on a canvas: from these labels.
    graph = seen.graph(run["id"])
    labels = {node["label"] for _, node in graph["nodes"]}
    assert set(chunks) <= labels
    assert "chunk 01 of 04, 0:00:00-0:01:11" in labels
    assert len(graph["artifacts"]) == 5
    path = f"/v2/runs/flow-run/{run['id']}"
    seen.text(path, "Town <script>hall", "Completed", "Chunk length 60 s", "4 chunk(s)")
    seen.text(f"{path}?tab=TaskRuns", *chunks, "accelerate")
    seen.text(f"{path}?tab=Artifacts", "progress-town", "chunks-town", "summary-town")


def test_a_chunk_s_log_has_its_timing(seen: UI) -> None:
    [chunk] = [t for t in seen.find("task_runs") if t["name"].startswith("chunk 02 of 04")]
    text = seen.text(
        f"/v2/runs/task-run/{chunk['id']}", "Chunk 2 of 4 started", "Chunk 2 of 4 done"
    )
    assert "x real time" in text
    assert "peak memory" in text
    assert "Chunk 1 of 4" not in text


def test_the_artifacts_show_chunks_figures_text_and_the_picture(seen: UI) -> None:
    artifacts = {one["key"].partition("-")[0]: one["id"] for one in seen.find("artifacts")}
    assert set(artifacts) == {"progress", "chunks", "summary", "transcript", "report"}

    def path(kind: str) -> str:
        return f"/v2/artifacts/artifact/{artifacts[kind]}"

    seen.text(path("chunks"), "1 of 4", "4 of 4", "x real time", "attempts", "peak memory GB")
    text = seen.text(path("summary"), "x real time", "cores busy", "improved segments", "gaps")
    assert "Town <script>hall.opus" in text
    seen.text(path("transcript"), "We will paint the heavy report", ".report.svg")
    page = seen.browser.new_page()
    page.goto(f"{seen.url}{path('report')}", wait_until="domcontentloaded")
    page.wait_for_selector("img[src^='data:image/svg']", timeout=WITHIN_S * 1000)
    size = "document.querySelector(\"img[src^='data:image/svg']\").naturalWidth"
    page.wait_for_function(f"{size} > 0", timeout=WITHIN_S * 1000)


def test_the_address_in_the_log_leads_to_the_run(seen: UI) -> None:
    """Also that the UI of an embedded server asks its own API, whatever its port."""
    [run] = seen.find("flow_runs")
    seen.text(f"/runs/flow-run/{run['id']}", "Town <script>hall", "Completed")
