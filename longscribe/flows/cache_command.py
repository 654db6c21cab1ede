"""`longscribe cache`: what is kept between runs, and its cleaning."""

from collections import Counter

import click

from longscribe.cache.folder import CACHE_VARIABLE, cache_entries, cache_folder, clean_cache
from longscribe.errors import OptionError
from longscribe.flows.output import say
from longscribe.options import RunOptions, parse_bytes

_DEFAULTS = RunOptions.model_fields
_KINDS = {
    "results": "results of finished chunks",
    "plans": "where recordings were cut",
    "digests": "digests of files of weights",
    "weights": "converted weights",
    "kernels": "compiled kernels",
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--clean", is_flag=True, help="Remove what is old or too much, of all kinds.")
@click.option(
    "--keep-days",
    type=click.FloatRange(min=0.0),
    default=_DEFAULTS["keep_days"].default,
    show_default=True,
    help="Remove what was not used for longer.",
)
@click.option(
    "--keep-size",
    default=_DEFAULTS["keep_size"].default,
    show_default=True,
    metavar="SIZE",
    help="For results, and for weights: beyond it what was used longest ago is removed.",
)
def cache_command(clean: bool, keep_days: float, keep_size: str) -> int:
    """List what Longscribe keeps between runs, or clean it."""
    try:
        largest_bytes = parse_bytes(keep_size)
    except ValueError as error:
        raise OptionError(f"--keep-size: {error}.") from None
    if clean:
        removed = clean_cache(keep_days, largest_bytes, weights_too=True)
        say(f"Removed {len(removed)} file(s), {_shown(sum(e.size_bytes for e in removed))}")
    count: Counter[str] = Counter()
    size_bytes: Counter[str] = Counter()
    for entry in cache_entries():
        count[entry.kind] += 1
        size_bytes[entry.kind] += entry.size_bytes
    say(f"{cache_folder()} ({CACHE_VARIABLE} names another folder)")
    for kind, words in _KINDS.items():
        say(f"{count[kind]:8d} file(s) {_shown(size_bytes[kind]):>10}  {words}")
    return 0


def _shown(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"
