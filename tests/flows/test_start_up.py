"""What the command has imported when it starts its processes: each import would delay them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# The first two are started, and the second says what it found; no run begins.
SCRIPT = """
import json, os, sys
from longscribe.flows import command_line, embedded_server

SLOW = ("prefect", "prefect.server.api.server", "torch", "numba", "longscribe.flows.transcribe")
found = {}

def note(name):
    threads = os.listdir("/proc/self/task")
    found[name] = {"slow": [one for one in SLOW if one in sys.modules], "threads": len(threads)}

class Server:
    def __init__(self, method):
        pid = os.fork()  # ends the threads of BLAS, which starts them anew when it needs them
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        note(method)
        print(json.dumps(found))
        sys.exit(0)

command_line.start_fork_server = lambda preload: note("fork server")
embedded_server.EmbeddedServer = Server
command_line.main([sys.argv[1], "--model", "demo", "--fresh"])
"""


@pytest.fixture
def found(tmp_path: Path) -> dict[str, dict[str, object]]:
    environment = {name: text for name, text in os.environ.items() if name != "PREFECT_API_URL"}
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, Path(__file__).parents[1] / "longscribe" / "jfk.opus"],
        env={
            **environment,
            "PREFECT_HOME": str(tmp_path / "prefect"),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    starts: dict[str, dict[str, object]] = json.loads(ran.stdout)
    return starts


def test_the_fork_server_is_started_first_and_the_server_as_soon_as_prefect_is_there(
    found: dict[str, dict[str, object]],
) -> None:
    assert found["fork server"]["slow"] == []
    # What is imported later, the server has not; what has threads must not be forked.
    assert found["fork"] == {"slow": ["prefect"], "threads": 1}
