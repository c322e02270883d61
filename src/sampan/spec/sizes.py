"""Sizes as people write them: `512m`, `1.5GB`, `10 KiB`."""

_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}


def ram_bytes(text: str) -> int:
    """Bytes of "512m", "1.5GB", "10 KiB": powers of 1024, as go-units' RAMInBytes. Raises ValueError in its words."""
    end = 0
    while end < len(text) and (text[end] in ".0123456789" or (end == 0 and text[0] == "-")):
        end += 1
    digits, suffix = text[:end], text[end:].lstrip(" ").lower()
    try:
        number = float(digits)
    except ValueError:
        raise ValueError(f"invalid size: '{text}'") from None
    if number < 0:
        raise ValueError(f"invalid size: '{text}'")
    unit = suffix[:1] if suffix != "b" else ""
    if unit not in _UNITS or suffix[1:] not in ("", "b", "ib") or (suffix == "ib"):
        raise ValueError(f"invalid suffix: '{suffix}'")
    return int(number * _UNITS[unit])
