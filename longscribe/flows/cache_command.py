"""`longscribe cache`: what is kept between runs, and its cleaning."""

from collections import Counter

import click

from longscribe.cache.folder import CACHE_VARIABLE, cache_entries, cache_folder, clean_cache
from longscribe.errors import OptionError
from longscribe.flows.output import say
from longscribe.flows.translated_command import TranslatedCommand
from longscribe.options import RunOptions, parse_bytes
from longscribe.wording.catalog import translatable, translated

_DEFAULTS = RunOptions.model_fields
_KINDS = {
    "results": translatable("results of finished chunks"),
    "plans": translatable("where recordings were cut"),
    "digests": translatable("digests of files of weights"),
    "weights": translatable("converted weights"),
    "kernels": translatable("compiled kernels"),
}


@click.command(
    cls=TranslatedCommand,
    help=translatable("List what Longscribe keeps between runs, or clean it."),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--clean", is_flag=True, help=translatable("Remove what is old or too much, of all kinds.")
)
@click.option(
    "--keep-days",
    type=click.FloatRange(min=0.0),
    default=_DEFAULTS["keep_days"].default,
    show_default=True,
    help=translatable("Remove what was not used for longer."),
)
@click.option(
    "--keep-size",
    default=_DEFAULTS["keep_size"].default,
    show_default=True,
    metavar="SIZE",
    help=translatable(
        "For results, and for weights: beyond it what was used longest ago is removed."
    ),
)
def cache_command(clean: bool, keep_days: float, keep_size: str) -> int:
    """List what Longscribe keeps between runs, or clean it."""
    try:
        largest_bytes = parse_bytes(keep_size)
    except ValueError as error:
        raise OptionError(f"--keep-size: {error}.") from None
    if clean:
        removed = clean_cache(keep_days, largest_bytes, weights_too=True)
        line = translated("Removed {count} file(s), {size}")
        say(line.format(count=len(removed), size=_shown(sum(e.size_bytes for e in removed))))
    count: Counter[str] = Counter()
    size_bytes: Counter[str] = Counter()
    for entry in cache_entries():
        count[entry.kind] += 1
        size_bytes[entry.kind] += entry.size_bytes
    line = translated("{folder} ({variable} names another folder)")
    say(line.format(folder=cache_folder(), variable=CACHE_VARIABLE))
    files = translated("file(s)")
    for kind, words in _KINDS.items():
        shown = f"{_shown(size_bytes[kind]):>10}  {translated(words)}"
        say(f"{count[kind]:8d} {files} {shown}")
    return 0


def _shown(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"
