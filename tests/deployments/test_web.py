"""The web application as `make serve` starts it, with real runs."""

import json
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest

from longscribe.cache.folder import plans_folder
from longscribe.cache.results import result_path
from longscribe.cache.traces import noted_traces
from longscribe.web.database import Database
from longscribe.web.keys import add_key
from longscribe.web.users import user_named
from tests.deployments.served import Served, wait_for
from tests.recordings import SYNTHETIC, beginning
from tests.sounds import write_sound

pytestmark = [pytest.mark.service, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def key(served: Served) -> str:
    database = Database(f"sqlite:///{served.folder / 'web.sqlite'}")
    with database.begin() as db:
        made = add_key(db, user_named(db, "longscribe"), "tests")
    database.close()
    return made


def test_openais_client_transcribes_a_recording(served: Served, key: str, tmp_path: Path) -> None:
    # Never heard before: kept chunks would be told all at once; and long enough that not all of
    # them are done between two looks.
    part = beginning(duration_s=240.0)
    loudness = np.random.default_rng().uniform(0.7, 1.0, 5).astype(np.float32)
    new = write_sound(tmp_path / "new.wav", np.concatenate([part * one for one in loudness]))
    with openai.OpenAI(base_url=f"{served.web}/v1", api_key=key, max_retries=0) as client:
        create = client.audio.transcriptions.create
        events = list(create(file=new, model="whisper-1", stream=True))
        deltas = [event.delta for event in events if hasattr(event, "delta")]
        assert len(deltas) > 2
        assert events[-1].type == "transcript.text.done"
        assert "heavy report on Monday" in events[-1].text
        assert "".join(deltas).split()[:20] == events[-1].text.split()[:20]
        verbose = create(file=new, model="whisper-1", response_format="verbose_json")
        assert verbose.segments
        assert verbose.duration == pytest.approx(1200, abs=2)


def test_a_job_is_a_run_like_others_and_tells_its_progress(
    served: Served, key: str, tmp_path: Path
) -> None:
    headers = {"authorization": f"Bearer {key}"}
    # Nothing of it is kept, and it is long enough to be seen at work.
    loudness = np.random.default_rng().uniform(0.7, 1.0, 3).astype(np.float32)
    part = beginning(duration_s=220.0)
    new = write_sound(tmp_path / "new.flac", np.concatenate([part * one for one in loudness]))
    with new.open("rb") as file:
        data = {"decoding": "sequential", "chunk_minutes": "0.5"}
        answer = httpx.post(
            f"{served.web}/jobs", headers=headers, files={"file": file}, data=data, timeout=60
        )
    assert answer.status_code == 201, answer.text
    job = answer.json()
    seen = []
    url = f"{served.web}/jobs/{job['id']}"
    with httpx.stream("GET", f"{url}/events", headers=headers, timeout=300) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                seen.append(json.loads(line.removeprefix("data: ")))
    assert seen[-1]["state"] == "done", seen[-1]
    assert [one for one in seen if one["state"] == "running" and 0 < one["percent"] < 100]
    assert [one for one in seen if one["left_s"]]
    # The server may have been too busy to have the run at once.
    assert "web" in served.run(seen[-1]["flow_run_id"])["tags"]
    chunks = httpx.get(url, headers=headers, timeout=60).json()["chunks"]
    assert len(chunks) > 4
    text = httpx.get(f"{url}/transcript?format=txt", headers=headers, timeout=60).text
    assert "heavy report on Monday" in text


def test_a_cancelled_job_ends(served: Served, key: str) -> None:
    headers = {"authorization": f"Bearer {key}"}
    with SYNTHETIC.open("rb") as file:
        data = {"decoding": "sequential", "temperature": "0.4"}
        job = httpx.post(
            f"{served.web}/jobs", headers=headers, files={"file": file}, data=data, timeout=60
        ).json()
    url = f"{served.web}/jobs/{job['id']}"

    def state() -> str:
        return str(httpx.get(url, headers=headers, timeout=60).json()["state"])

    wait_for(lambda: state() == "running", 300)
    assert httpx.post(f"{url}/cancel", headers=headers, timeout=60).status_code == 200
    wait_for(lambda: state() == "cancelled", 120)
    assert httpx.delete(url, headers=headers, timeout=60).status_code == 204
    assert httpx.get(url, headers=headers, timeout=60).status_code == 404
    assert not list((served.folder / "media" / "uploads" / job["id"]).glob("*"))


def test_a_deleted_recording_leaves_nothing(served: Served, key: str, tmp_path: Path) -> None:
    headers = {"authorization": f"Bearer {key}"}
    loudness = np.random.default_rng().uniform(0.7, 1.0)
    new = write_sound(tmp_path / "new.wav", beginning(duration_s=20.0) * np.float32(loudness))
    url = f"{served.web}/jobs"
    with new.open("rb") as file:
        made = httpx.post(url, headers=headers, files={"file": file}, timeout=60).json()
    url = f"{url}/{made['id']}"
    wait_for(lambda: httpx.get(url, headers=headers).json()["state"] == "done", 200)
    run_id = httpx.get(url, headers=headers).json()["flow_run_id"]
    texts = {"artifacts": {"flow_run_id": {"any_": [run_id]}}}
    assert served.ask("artifacts/filter", **texts)
    (folder,) = (served.folder / "transcripts" / "web" / made["id"]).iterdir()
    traces = noted_traces(folder)
    kept = [result_path(one) for one in traces.results]
    kept += [plans_folder() / f"{one}.json" for one in traces.plans]
    assert len(kept) >= 2
    assert all(path.exists() for path in kept)

    assert httpx.delete(url, headers=headers, timeout=60).status_code == 204
    wait_for(lambda: not any(path.exists() for path in kept), 30)
    assert not folder.exists()
    assert not list((served.folder / "media" / "uploads" / made["id"]).glob("*"))
    assert served.ask("artifacts/filter", **texts) == []
    assert served.ask("flow_runs/filter", flow_runs={"id": {"any_": [run_id]}}) == []
