"""The functions that a template may call: Go's own and those of Docker's command and log drivers."""

from __future__ import annotations

from sampan.templates.formats import sprintf
from sampan.templates.lexer import TemplateError
from sampan.templates.values import Row, is_true, shown, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sampan.templates.values import Json, Thing

    Function = Callable[..., Thing]


_WIDEST = 1 << 20
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")
"""What Go's url.QueryEscape leaves as it is."""


def _text(value: Thing, name: str) -> str:
    if not isinstance(value, str):
        raise TemplateError(f"wrong type for value; expected string; got {type_name(value)} in {name}")
    return value


def _split(text: Thing, separator: Thing) -> Thing:
    whole, part = _text(text, "split"), _text(separator, "split")
    return [*whole.split(part)] if part else [*whole]


def _join(items: Thing, separator: Thing) -> str:
    between = _text(separator, "join")
    if items is None:
        return ""
    if isinstance(items, list):
        return between.join(shown(item) for item in items)
    if isinstance(items, dict):
        return between.join(sorted(shown(item) for item in items.values()))
    raise TemplateError(f"error calling join: expected slice, got {type_name(items)}")


def _title(text: Thing) -> str:
    out = ""
    start = True
    for letter in _text(text, "title"):
        out += letter.upper() if start else letter
        start = not (letter.isalnum() or letter in "_'")
    return out


def _pad(text: Thing, before: Thing, after: Thing) -> str:
    whole = _text(text, "pad")
    if not isinstance(before, int) or not isinstance(after, int):
        raise TemplateError("wrong type for value; expected int in pad")
    if not 0 <= before + after <= _WIDEST or min(before, after) < 0:
        raise TemplateError("error calling pad: the padding is out of range")
    return " " * before + whole + " " * after if whole else whole


def _truncate(text: Thing, length: Thing) -> str:
    whole = _text(text, "truncate")
    if not isinstance(length, int) or length < 0:
        raise TemplateError("error calling truncate: slice bounds out of range")
    return str(whole.encode("utf-8", "surrogateescape")[:length], "utf-8", "surrogateescape")


def _len(value: Thing) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogateescape"))
    if isinstance(value, (list, dict)):
        return len(value)
    if value is None:
        return 0
    raise TemplateError(f"error calling len: len of type {type_name(value)}")


def _index(value: Thing, *keys: Thing) -> Thing:
    for key in keys:
        if isinstance(value, dict):
            if not isinstance(key, str):
                raise TemplateError(f"error calling index: value has type {type_name(key)}; should be string")
            value = value.get(key)
        elif isinstance(value, (list, str)):
            if isinstance(key, bool) or not isinstance(key, int):
                raise TemplateError(f"error calling index: cannot index slice/array with type {type_name(key)}")
            if not 0 <= key < len(value):
                raise TemplateError(f"error calling index: index out of range: {key}")
            value = value.encode()[key] if isinstance(value, str) else value[key]
        elif value is None:
            raise TemplateError("error calling index: index of untyped nil")
        else:
            raise TemplateError(f"error calling index: can't index item of type {type_name(value)}")
    return value


def _slice(value: Thing, *bounds: Thing) -> Thing:
    if not isinstance(value, (str, list)):
        raise TemplateError(f"error calling slice: can't slice item of type {type_name(value)}")
    numbers = [bound for bound in bounds if isinstance(bound, int) and not isinstance(bound, bool)]
    if len(numbers) != len(bounds) or len(bounds) > 2:
        raise TemplateError("error calling slice: cannot index slice/array with these bounds")
    whole = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    first = numbers[0] if numbers else 0
    end = numbers[1] if len(numbers) > 1 else len(whole)
    for bound in (first, end):
        if not 0 <= bound <= len(whole):
            raise TemplateError(f"error calling slice: index out of range: {bound}")
    if first > end:
        raise TemplateError(f"error calling slice: invalid slice index: {first} > {end}")
    part = whole[first:end]
    return str(part, "utf-8", "replace") if isinstance(part, bytes) else part


def _comparable(left: Thing, right: Thing) -> None:
    kinds = {type_name(item) for item in (left, right)}
    if isinstance(left, (dict, list, Row)) or isinstance(right, (dict, list, Row)):
        raise TemplateError("error calling eq: non-comparable type")
    if len(kinds) > 1 and "<nil>" not in kinds and kinds != {"int", "float64"}:
        raise TemplateError("error calling eq: incompatible types for comparison")


def _eq(left: Thing, *others: Thing) -> bool:
    if not others:
        raise TemplateError("error calling eq: missing argument for comparison")
    for other in others:
        _comparable(left, other)
    return any(left == other for other in others)


def _order(name: str, test: Callable[[bool, bool], bool]) -> Function:
    def compare(left: Thing, right: Thing) -> bool:
        numbers = (int, float)
        if isinstance(left, str) and isinstance(right, str):
            return test(left < right, left == right)
        if isinstance(left, numbers) and isinstance(right, numbers) and not isinstance(left, bool):
            return test(left < right, left == right)
        raise TemplateError(f"error calling {name}: invalid type for comparison")

    return compare


def _print(*values: Thing) -> str:
    out = ""
    for position, value in enumerate(values):
        if position and not isinstance(value, str) and not isinstance(values[position - 1], str):
            out += " "
        out += shown(value)
    return out


def _html(*values: Thing) -> str:
    text = _print(*values)
    for letter, name in (
        ("&", "&amp;"),
        ("'", "&#39;"),
        ('"', "&#34;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("\0", "\ufffd"),
    ):
        text = text.replace(letter, name)
    return text


def _urlquery(*values: Thing) -> str:
    text = _print(*values).encode("utf-8", "surrogateescape")
    return "".join("+" if byte == 0x20 else chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in text)


def writing(write: Callable[[Json], str]) -> Function:
    """The function `json`, by a writer of JSON: the command and the daemon have each their own."""
    return lambda value: write(value.document() if isinstance(value, Row) else value)


FUNCTIONS: dict[str, Function] = {  # and `json`
    "eq": _eq,
    "ge": _order("ge", lambda less, _same: not less),
    "gt": _order("gt", lambda less, same: not less and not same),
    "html": _html,
    "index": _index,
    "join": _join,
    "le": _order("le", lambda less, same: less or same),
    "len": _len,
    "lower": lambda text: _text(text, "lower").lower(),
    "lt": _order("lt", lambda less, _same: less),
    "ne": lambda left, right: not _eq(left, right),
    "not": lambda value: not is_true(value),
    "pad": _pad,
    "print": _print,
    "printf": lambda form, *values: sprintf(_text(form, "printf"), list(values)),
    "println": lambda *values: " ".join(shown(value) for value in values) + "\n",
    "slice": _slice,
    "split": _split,
    "title": _title,
    "truncate": _truncate,
    "upper": lambda text: _text(text, "upper").upper(),
    "urlquery": _urlquery,
}
# A table's heading goes through the same template: what would take a value apart leaves the heading whole.
HEADING_FUNCTIONS: dict[str, Function] = {
    "join": lambda text, _separator: text,
    "json": lambda text: text,
    "lower": lambda text: text,
    "split": lambda text, _separator: text,
    "title": lambda text: text,
    "truncate": lambda text, _length: text,
    "upper": lambda text: text,
}
