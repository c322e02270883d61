"""A pattern of an ignore file in which more than a name or an ending is written: `a/**/b`, `?`, `[a-z]`, `\\*`."""

from sampan.dockerfile.faults import quoted
from sampan.dockerfile.ignore import BadIgnore
from sampan.dockerfile.wildcards import Accepts, Step, Wildcard, literal


def _any(_char: str) -> bool:
    return True


def _none(_char: str) -> bool:
    return False


def _not_slash(char: str) -> bool:
    return char != "/"


def wildcard(pattern: str) -> Wildcard:
    """The pattern, compiled. Raises BadIgnore."""
    steps: list[Step] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*" and pattern[at : at + 1] == "*":
            at += 1
            at += pattern[at : at + 1] == "/"
            if at == len(pattern):
                steps.append(Step(_any, repeats=True))
            else:
                # Any number of directories, none included.
                steps += [Step(_none, optional=True), Step(_any, repeats=True), literal("/")]
        elif char == "*":
            steps.append(Step(_not_slash, repeats=True))
        elif char == "?":
            steps.append(Step(_not_slash))
        elif char == "\\":
            if at == len(pattern):
                raise BadIgnore(f"syntax error in pattern {quoted(pattern)}")
            steps.append(literal(pattern[at]))
            at += 1
        elif char == "[":
            accepts, at = _bracket(pattern, at)
            steps.append(Step(accepts))
        else:
            steps.append(literal(char))
    return Wildcard(steps)


def _bracket(pattern: str, at: int) -> tuple[Accepts, int]:
    """`[a-z]`, `[^a-z]` from behind the bracket: what it accepts, and where it ends."""
    negated = pattern[at : at + 1] == "^"
    at += negated
    ranges: list[tuple[str, str]] = []
    while pattern[at : at + 1] != "]" or not ranges:
        low, at = _bracket_char(pattern, at)
        high = low
        if pattern[at : at + 1] == "-":
            high, at = _bracket_char(pattern, at + 1)
        if high < low:
            raise BadIgnore(f"syntax error in pattern {quoted(pattern)}")
        ranges.append((low, high))
    return (lambda char: negated != any(low <= char <= high for low, high in ranges)), at + 1


def _bracket_char(pattern: str, at: int) -> tuple[str, int]:
    char = pattern[at : at + 1]
    if char == "\\":
        at += 1
        char = pattern[at : at + 1]
    elif char in ("-", "]"):
        char = ""
    if not char:
        raise BadIgnore(f"syntax error in pattern {quoted(pattern)}")
    return char, at + 1
