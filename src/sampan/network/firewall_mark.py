"""A firewall mark that opens: `--bridge-accept-fwmark`. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from sampan.errors import InvalidParameter

_BITS = 32
ALL = (1 << _BITS) - 1


@dataclass(frozen=True, slots=True)
class FirewallMark:
    """Packets whose mark is `value` in the bits of `mask`."""

    value: int
    mask: int = ALL


def parse_mark(text: str) -> FirewallMark | None:
    """`MARK` or `MARK/MASK`, numbers as Go reads them (2, 0x2, 0b10, 0o2, 02); None for "". Raises InvalidParameter."""
    if not text:
        return None
    mark, separator, mask = text.partition("/")
    return FirewallMark(_number(mark, text, "mark"), _number(mask, text, "mask") if separator else ALL)


def _number(word: str, text: str, what: str) -> int:
    wrong = f'invalid bridge-accept-fwmark: invalid firewall {what} "{text[:40]}": strconv.ParseUint: parsing "{word[:40]}": '
    octal = len(word) > 1 and word[0] == "0" and word[1:].replace("_", "").isdecimal()
    try:
        if not word.isascii() or not word[:1].isdigit() or word != word.strip():
            raise ValueError(word)
        number = int(word, 8 if octal else 0)
    except ValueError as error:
        raise InvalidParameter(wrong + "invalid syntax") from error
    if number > ALL:
        raise InvalidParameter(wrong + "value out of range")
    return number
