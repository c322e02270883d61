"""A pattern of an ignore file in which more than a name or an ending is written: `a/**/b`, `?`, `[a-z]`, `\\*`."""

from sampan.dockerfile.faults import quoted
from sampan.dockerfile.globs import BadGlob, bracket, not_slash
from sampan.dockerfile.ignore import BadIgnore
from sampan.dockerfile.wildcards import Step, Wildcard, literal


def _any(_char: str) -> bool:
    return True


def _none(_char: str) -> bool:
    return False


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
            steps.append(Step(not_slash, repeats=True))
        elif char == "?":
            steps.append(Step(not_slash))
        elif char == "\\":
            if at == len(pattern):
                raise BadIgnore(f"syntax error in pattern {quoted(pattern)}")
            steps.append(literal(pattern[at]))
            at += 1
        elif char == "[":
            try:
                accepts, at = bracket(pattern, at)
            except BadGlob as error:
                raise BadIgnore(str(error)) from error
            steps.append(Step(accepts))
        else:
            steps.append(literal(char))
    return Wildcard(steps)
