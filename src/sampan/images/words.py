"""The words of a Dockerfile's instruction: quotes, backslashes, variables. Pure text."""

import re
from collections.abc import Mapping

from sampan.errors import InvalidParameter

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_BRACED = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-+])([^}]*))?\}", re.ASCII)


def split_words(text: str, variables: Mapping[str, str], keep_quotes: bool = False) -> list[str]:
    """The words of `text`, variables replaced outside single quotes; at least one. Raises InvalidParameter.

    `keep_quotes` leaves quotes as they are (the value of `ENV NAME value`).
    """
    words: list[str] = []
    current: list[str] | None = None
    quote = ""
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if char.isspace() and not quote:
            if current is not None:
                words.append("".join(current))
            current = None
            continue
        current = current if current is not None else []
        if char == quote or (char in "'\"" and not quote):
            quote = "" if quote else char
            if keep_quotes:
                current.append(char)
        elif char == "\\" and quote != "'":
            at = _escaped(text, at, quote, current)
        elif char == "$" and quote != "'":
            value, at = _variable(text, at, variables)
            current.append(value)
        else:
            current.append(char)
    if quote:
        raise InvalidParameter(f"unexpected end of statement while looking for matching {quote}")
    if current is not None:
        words.append("".join(current))
    return words or [""]


def _escaped(text: str, at: int, quote: str, current: list[str]) -> int:
    following = text[at : at + 1]
    if quote == '"' and following not in ('"', "\\", "$"):
        current.append("\\")
    current.append(following)
    return at + 1


def _variable(text: str, at: int, variables: Mapping[str, str]) -> tuple[str, int]:
    if match := _NAME.match(text, at):
        return variables.get(match[0], ""), match.end()
    match = _BRACED.match(text, at)
    if match is None:
        if text[at : at + 1] == "{":
            raise InvalidParameter(f"unsupported modifier in substitution: {text[at - 1 : at + 60]}")
        return "$", at
    name, operator, word = match.groups()
    value = variables.get(name)
    present = value is not None and (value != "" or (operator or "").startswith("-") or (operator or "") == "+")
    if operator is None:
        return value or "", match.end()
    if operator.endswith("-"):
        return (value or "") if present else word, match.end()
    return word if present else "", match.end()
