"""What can go wrong with the Hugging Face hub, each in one sentence with what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from longscribe.errors import ModelError
from longscribe.models.hub_cache import endpoint, hub_folder
from longscribe.models.library_noise import without_noise
from longscribe.wording.catalog import translated
from longscribe.wording.system_errors import told


@contextmanager
def hub_errors(repo_id: str, aftermath: str = "") -> Iterator[None]:
    """Keep the library silent, and tell its errors in one sentence."""
    try:
        with without_noise(()):
            import huggingface_hub.utils  # noqa: F401 (sets the level of its logger when imported)
        with without_noise(("huggingface_hub", "httpx2", "filelock")):
            yield
    except ModelError:
        raise
    except Exception as error:
        if sentence := _sentence(repo_id, error, aftermath):
            raise ModelError(sentence) from None
        raise


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
        return translated(
            "the model {repository} cannot be fetched from {endpoint} ({reason}){aftermath}."
        ).format(
            repository=repo_id, endpoint=endpoint(), reason=_reason(kinds), aftermath=aftermath
        )
    if isinstance(error, OSError):
        return translated(
            "the model {repository} cannot be kept in {folder}: {reason}; {remedy}"
        ).format(
            repository=repo_id,
            folder=hub_folder(),
            reason=told(error),
            remedy=other_folder(),
        )
    return ""


def _refused(repo_id: str, kinds: set[str], response: object, aftermath: str) -> str:
    status = getattr(response, "status_code", 0)
    if "GatedRepoError" in kinds:
        sentence = translated(
            "the model {repository} is gated: accept its terms at {endpoint}/{repository}, and "
            "give your token in HF_TOKEN or with `hf auth login`."
        )
    elif kinds & {"RepositoryNotFoundError", "RevisionNotFoundError"}:
        sentence = translated(
            "there is no model {repository} at {endpoint}, and no file or folder of that name "
            "here; check the name, and if it is private, give your token in HF_TOKEN or with "
            "`hf auth login`."
        )
    elif status == 401:
        sentence = translated(
            "{endpoint} does not accept the token that it got for the model {repository}; "
            "check HF_TOKEN, or run `hf auth login`."
        )
    elif status == 429:
        sentence = translated(
            "the model {repository} cannot be fetched now: {endpoint} has had too many requests "
            "from here{aftermath}; try again later."
        )
    else:
        sentence = translated(
            "the model {repository} cannot be fetched: {endpoint} answered {status}{aftermath}."
        )
    return sentence.format(
        repository=repo_id, endpoint=endpoint(), status=status, aftermath=aftermath
    )


def _reason(kinds: set[str]) -> str:
    if kinds & {"ConnectError", "ProxyError", "UnsupportedProtocol"}:
        return translated("no connection")
    if "TimeoutException" in kinds:
        return translated("it does not answer")
    return translated("the connection broke off")


def other_folder() -> str:
    """What chooses another folder for the hub's models, as the end of a sentence."""
    return translated("HF_HOME chooses another folder.")


def offline_sentence(repo_id: str) -> str:
    """What is said where the hub would have to be asked and must not be."""
    return translated(
        "the model {repository} is not in {folder}, and HF_HUB_OFFLINE forbids to fetch it; "
        "unset that variable, or choose a model that is here."
    ).format(repository=repo_id, folder=hub_folder())


def no_hub_sentence(repo_id: str) -> str:
    """What is said where something else answers in the hub's place."""
    return translated(
        "the model {repository} cannot be fetched: {endpoint} does not answer like a Hugging Face "
        "hub; check HF_ENDPOINT."
    ).format(repository=repo_id, endpoint=endpoint())
