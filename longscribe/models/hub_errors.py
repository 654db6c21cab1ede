"""What can go wrong with the Hugging Face hub, each in one sentence with what to do."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from longscribe.errors import ModelError
from longscribe.models.hub_cache import endpoint, hub_folder

OTHER_FOLDER: Final = "HF_HOME chooses another folder."


@contextmanager
def hub_errors(repo_id: str, aftermath: str = "") -> Iterator[None]:
    """Keep the library silent, and tell its errors in one sentence."""
    try:
        with _quiet():
            yield
    except ModelError:
        raise
    except Exception as error:
        if sentence := _sentence(repo_id, error, aftermath):
            raise ModelError(sentence) from None
        raise


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import huggingface_hub.utils  # noqa: F401 (sets the level of its logger when imported)

        loggers = [logging.getLogger(name) for name in ("huggingface_hub", "httpx2", "filelock")]
        levels = [logger.level for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def kinds_of(error: BaseException) -> set[str]:
    """The names of an error's classes: versions of the library raise those of httpx or httpx2."""
    return {kind.__name__ for kind in type(error).__mro__}


def _sentence(repo_id: str, error: BaseException, aftermath: str) -> str:
    """What went wrong, and what to do; nothing if it is none of what a hub can do wrong."""
    kinds = kinds_of(error)
    if "LocalEntryNotFoundError" in kinds and error.__cause__:
        return _sentence(repo_id, error.__cause__, aftermath)
    if "OfflineModeIsEnabled" in kinds:
        return offline_sentence(repo_id)
    if kinds & {"JSONDecodeError", "FileMetadataError"}:
        return no_hub_sentence(repo_id)
    if "HfHubHTTPError" in kinds:
        return _refused(repo_id, kinds, getattr(error, "response", None), aftermath)
    if "HTTPError" in kinds:
        reason = _reason(kinds)
        return f"the model {repo_id} cannot be fetched from {endpoint()} ({reason}){aftermath}."
    if isinstance(error, OSError):
        return (
            f"the model {repo_id} cannot be kept in {hub_folder()}: "
            f"{error.strerror or error}; {OTHER_FOLDER}"
        )
    return ""


def _refused(repo_id: str, kinds: set[str], response: object, aftermath: str) -> str:
    status = getattr(response, "status_code", 0)
    if "GatedRepoError" in kinds:
        return (
            f"the model {repo_id} is gated: accept its terms at {endpoint()}/{repo_id}, and give "
            "your token in HF_TOKEN or with `hf auth login`."
        )
    if kinds & {"RepositoryNotFoundError", "RevisionNotFoundError"}:
        return (
            f"there is no model {repo_id} at {endpoint()}, and no file or folder of that name "
            "here; check the name, and if it is private, give your token in HF_TOKEN or with "
            "`hf auth login`."
        )
    if status == 401:
        return (
            f"{endpoint()} does not accept the token that it got for the model {repo_id}; "
            "check HF_TOKEN, or run `hf auth login`."
        )
    if status == 429:
        return (
            f"the model {repo_id} cannot be fetched now: {endpoint()} has had too many requests "
            f"from here{aftermath}; try again later."
        )
    return f"the model {repo_id} cannot be fetched: {endpoint()} answered {status}{aftermath}."


def _reason(kinds: set[str]) -> str:
    if kinds & {"ConnectError", "ProxyError", "UnsupportedProtocol"}:
        return "no connection"
    return "it does not answer" if "TimeoutException" in kinds else "the connection broke off"


def offline_sentence(repo_id: str) -> str:
    """What is said where the hub would have to be asked and must not be."""
    return (
        f"the model {repo_id} is not in {hub_folder()}, and HF_HUB_OFFLINE forbids to fetch it; "
        "unset that variable, or choose a model that is here."
    )


def no_hub_sentence(repo_id: str) -> str:
    """What is said where something else answers in the hub's place."""
    return (
        f"the model {repo_id} cannot be fetched: {endpoint()} does not answer like a Hugging Face "
        "hub; check HF_ENDPOINT."
    )
