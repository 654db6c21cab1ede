"""What a run may read and write: everything for a person at a terminal, little for a service.

Whoever may start a run over the API names paths and URLs that the worker opens with its own
rights. Where LONGSCRIBE_MEDIA_ROOTS is set, nothing outside those folders and buckets can be read
or written; whether or not it is, no download reaches an address that is not public.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from longscribe.errors import OptionError
from longscribe.models.names import DISTILLED, OFFICIAL
from longscribe.options import RunOptions, parse_bytes
from longscribe.options.speakers import BUILT_IN, COMMUNITY
from longscribe.storage.uris import check_url, is_url, is_web, scheme_of, shown
from longscribe.wording.catalog import translated

ROOTS_VARIABLE: Final = "LONGSCRIBE_MEDIA_ROOTS"
PRIVATE_HOSTS_VARIABLE: Final = "LONGSCRIBE_PRIVATE_HOSTS"
LARGEST_DOWNLOAD_VARIABLE: Final = "LONGSCRIBE_LARGEST_DOWNLOAD"
CLUSTERS_VARIABLE: Final = "LONGSCRIBE_CLUSTERS"

_LARGEST_DOWNLOAD: Final = "20GB"
_MODELS: Final = (*OFFICIAL, *DISTILLED, "demo")


class Access(BaseModel):
    """What may be read and written.

    Attributes:
        media_roots: folders and URLs of buckets; None for everything this process can reach.
        private_hosts: names, addresses and networks that downloads may reach although they are not
            public.
        largest_download_bytes: recordings fetched from a URL.
        clusters: addresses of Dask schedulers that runs may use where there are media roots;
            whoever keeps one may run anything where its clients are.
    """

    model_config = ConfigDict(frozen=True)

    media_roots: tuple[str, ...] | None = None
    private_hosts: tuple[str, ...] = ()
    largest_download_bytes: int = parse_bytes(_LARGEST_DOWNLOAD)
    clusters: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Access":
        """What the environment allows.

        LONGSCRIBE_MEDIA_ROOTS is separated as PATH is, LONGSCRIBE_PRIVATE_HOSTS and
        LONGSCRIBE_CLUSTERS by commas.

        Raises:
            OptionError: a variable has no meaning.
        """
        roots = environment.get(ROOTS_VARIABLE, "").strip()
        hosts = environment.get(PRIVATE_HOSTS_VARIABLE, "")
        try:
            largest_bytes = parse_bytes(
                environment.get(LARGEST_DOWNLOAD_VARIABLE) or _LARGEST_DOWNLOAD
            )
        except ValueError as error:
            raise OptionError(f"{LARGEST_DOWNLOAD_VARIABLE}: {error}.") from None
        return cls(
            # The colon of s3:// separates nothing.
            media_roots=tuple(filter(None, re.split(rf"{os.pathsep}(?!//)", roots)))
            if roots
            else None,
            private_hosts=tuple(filter(None, (host.strip().lower() for host in hosts.split(",")))),
            largest_download_bytes=largest_bytes,
            clusters=tuple(
                filter(None, map(str.strip, environment.get(CLUSTERS_VARIABLE, "").split(",")))
            ),
        )

    def confine(self, options: RunOptions) -> RunOptions:
        """The options with every path that a run opens checked, and spelled out.

        Raises:
            OptionError: one of them is outside what may be read or written, or the cluster is none
                that may be used.
        """
        if (
            options.address
            and self.media_roots is not None
            and options.address not in self.clusters
        ):
            raise OptionError(
                translated(
                    "--address: {address} is no cluster that runs here may use; name it in "
                    "{variable} where the worker runs."
                ).format(address=options.address, variable=CLUSTERS_VARIABLE)
            )
        return options.model_copy(
            update={
                "recording": self.allowed(options.recording, "--recording"),
                "together": tuple(self.allowed(one, "--together") for one in options.together),
                "output_dir": self.allowed_folder(options.output_dir, "--output-dir"),
                "model": self._model(options.model),
                "model_dir": options.model_dir and self._path(options.model_dir, "--model-dir"),
                "hotwords": tuple(map(self.hotwords_entry, options.hotwords)),
                "glossary": tuple(map(self.glossary_entry, options.glossary)),
                "diarization_model": self.diarization_model(options.diarization_model),
            }
        )

    def allowed(self, place: str, option: str) -> str:
        """A path or URL to read from, if it may be.

        Raises:
            OptionError: it may not.
        """
        if not is_url(place):
            return self._path(place, option)
        check_url(place, option)
        if self.media_roots is not None and not is_web(place) and not self._has_url(place):
            raise self._outside(place, option)
        return place

    def allowed_folder(self, place: str, option: str) -> str:
        """A path or URL of a folder to write to or look into, if it may be.

        Raises:
            OptionError: it may not.
        """
        if is_web(place):
            raise OptionError(
                translated("{option}: {url} is a web address; give a folder or a bucket.").format(
                    option=option, url=shown(place)
                )
            )
        return self.allowed(place, option)

    def _path(self, place: str, option: str) -> str:
        if self.media_roots is None:
            return place
        roots = [Path(root).resolve() for root in self.media_roots if not is_url(root)]
        if roots and "\0" not in place:
            try:
                path = (roots[0] / place).resolve()  # with every symbolic link followed
            except (OSError, RuntimeError):  # a circle of links, before Python 3.13
                raise self._outside(place, option) from None
            # Later ones leave the links of a circle in the path
            # (https://github.com/python/cpython/issues/109187).
            in_circle = any(part.is_symlink() for part in (path, *path.parents))
            if not in_circle and any(path.is_relative_to(root) for root in roots):
                return str(path)
        raise self._outside(place, option)

    def _has_url(self, url: str) -> bool:
        for root in self.media_roots or ():
            if is_url(root) and scheme_of(root) == scheme_of(url):
                inside = root.partition("://")[2].rstrip("/")
                place = url.partition("://")[2].rstrip("/")
                if place == inside or place.startswith(f"{inside}/"):
                    return True
        return False

    def _model(self, model: str) -> str:
        return model if model in _MODELS else self._path(model, "--model")

    def diarization_model(self, model: str) -> str:
        """The networks that tell voices apart, if they may be used.

        A folder's are pickles: whoever may write into the media roots would run code here.

        Raises:
            OptionError: they may not.
        """
        if self.media_roots is not None and model not in (BUILT_IN, COMMUNITY):
            raise OptionError(
                translated(
                    "--diarization-model: a folder is code that would run here; give built-in or "
                    "community-1."
                )
            )
        return model

    # A word that happens to be a file where the worker runs would be read as one: an arrow, or a
    # comma at the end, says that it is none.

    def hotwords_entry(self, entry: str) -> str:
        """A word to listen for, or the path of a file of them, if it may be read.

        Raises:
            OptionError: it may not.
        """
        return self._file_or(f"{entry},", entry, "--hotwords")

    def glossary_entry(self, entry: str) -> str:
        """A spelling, or the path of a file of them, if it may be read.

        Raises:
            OptionError: it may not.
        """
        if "=>" in entry:
            return entry
        return self._file_or(f"{entry} => {entry}", entry, "--glossary")

    def _file_or(self, marked: str, entry: str, option: str) -> str:
        """The path that an entry names, if it may be read, or what marks it as no path."""
        if self.media_roots is None or not entry.strip():
            return entry
        is_elsewhere = entry.startswith("~") or Path(entry).is_absolute()
        if is_elsewhere or ".." in Path(entry).parts or Path(entry).suffix == ".txt":
            return self._path(entry, option)
        return marked

    def _outside(self, place: str, option: str) -> OptionError:
        # The same words whether it exists or not: the answer must not tell.
        return OptionError(
            translated(
                "{option}: {place} is outside the media roots; give a place in {roots}."
            ).format(option=option, place=shown(place), roots=", ".join(self.media_roots or ()))
        )
