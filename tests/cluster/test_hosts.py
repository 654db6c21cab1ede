"""A cluster of several hosts that share nothing: one recording, one host dies, another comes."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.hosts import Host, can_make_hosts, hosts
from benchmarks.real_recordings import ENGLISH, write_again_and_again
from longscribe.models.index_packages import is_installed
from longscribe.models.weights import DEMO_CHECKPOINT
from tests.cluster.dask_processes import REPOSITORY, DaskCluster, end
from tests.eventually import eventually

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not can_make_hosts(), reason="network namespaces need root and iproute2"),
]

SPEECH = REPOSITORY / "benchmarks" / "speech" / "libri_other_a.opus"
CHUNKS = 50
LOST = re.compile(r"Chunk \d+ of \d+ lost its worker \(the Dask worker is gone\)")


@pytest.fixture
def four_hosts(tmp_path: Path) -> Iterator[list[Host]]:
    with hosts(5) as made:
        yield made


def a_command(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "longscribe", *arguments, "-o", str(folder), "--fresh"]


def environment(folder: Path, name: str) -> dict[str, str]:
    """Of a host with files of its own."""
    home = folder / name
    (home / ".prefect").mkdir(parents=True, exist_ok=True)
    return {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "LONGSCRIBE_CACHE": str(home / "cache" / "longscribe"),
        "PREFECT_HOME": str(home / ".prefect"),
        "PREFECT_API_URL": "",
        "PYTHONPATH": str(REPOSITORY),
    }


@pytest.mark.skipif(not is_installed("base"), reason="the extra `base` is not installed")
def test_a_host_dies_another_comes_and_the_words_are_those_of_one_machine(
    four_hosts: list[Host], tmp_path: Path
) -> None:
    client, *others = four_hosts
    cluster = DaskCluster(_made(tmp_path / "dask"), host=client)
    server, command = None, None
    try:
        workers = [
            cluster.add_worker(host=host, environment=environment(tmp_path, host.name))
            for host in others[:3]
        ]
        env = {**os.environ, **environment(tmp_path, "client")}
        server = client.start(
            [sys.executable, "-m", "prefect", "server", "start", "--port", "4200"],
            env={**env, "PREFECT_SERVER_ANALYTICS_ENABLED": "false"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        env["PREFECT_API_URL"] = "http://127.0.0.1:4200/api"
        eventually(lambda: _api(client, env, "/health", None), bool, within_s=120)
        eventually(lambda: cluster.log(0).count("Register worker"), lambda n: n >= 3, within_s=120)
        # A fiftieth of what is heard: other lengths are cut otherwise for three workers than two.
        same_cuts = ("--model", "base", "--chunk-minutes", "1")
        # Half a minute or more of work is left when the fourth host is there.
        speech = write_again_and_again(ENGLISH, 3600.0, tmp_path / "speech.wav")
        where = ("--runner", "dask", "--address", cluster.address)
        out = tmp_path / "client.log"
        with out.open("w") as log:
            command = client.start(
                a_command(tmp_path / "far", str(speech), *same_cuts, *where),
                env=env,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        # It takes a while until it is there, and the run is not to be over by then.
        eventually(out.read_text, lambda said: said.count("is ready: pid") >= 3, within_s=600)
        come = environment(tmp_path, others[3].name)
        # It was here before: to compile the kernels would take it as long as the run.
        compiled = [
            Path(one["LONGSCRIBE_CACHE"]) / "kernels"
            for one in (environment(tmp_path, others[0].name), come)
        ]
        shutil.copytree(*compiled)
        cluster.add_worker(host=others[3], environment=come)
        eventually(out.read_text, lambda said: said.count("Finished chunk") >= 3, within_s=600)
        cluster.kill(workers[0])
        _picture(client, env, tmp_path, "ui-cluster-run.png", "flow-run")
        assert command.wait(timeout=900) == 0, out.read_text()[-3000:]
        said = out.read_text()
        assert LOST.search(said), said
        ready = re.findall(r"Dask worker tcp://(\S+):\d+ is ready", said)
        assert set(ready) == {host.address for host in others}, said

        def rows() -> list[dict[str, str]]:
            found = _api(client, env, "/task_runs/filter", {"limit": 200})
            return [one for one in found if one["name"].startswith("chunk ")]

        chunks = eventually(
            rows,
            lambda found: [one["state_name"] for one in found] == ["Completed"] * CHUNKS,
            within_s=120,
        )
        assert [one["state_name"] for one in chunks] == ["Completed"] * CHUNKS
        _picture(client, env, tmp_path, "ui-cluster-chunk.png", "task-run")
        for one in chunks:
            logs = _api(
                client, env, "/logs/filter", {"logs": {"task_run_id": {"any_": [one["id"]]}}}
            )
            assert any(" done: " in line["message"] for line in logs), (one["name"], logs)
    finally:
        for process in (command, server):
            if process is not None:
                end(process)
        cluster.stop()
    subprocess.run(
        a_command(tmp_path / "near", str(speech), *same_cuts, "--workers", "2"),
        env={**os.environ, **environment(tmp_path, "near-home")},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    for name in ("speech.tsv", "speech.srt"):
        far, near = (tmp_path / place / "speech" / name for place in ("far", "near"))
        assert far.read_text() == near.read_text()
    assert "gaps 0" in said or "0.0 s gaps" in said


def test_weights_that_workers_lack_are_sent_to_them(four_hosts: list[Host], tmp_path: Path) -> None:
    client, *others = four_hosts
    cluster = DaskCluster(_made(tmp_path / "dask"), host=client)
    try:
        hidden = _made(tmp_path / "client")
        shutil.copy(DEMO_CHECKPOINT, hidden / "own.pt")
        for host in others[:2]:
            cluster.add_worker(
                host=host, environment=environment(tmp_path, host.name), hides=hidden
            )
        eventually(lambda: cluster.log(0).count("Register worker"), lambda n: n >= 2, within_s=120)
        where = ("--runner", "dask", "--address", cluster.address)
        model = ("--model", str(hidden / "own.pt"), "--chunk-minutes", "0.5", "-f", "txt")
        done = subprocess.run(
            client.command(*a_command(hidden / "far", str(SPEECH), *model, *where)),
            env={**os.environ, **environment(tmp_path, "client")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        assert done.stdout.count("Sending the weights to tcp://") == 2
    finally:
        cluster.stop()


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


_ASK = """
import json, sys, httpx
path, body = json.loads(sys.argv[1])
url = f"http://127.0.0.1:4200/api{path}"
answer = httpx.get(url) if body is None else httpx.post(url, json=body)
print(json.dumps(answer.json()))
"""


def _api(host: Host, env: dict[str, str], path: str, body: object) -> list[dict[str, str]]:
    """What the Prefect server of a host answers there."""
    asked = json.dumps([path, body])
    done = subprocess.run(
        host.command(sys.executable, "-c", _ASK, asked),
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    answer: list[dict[str, str]] = json.loads(done.stdout or "[]")
    return answer


def _picture(host: Host, env: dict[str, str], folder: Path, name: str, what: str) -> None:
    """The Prefect UI, where LONGSCRIBE_PICTURES names a folder for it."""
    to = os.environ.get("LONGSCRIBE_PICTURES")
    if not to:
        return
    runs = _api(host, env, f"/{what.replace('-', '_')}s/filter", {"limit": 200})
    if what == "task-run":
        runs = [one for one in runs if one["name"].startswith("chunk 02")]
    time.sleep(2.0)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    subprocess.run(
        host.command(
            "chromium",
            *flags,
            f"--user-data-dir={folder / 'chromium'}",
            "--window-size=1400,1100",
            "--virtual-time-budget=30000",
            f"--screenshot={Path(to) / name}",
            f"http://127.0.0.1:4200/v2/runs/{what}/{runs[0]['id']}",
        ),
        env=env,
        check=False,
        timeout=300,
        capture_output=True,
    )
