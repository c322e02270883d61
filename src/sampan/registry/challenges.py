"""`WWW-Authenticate` as RFC 9110, section 11.6.1 has it: several challenges, each a scheme with parameters."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SCHEME = re.compile(rf"({_WORD})(?=\s|,|$)")
_PARAMETER = re.compile(rf'({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))', re.DOTALL)
_BETWEEN = re.compile(r"[\s,]*")
_LIMIT = 8192


@dataclass(frozen=True, slots=True)
class Challenge:
    """`scheme` and the parameters' names are in lower case."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def parse_challenges(values: Iterable[str]) -> tuple[Challenge, ...]:
    """The challenges of all header lines. What cannot be read ends its line; the line's challenges before it stand."""
    return tuple(challenge for value in values for challenge in _of_line(value[:_LIMIT]))


def _of_line(text: str) -> list[Challenge]:
    found: list[Challenge] = []
    at = _after(_BETWEEN.match(text), 0)
    while at < len(text):
        if (parameter := _PARAMETER.match(text, at)) is not None and found:
            name, quoted, plain = parameter.groups()
            value = plain if plain is not None else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
            found[-1].parameters.setdefault(name.lower(), value)
            at = parameter.end()
        elif (scheme := _SCHEME.match(text, at)) is not None:
            found.append(Challenge(scheme[1].lower()))
            at = scheme.end()
        else:
            break
        at = _after(_BETWEEN.match(text, at), at)
    return found


def _after(match: re.Match[str] | None, at: int) -> int:
    return match.end() if match is not None else at
