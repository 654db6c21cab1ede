"""Sizes of memory and files, as people write them."""

import re

from longscribe.wording.catalog import translated

_BYTES_PER_UNIT = {
    "": 10**9,  # a bare number means GB, the unit machines are sold in
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "M": 10**6,
    "G": 10**9,
}


def parse_bytes(text: str) -> int:
    """Bytes in a size such as `13GB`, `800 MiB` or `2.5` (GB).

    Raises:
        ValueError: the text is no size, or not above zero.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    unit = match.group(2).upper() if match else ""
    if match is None or unit not in _BYTES_PER_UNIT:
        raise ValueError(
            translated("{text!r} is no size; write it like 4GB or 800MiB").format(text=text)
        )
    size_bytes = int(float(match.group(1)) * _BYTES_PER_UNIT[unit])
    if size_bytes <= 0:
        raise ValueError(translated("the size must be above zero; write it like 4GB"))
    return size_bytes
