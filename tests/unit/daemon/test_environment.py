"""Environment of a program."""

import pytest

from sampan.daemon import environment
from sampan.errors import InvalidParameter


def test_the_request_comes_before_the_image() -> None:
    assert environment.merged_with_image(["A=1", "P=x"], ["P=y", "B=2"]) == ("A=1", "P=x", "B=2")
    assert environment.merged_with_image([], ["P=y"]) == ("P=y",)


@pytest.mark.parametrize(
    ("configured", "tty", "result"),
    [
        ([], False, (environment.DEFAULT_PATH, "HOSTNAME=h")),
        (["PATH=/x", "A="], True, ("PATH=/x", "HOSTNAME=h", "TERM=xterm", "A=")),
        (["HOSTNAME", "B=1", "B=2"], False, (environment.DEFAULT_PATH, "B=2")),
        (["TERM=vt100", "Z"], True, (environment.DEFAULT_PATH, "HOSTNAME=h", "TERM=vt100")),
    ],
)
def test_what_a_program_gets(configured: list[str], tty: bool, result: tuple[str, ...]) -> None:
    assert environment.of_program(configured, "h", tty=tty) == result


@pytest.mark.parametrize("entry", ["", "=x", "A=\0"])
def test_entries_that_are_none(entry: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid environment variable: "):
        environment.check([entry])
