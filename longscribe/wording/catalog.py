"""Messages in the reader's language: gettext catalogs, and English where there is none.

The language is the one that `set_ui_language` was told, else LONGSCRIBE_UI_LANGUAGE's, else the
locale's. It lives in that variable of the environment, so that worker processes speak it too.
"""

import gettext
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache, wraps
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

UI_LANGUAGES: Final = ("en", "pt_BR")
UI_LANGUAGE_VARIABLE: Final = "LONGSCRIBE_UI_LANGUAGE"
DOMAIN: Final = "longscribe"
LOCALES: Final = Path(__file__).with_name("locales")

# Whom a thread or task of a server is answering; the environment is the whole process's.
_SPOKEN: Final[ContextVar[str | None]] = ContextVar("spoken", default=None)
_LOCALE_VARIABLES: Final = ("LC_ALL", "LC_MESSAGES", "LANG")  # the first that is set counts
_OF_LIBRARIES: Final = "LANGUAGE"  # where gettext's own functions look first


def translated(message: str) -> str:
    """A message in the language of now.

    Args:
        message: in English, as a literal where it is used: tools/catalogs.py finds it there.
            Values come after, by `%` or `.format`.
    """
    # The empty message is the catalog's own header.
    return _catalog(ui_language()).gettext(message) if message else ""


def translatable(message: str) -> str:
    """Mark a message for the catalogs that is only translated when it is shown."""
    return message


def ui_language() -> str:
    """The language of now, one of `UI_LANGUAGES`."""
    spoken = _SPOKEN.get()
    if spoken is not None:
        return spoken
    asked = os.environ.get(UI_LANGUAGE_VARIABLE, "").strip()
    if asked and asked != "auto":
        return _language_of(asked)
    locales = (os.environ.get(name, "") for name in _LOCALE_VARIABLES)
    return _language_of(next(filter(None, locales), ""))


def set_ui_language(code: str) -> None:
    """Speak a language from now on, in this process and in those that it starts.

    Args:
        code: one of `UI_LANGUAGES`; `auto` leaves it as it is.

    Raises:
        ValueError: another.
    """
    if code == "auto":
        return
    if code not in UI_LANGUAGES:
        raise ValueError(f"{code!r} is no language of messages; there are {UI_LANGUAGES}")
    os.environ[UI_LANGUAGE_VARIABLE] = code


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Speak a language while the block lasts, in this thread or task alone.

    Args:
        code: as people write it: `pt-BR`, `en_US.UTF-8`; English where there is no catalog of it.
    """
    token = _SPOKEN.set(_language_of(code))
    try:
        yield
    finally:
        _SPOKEN.reset(token)


def in_ui_language(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function with a parameter `ui_language` speak that language for as long as it runs."""
    signature = inspect.signature(function)

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        with _kept(UI_LANGUAGE_VARIABLE):
            set_ui_language(given.arguments["ui_language"])
            return function(*args, **kwargs)

    return wrapped


@contextmanager
def libraries_speak_it() -> Iterator[None]:
    """Let a library that asks gettext itself, as click does, find its sentences in our catalog."""
    before = gettext.textdomain()
    gettext.bindtextdomain(DOMAIN, str(LOCALES))
    with _kept(_OF_LIBRARIES):
        os.environ[_OF_LIBRARIES] = ui_language()
        gettext.textdomain(DOMAIN)
        try:
            yield
        finally:
            gettext.textdomain(before)


@contextmanager
def _kept(variable: str) -> Iterator[None]:
    """Put a variable of the environment back as it was after the block."""
    before = os.environ.get(variable)
    try:
        yield
    finally:
        os.environ.pop(variable, None)
        if before is not None:
            os.environ[variable] = before


def _language_of(locale: str) -> str:
    """The nearest language to a locale such as `pt_BR.UTF-8`: any Portuguese is near pt_BR."""
    language = locale.replace("-", "_").partition(".")[0].partition("_")[0].lower()
    return next((code for code in UI_LANGUAGES if code.partition("_")[0] == language), "en")


@lru_cache
def _catalog(language: str) -> gettext.NullTranslations:
    return gettext.translation(DOMAIN, str(LOCALES), [language], fallback=True)
