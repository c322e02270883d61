"""Go's Printf over JSON values: the verbs and flags that templates use."""

from __future__ import annotations

from sampan.templates.values import shown, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.templates.values import Thing

_FLAGS = "+-# 0"
_WIDEST = 10_000


def sprintf(form: str, values: list[Thing]) -> str:
    """`form` with its verbs filled; too few and too many values are shown as Go shows them."""
    out = ""
    at = 0
    used = 0
    while at < len(form):
        if form[at] != "%":
            out += form[at]
            at += 1
            continue
        end = at + 1
        while end < len(form) and (form[end] in _FLAGS or form[end].isdigit() or form[end] == "."):
            end += 1
        verb = form[end : end + 1]
        if verb == "%":
            out += "%"
        elif not verb:
            out += "%!(NOVERB)"
        elif used >= len(values):
            out += f"%!{verb}(MISSING)"
        else:
            out += _one(form[at + 1 : end], verb, values[used])
            used += 1
        at = end + 1
    if used < len(values):
        out += "%!(EXTRA " + ", ".join(f"{type_name(value)}={shown(value)}" for value in values[used:]) + ")"
    return out


def _one(modifiers: str, verb: str, value: Thing) -> str:
    flags = modifiers[: len(modifiers) - len(modifiers.lstrip(_FLAGS))]
    width, _, precision = modifiers[len(flags) :].partition(".")
    text = _verb(verb, value, flags, precision if "." in modifiers else None)
    room = _bounded(width)
    if "-" in flags:
        return text.ljust(room)
    if "0" in flags and verb in "dxXof" and not isinstance(value, str):
        return text.zfill(room)
    return text.rjust(room)


def _bounded(digits: str) -> int:
    """A width or precision; a format that asks for more than a screen ever has gets that."""
    return min(int(digits[:8]), _WIDEST) if digits.isdecimal() else 0


def _verb(verb: str, value: Thing, flags: str, precision: str | None) -> str:
    if verb in ("v", "s"):
        if verb == "s" and isinstance(value, (bool, int, float)):
            return f"%!s({type_name(value)}={shown(value)})"
        text = shown(value)
        return text if precision is None or not isinstance(value, str) else text[: _bounded(precision)]
    if verb == "q" and isinstance(value, (str, list)):
        if isinstance(value, list):
            return "[" + " ".join(quoted(shown(item)) for item in value) + "]"
        return quoted(value)
    if verb == "T":
        return type_name(value)
    if verb == "t" and isinstance(value, bool):
        return shown(value)
    if verb in "dxXobcU" and isinstance(value, int) and not isinstance(value, bool):
        return _integer(verb, value, flags)
    if verb in "xX" and isinstance(value, str):
        text = value.encode("utf-8", "surrogateescape").hex()
        return text if verb == "x" else text.upper()
    if verb in "feg" and isinstance(value, float):
        return f"{value:{'+' if '+' in flags else ''}.{_bounded(precision) if precision else 6}{verb}}"
    return f"%!{verb}({type_name(value)}={shown(value)})"


def _integer(verb: str, value: int, flags: str) -> str:
    if verb == "c":
        return chr(value) if 0 <= value <= 0x10FFFF else "\ufffd"
    if verb == "U":
        return f"U+{value:04X}"
    prefix = "0" + verb if "#" in flags and verb in "xX" else ""
    sign = "+" if "+" in flags and value >= 0 else "-" if value < 0 else ""
    return sign + prefix + format(abs(value), verb)


_NAMED = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}


def quoted(text: str) -> str:
    """strconv.Quote: a Go string literal."""
    out = ""
    for letter in text:
        code = ord(letter)
        if letter in _NAMED:
            out += _NAMED[letter]
        elif letter.isprintable():
            out += letter
        elif code < 0x80:
            out += f"\\x{code:02x}"
        elif 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8
            out += f"\\x{code - 0xDC00:02x}"
        else:
            out += f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
    return '"' + out + '"'
