"""Templates into pieces: text, and the words of each {{action}}. Source: the documentation of Go's text/template."""

from __future__ import annotations

_SPACE = " \t\r\n"
_CONTROL = ("(", ")", "|", ",")


class TemplateError(ValueError):
    """The template cannot be parsed or carried out; the text is what Go would say after "template: "."""


class Token:
    """One word of an action. `kind`: field, variable, name, number, string, char, or the punctuation itself.

    `spaced` is whether white space stood before it: ".A .B" are two operands, ".A.B" is one.
    """

    __slots__ = ("at", "kind", "spaced", "text")

    def __init__(self, kind: str, text: str, spaced: bool) -> None:
        self.kind = kind
        self.text = text
        self.spaced = spaced
        self.at = 0  # where it stands in the template, for messages

    def __repr__(self) -> str:
        return f"<{self.kind} {self.text}>"


def pieces(source: str) -> list[str | list[Token]]:
    """Texts and actions in order; {{- and -}} have eaten the white space beside them, comments are gone."""
    found: list[str | list[Token]] = []
    at = 0
    trim = False
    while True:
        start = source.find("{{", at)
        text = source[at:] if start < 0 else source[at:start]
        if trim:
            text = text.lstrip(_SPACE)
        if start < 0:
            found.append(text)
            return found
        inner, end, trim_before, trim = _action(source, start)
        if trim_before:
            text = text.rstrip(_SPACE)
        found.append(text)
        if not inner.startswith("/*"):
            words = tokens(inner)
            base = source.index(inner, start) if inner else start
            for word in words:
                word.at += base
            found.append(words)
        at = end


def _action(source: str, start: int) -> tuple[str, int, bool, bool]:
    begin = start + 2
    trim_before = source[begin : begin + 1] == "-" and source[begin + 1 : begin + 2] in (*_SPACE,)
    if trim_before:
        begin += 2
    if source.startswith("/*", begin):
        close = source.find("*/", begin)
        if close < 0:
            raise TemplateError(":1: unclosed comment")
        end = source.find("}}", close)
    else:
        end = _closing(source, begin)
    if end < 0:
        raise TemplateError(":1: unclosed action")
    trim_after = source[end - 1 : end] == "-" and source[end - 2 : end - 1] in (*_SPACE,)
    return source[begin : end - 2 if trim_after else end], end + 2, trim_before, trim_after


def _closing(source: str, at: int) -> int:
    while at < len(source):
        letter = source[at]
        if letter in "\"'`":
            at = _quoted_end(source, at)
            continue
        if source.startswith("}}", at):
            return at
        at += 1
    return -1


def _quoted_end(source: str, at: int) -> int:
    quote = source[at]
    scan = at + 1
    while scan < len(source):
        if source[scan] == "\\" and quote != "`":
            scan += 2
            continue
        if source[scan] == quote:
            return scan + 1
        if source[scan] == "\n" and quote != "`":
            break
        scan += 1
    kind = {'"': "quoted string", "'": "character constant", "`": "raw quoted string"}[quote]
    raise TemplateError(f":1: unterminated {kind}")


def tokens(inner: str) -> list[Token]:
    """The words of one action."""
    found: list[Token] = []
    at = 0
    spaced = True
    while at < len(inner):
        letter = inner[at]
        if letter in _SPACE:
            at += 1
            spaced = True
            continue
        begin = at
        token, at = _token(inner, begin, spaced)
        token.at = begin
        found.append(token)
        spaced = False
    return found


def _token(inner: str, at: int, spaced: bool) -> tuple[Token, int]:
    letter = inner[at]
    if letter in _CONTROL:
        return Token(letter, letter, spaced), at + 1
    if inner.startswith(":=", at):
        return Token(":=", ":=", spaced), at + 2
    if letter == "=":
        return Token("=", "=", spaced), at + 1
    if letter in "\"'`":
        end = _quoted_end(inner, at)
        text = _unquoted(inner[at:end])
        if letter == "'" and len(text) != 1:
            raise TemplateError(f":1: malformed character constant: {inner[at:end]}")
        return Token("char" if letter == "'" else "string", text, spaced), end
    if letter.isdigit() or (letter in "+-" and inner[at + 1 : at + 2].isdigit()):
        return _word(inner, at, "number", spaced, "+-._")
    if letter == ".":
        return _word(inner, at, "field", spaced, "_", 1)
    if letter == "$":
        return _word(inner, at, "variable", spaced, "_", 1)
    if letter.isalpha() or letter == "_":
        return _word(inner, at, "name", spaced, "_")
    raise TemplateError(
        f":1: unexpected {_shown(letter)} in operand"
        if letter in "{}"
        else f":1: unrecognized character in action: {_rune(letter)}"
    )


def _shown(letter: str) -> str:
    return f'"{letter}"'


def _rune(letter: str) -> str:
    return f"U+{ord(letter):04X} '{letter}'"


def _word(inner: str, at: int, kind: str, spaced: bool, more: str, skip: int = 0) -> tuple[Token, int]:
    end = at + max(skip, 1)
    while end < len(inner) and (inner[end].isalnum() or inner[end] in more):
        end += 1
    return Token(kind, inner[at + skip : end], spaced), end


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_CODES = {"x": 2, "u": 4, "U": 8}


def _unquoted(quoted: str) -> str:
    body = quoted[1:-1]
    if quoted[0] == "`" or "\\" not in body:
        return body
    out = ""
    at = 0
    while at < len(body):
        if body[at] != "\\":
            out += body[at]
            at += 1
            continue
        letter = body[at + 1 : at + 2]
        if letter in _ESCAPES:
            out += _ESCAPES[letter]
            at += 2
        elif letter in _CODES and len(body) >= at + 2 + _CODES[letter]:
            digits = body[at + 2 : at + 2 + _CODES[letter]]
            try:
                out += chr(int(digits, 16))
            except (ValueError, OverflowError):
                raise TemplateError(f":1: invalid syntax: {quoted}") from None
            at += 2 + _CODES[letter]
        else:
            raise TemplateError(f":1: invalid syntax: {quoted}")
    return out
