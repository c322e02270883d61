"""One line of comma-separated fields with quotes, as Go's encoding/csv reads them (--mount, --network, --gpus)."""

from __future__ import annotations


def fields(text: str) -> list[str]:
    """The fields of `text`; a quoted field may hold commas and doubled quotes. ValueError for a stray or open quote."""
    found: list[str] = []
    at = 0
    while True:
        if text[at : at + 1] == '"':
            value, at = _quoted(text, at + 1)
        else:
            end = text.find(",", at)
            end = len(text) if end < 0 else end
            value = text[at:end]
            if '"' in value:
                column = at + value.index('"') + 1
                raise ValueError(f'parse error on line 1, column {column}: bare " in non-quoted-field')
            at = end
        found.append(value)
        if at >= len(text):
            return found
        at += 1


def _quoted(text: str, at: int) -> tuple[str, int]:
    value = ""
    while True:
        end = text.find('"', at)
        if end < 0:
            raise ValueError(f'parse error on line 1, column {len(text) + 1}: extraneous or missing " in quoted-field')
        value += text[at:end]
        follower = text[end + 1 : end + 2]
        if follower == '"':
            value += '"'
            at = end + 2
        elif follower in ("", ","):
            return value, end + 1
        else:
            raise ValueError(f'parse error on line 1, column {end + 1}: extraneous or missing " in quoted-field')
