"""The Prefect server's process."""

import sys

import pytest
import uvicorn


@pytest.mark.skipif(sys.platform == "win32", reason="there is no uvloop for Windows")
def test_requests_are_read_and_waited_for_by_compiled_code() -> None:
    config = uvicorn.Config("longscribe.deployments.request_filter:RequestFilter")
    config.load()
    assert config.http_protocol_class.__module__ == "uvicorn.protocols.http.httptools_impl"
    loop = config.get_loop_factory()
    assert loop is not None
    assert loop.__module__.startswith("uvloop")
