"""What a host does between two runs."""

import os
import signal
from typing import Any

import pytest

from longscribe.deployments import run_host


@pytest.mark.parametrize("ends", [None, SystemExit(1), RuntimeError("broken")])
def test_what_an_order_sets_is_gone_after_its_run(
    monkeypatch: pytest.MonkeyPatch, ends: BaseException | None
) -> None:
    seen: list[tuple[str | None, str | None]] = []

    def engine(*_: Any, **__: Any) -> None:
        seen.append((os.environ.get("OF_THE_ORDER"), os.environ.get("OF_THE_HOST")))
        if ends is not None:
            raise ends

    monkeypatch.setattr(run_host.runpy, "run_module", engine)
    monkeypatch.setattr(run_host.signal, "signal", lambda *_: signal.SIG_DFL)
    monkeypatch.setenv("OF_THE_HOST", "as before")
    monkeypatch.delenv("OF_THE_ORDER", raising=False)
    order = {"environment": {"OF_THE_ORDER": "one run's", "OF_THE_HOST": "otherwise"}}
    if isinstance(ends, RuntimeError):
        with pytest.raises(RuntimeError):
            run_host._carry_out(order)
    else:
        assert run_host._carry_out(order) == ((0, True) if ends is None else (1, False))
    assert seen == [("one run's", "otherwise")]
    assert os.environ.get("OF_THE_ORDER") is None
    assert os.environ["OF_THE_HOST"] == "as before"
