"""One row for each recording, where hundreds of thousands are run: the same texts, no task runs."""

from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, LogFilter

from longscribe.errors import OptionError
from longscribe.flows.transcribe import transcribe
from longscribe.tasks.rows import rows_of_runs
from tests.caches import own_cache
from tests.eventually import eventually
from tests.recordings import write_beginning


def run(recording: Path, output: Path) -> Any:
    state: Any = transcribe(
        recording=str(recording),
        model="demo",
        chunk_minutes=0.5,
        workers=1,
        output_dir=str(output),
        formats=["txt"],
        return_state=True,
    )
    return state


def rows(flow_run_id: Any) -> tuple[int, list[str]]:
    """How many task runs there are, and the lines of the flow run's log."""
    ours = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
    with get_client(sync_client=True) as client:
        tasks = client.read_task_runs(flow_run_filter=ours)
        logs = client.read_logs(LogFilter(flow_run_id={"any_": [flow_run_id]}), limit=200)
    assert all(line.task_run_id is None for line in logs)
    return len(tasks), [line.message for line in logs]


def test_one_row_a_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    recording = write_beginning(tmp_path)
    monkeypatch.setenv("LONGSCRIBE_CACHE", str(own_cache(tmp_path / "kept")))
    monkeypatch.setenv("LONGSCRIBE_ROWS", "recording")
    states = [run(recording, tmp_path / name) for name in ("first", "second")]
    summaries = [state.result() for state in states]
    assert summaries[0].chunks == summaries[1].kept_chunks >= 2
    assert summaries[0].kept_chunks == summaries[0].failed_chunks == 0
    texts = [Path(summary.files[0]).read_text(encoding="utf-8") for summary in summaries]
    assert texts[0] == texts[1] != ""
    done = f"Chunk 1 of {summaries[0].chunks} done: "
    assert done in capfd.readouterr().out
    for state, words in zip(states, (done, "kept from an earlier run: "), strict=True):
        said = eventually(
            lambda state=state: rows(state.state_details.flow_run_id),
            lambda found, words=words: any(words in line for line in found[1]),
        )
        assert any(words in line for line in said[1])
        assert said[0] == 0


def test_what_the_setting_may_be() -> None:
    assert rows_of_runs({}) == rows_of_runs({"LONGSCRIBE_ROWS": "chunk"}) == "chunk"
    assert rows_of_runs({"LONGSCRIBE_ROWS": "recording"}) == "recording"
    with pytest.raises(OptionError, match="LONGSCRIBE_ROWS: 'none'"):
        rows_of_runs({"LONGSCRIBE_ROWS": "none"})
