import errno
import os

import pytest

from longscribe.wording.catalog import UI_LANGUAGE_VARIABLE
from longscribe.wording.system_errors import SAID_OFTEN, told


def test_what_the_system_says_is_translated_where_it_is_usual(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    rare = OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
    assert told(denied) == "Permission denied"
    monkeypatch.setenv(UI_LANGUAGE_VARIABLE, "pt_BR")
    assert told(denied) == "permissão negada"
    assert told(rare) == os.strerror(errno.ENOTTY)
    assert told(OSError("a pipe broke")) == "a pipe broke"


def test_the_sentences_are_the_system_s() -> None:
    assert set(SAID_OFTEN) <= set(map(os.strerror, errno.errorcode))
