"""Lines of a file with a mark on those that are meant, as docker shows them."""

from __future__ import annotations

_AROUND = 3
_RULE = "-" * 20


def excerpt(name: str, text: str, first: int, last: int, column: int) -> str:
    """Lines `first` to `last` of `text`, counted from 1, with some around; under the file's name and the place.

    Control characters are shown as `?`: the file may not move the terminal's cursor.
    """
    lines = text.split("\n")
    shown = [f"{name}:{first}:{column}", _RULE]
    for number in range(max(first - _AROUND, 1), min(last + _AROUND, len(lines)) + 1):
        mark = ">>>" if first <= number <= last else "   "
        line = lines[number - 1].rstrip("\r").expandtabs(4)
        safe = "".join(char if char.isprintable() else "?" for char in line)
        shown.append(f"{number:4} | {mark} {safe}".rstrip())
    return "\n".join([*shown, _RULE])
