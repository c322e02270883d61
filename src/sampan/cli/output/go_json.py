"""JSON as Go writes it: compact, escaped for HTML where json.Marshal does that, and raw documents indented anew."""

from __future__ import annotations

from sampan.client import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.client.documents import Json


def compact(value: Json) -> str:
    """As an Encoder with SetEscapeHTML(false): what a template's `json` gives."""
    return documents.write(value).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def marshal(value: Json) -> str:
    """As json.Marshal: `<`, `>` and `&` escaped. They can only stand inside strings, so that a replacement is right."""
    return compact(value).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def indent(raw: str, prefix: str = "", step: str = "    ") -> str:
    """json.Indent: the same text on lines of its own, strings and numbers untouched. `raw` is valid JSON."""
    out: list[str] = []
    depth = 0
    at = 0
    fresh = False  # whether the last thing written was an opening bracket
    while at < len(raw):
        letter = raw[at]
        if letter in " \t\r\n":
            at += 1
            continue
        if fresh and letter not in "]}":
            out.append(f"\n{prefix}{step * depth}")
        if letter == '"':
            end = _string_end(raw, at)
            out.append(raw[at:end])
            at, fresh = end, False
            continue
        if letter in "[{":
            depth += 1
            out.append(letter)
        elif letter in "]}":
            depth -= 1
            out.append(letter if fresh else f"\n{prefix}{step * depth}{letter}")
        elif letter == ",":
            out.append(f",\n{prefix}{step * depth}")
        else:
            out.append(": " if letter == ":" else letter)
        fresh = letter in "[{"
        at += 1
    return "".join(out)


def _string_end(raw: str, at: int) -> int:
    scan = at + 1
    while True:
        end = raw.find('"', scan)
        if end < 0:
            return len(raw)
        slashes = 0
        while raw[end - 1 - slashes] == "\\":
            slashes += 1
        if slashes % 2 == 0:
            return end + 1
        scan = end + 1
