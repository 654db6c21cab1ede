"""The real Prefect UI of a finished recording, opened in Chromium, and the files it wrote.

Its name and its glossary try to run a script in whoever shows them.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Error, Page

from longscribe.options import FORMATS
from tests.flows.ui import UI, WITHIN_S, prefect_ui
from tests.longscribe.browser import needs_chromium
from tests.recordings import SYNTHETIC

pytestmark = [needs_chromium, pytest.mark.timeout(600)]
NAME = "Town <script>hall<img src=x onerror=hacked=1>"  # a file's name holds no slash
WORD = "<script>hacked=2</script><img src=x onerror=hacked=3>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ui")


@pytest.fixture(scope="module")
def seen(folder: Path, prefect_home: Callable[[Path], Path]) -> Iterator[UI]:
    recording = folder / f"{NAME}.opus"
    recording.write_bytes(SYNTHETIC.read_bytes())
    prefect_home(folder / "home")
    with prefect_ui(folder) as ui:
        subprocess.run(
            [
                *(sys.executable, "-m", "longscribe.flows.command_line", str(recording)),
                *("--model", "demo", "--chunk-minutes", "1", "--fresh"),
                *("--output-dir", str(folder / "out"), "--formats", "all"),
                *("--glossary", f"report => {WORD}report"),
            ],
            env=ui.environment,
            check=True,
            timeout=400,
            stdout=subprocess.DEVNULL,
        )
        yield ui


def test_the_run_is_named_and_its_chunks_are_on_the_timeline(seen: UI) -> None:
    [run] = seen.find("flow_runs")
    assert run["name"] == NAME
    chunks = [t["name"] for t in seen.find("task_runs") if t["name"].startswith("chunk")]
    assert len(chunks) >= 3
    # The timeline itself is drawn on a canvas: from these labels.
    graph = seen.graph(run["id"])
    labels = {node["label"] for _, node in graph["nodes"]}
    assert set(chunks) <= labels
    assert "chunk 01 of 04, 0:00:00-0:01:11" in labels
    assert {"split", "merge", "postprocess", "write"} <= labels
    assert len(graph["artifacts"]) == 5
    path = f"/v2/runs/flow-run/{run['id']}"
    seen.text(path, NAME, "Completed", "Chunk length 60 s", "4 chunk(s)")
    seen.text(f"{path}?tab=TaskRuns", *chunks, "accelerate")
    seen.text(f"{path}?tab=Artifacts", "progress-town", "chunks-town", "summary-town")


def test_a_chunk_s_log_has_its_timing(seen: UI) -> None:
    [chunk] = [t for t in seen.find("task_runs") if t["name"].startswith("chunk 02 of 04")]
    text = seen.text(
        f"/v2/runs/task-run/{chunk['id']}", "Chunk 2 of 4 started", "Chunk 2 of 4 done", " at most"
    )
    assert "x real time" in text
    assert "Chunk 1 of 4" not in text


def test_the_artifacts_show_chunks_figures_text_and_the_picture(seen: UI) -> None:
    artifacts = {one["key"].partition("-")[0]: one["id"] for one in seen.find("artifacts")}
    assert set(artifacts) == {"progress", "chunks", "summary", "transcript", "report"}

    def path(kind: str) -> str:
        return f"/v2/artifacts/artifact/{artifacts[kind]}"

    seen.text(path("chunks"), "1 of 4", "4 of 4", "x real time", "attempts", "peak memory GB")
    # All of it is waited for: at first the UI may show Markdown as it came.
    seen.text(
        path("summary"), f"{NAME}.opus", "x real time", "cores busy", "improved segments", "gaps"
    )
    seen.text(path("transcript"), f"We will paint the heavy {WORD}report", ".report.svg")
    page = seen.context.new_page()
    page.goto(f"{seen.url}{path('report')}", wait_until="domcontentloaded")
    page.wait_for_selector("img[src^='data:image/svg']", timeout=WITHIN_S * 1000)
    size = "document.querySelector(\"img[src^='data:image/svg']\").naturalWidth"
    page.wait_for_function(f"{size} > 0", timeout=WITHIN_S * 1000)


def test_the_address_in_the_log_leads_to_the_run(seen: UI) -> None:
    """Also that the UI of an embedded server asks its own API, whatever its port."""
    [run] = seen.find("flow_runs")
    seen.text(f"/runs/flow-run/{run['id']}", NAME, "Completed")


def test_nothing_in_a_name_or_a_text_runs_in_the_ui(seen: UI) -> None:
    [run] = seen.find("flow_runs")
    shown = {f"/v2/runs/flow-run/{run['id']}": NAME, "/v2/runs": NAME}
    for one in seen.find("artifacts"):
        # The table of chunks and the picture's own page name the recording in what stands above.
        word = WORD if one["key"].startswith("transcript-") else NAME
        shown[f"/v2/artifacts/artifact/{one['id']}"] = word
    assert len(shown) == 7
    pages = [seen.open(path, words) for path, words in shown.items()]
    pages[-1].wait_for_timeout(1000)
    for page in pages:
        stays_quiet(page)


def test_nothing_in_a_name_or_a_text_runs_in_any_file(seen: UI, folder: Path) -> None:
    files = sorted((folder / "out" / NAME).iterdir())
    assert len(files) == len(FORMATS)
    shown = set()
    for file in files:
        page = seen.context.new_page()
        with suppress(Error):  # what the browser does not show it saves
            page.goto(file.as_uri())
            shown.add(file.suffix)
        stays_quiet(page)
    assert {".html", ".svg", ".txt"} <= shown
    said = json.loads((folder / "out" / NAME / f"{NAME}.json").read_text(encoding="utf-8"))
    assert f"heavy {WORD}report" in said["text"]


def stays_quiet(page: Page) -> None:
    """Nothing that was said has become an element, let alone run."""
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("document.querySelectorAll('[onerror], [src=x]').length") == 0
    page.close()
