"""Patterns inside `${name#pattern}` and its kin: `*`, `?` and backslashes, as in a shell but without brackets."""

from sampan.dockerfile.wildcards import Step, Wildcard, literal

RESULT_LIMIT = 1 << 20
"""Characters that one expansion may make."""


class BadPattern(ValueError):
    """The pattern is malformed, or its result too long."""


def remove_prefix(value: str, pattern: str, longest: bool) -> str:
    """`${value#pattern}`, with `longest` `${value##pattern}`. Raises BadPattern."""
    end = Wildcard(_steps(pattern)).end(value, longest=longest)
    return value if end is None else value[end:]


def remove_suffix(value: str, pattern: str, longest: bool) -> str:
    """`${value%pattern}`, with `longest` `${value%%pattern}`. Raises BadPattern."""
    end = Wildcard(_steps(pattern)[::-1]).end(value[::-1], longest=longest)
    return value if end is None else value[: len(value) - end]


def replace(value: str, pattern: str, replacement: str, every: bool) -> str:
    """`${value/pattern/replacement}`, with `every` `${value//pattern/replacement}`. Raises BadPattern.

    The leftmost match counts, and of those that start there the longest.
    """
    steps = _steps(pattern)
    starts = Wildcard(steps[::-1]).ends(value[::-1])
    forward = Wildcard(steps)
    parts: list[str] = []
    size = 0
    copied = at = 0
    while at <= len(value):
        end = forward.end(value, at) if starts[len(value) - at] else None
        # An empty match right behind another does not count.
        if end is None or (end == at and at == copied and parts):
            at += 1
            continue
        parts += [value[copied:at], replacement]
        size += at - copied + len(replacement)
        if size > RESULT_LIMIT:
            raise BadPattern("the result is too long")
        copied = end
        if not every:
            break
        at = end if end > at else at + 1
    return "".join(parts) + value[copied:]


def _not_newline(char: str) -> bool:
    return char != "\n"


def _steps(pattern: str) -> list[Step]:
    steps: list[Step] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            if not (steps and steps[-1].repeats):
                steps.append(Step(_not_newline, repeats=True))
        elif char == "?":
            steps.append(Step(_not_newline))
        elif char == "\\":
            following = pattern[at : at + 1]
            at += 1
            # The first two close or part the substitution, so they are escaped for its sake.
            if following not in ("}", "/", "*", "?", "\\"):
                raise BadPattern(f"invalid escape '\\{following}'")
            steps.append(literal(following))
        else:
            steps.append(literal(char))
    return steps
