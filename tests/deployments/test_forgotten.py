"""What users deleted goes from a worker's cache, and from what machines share."""

from pathlib import Path

import pytest

from longscribe.cache.folder import CACHE_VARIABLE
from longscribe.cache.results import result_path
from longscribe.cache.traces import Forgotten, Traces, leave_word
from longscribe.deployments.forgotten import ForgottenRecordings
from longscribe.storage.shared_store import STORE_VARIABLE, SharedStore
from longscribe.tasks.shared_results import shared_name
from longscribe.web.files import words_folder

KEY, OTHER = "a" * 64, "b" * 64


def test_it_goes_here_and_from_the_shared_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    store_folder = tmp_path / "store"
    store_folder.mkdir()
    monkeypatch.setenv(STORE_VARIABLE, str(store_folder))
    store = SharedStore(str(store_folder))
    for key in (KEY, OTHER):
        result_path(key).parent.mkdir(parents=True)
        result_path(key).write_text("{}")
        store.put(shared_name(key), b"{}")
    recordings = ForgottenRecordings.from_environment({"LONGSCRIBE_TRANSCRIPTS": str(tmp_path)})
    assert recordings.look() == 0
    now_s = result_path(KEY).stat().st_mtime
    leave_word(
        words_folder(tmp_path), "one", Forgotten(at_s=now_s + 5, traces=Traces(results=(KEY,)))
    )
    assert recordings.look() == 2
    assert (result_path(KEY).exists(), store.has(shared_name(KEY))) == (False, False)
    assert (result_path(OTHER).exists(), store.has(shared_name(OTHER))) == (True, True)
    result_path(KEY).write_text("{}")  # the same sound, brought again
    assert recordings.look() == 0
    assert result_path(KEY).exists()


def test_a_bucket_is_no_folder_that_the_application_shares() -> None:
    recordings = ForgottenRecordings.from_environment({"LONGSCRIBE_TRANSCRIPTS": "s3://texts"})
    assert recordings.look() == 0
