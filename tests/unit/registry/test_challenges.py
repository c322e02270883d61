"""WWW-Authenticate, well formed and not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.registry.challenges import Challenge, parse_challenges


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('Bearer realm="https://a/t",service="s"', [Challenge("bearer", {"realm": "https://a/t", "service": "s"})]),
        ("Basic realm=tests", [Challenge("basic", {"realm": "tests"})]),
        ('BASIC Realm = "a b"', [Challenge("basic", {"realm": "a b"})]),
        (
            'Basic realm="a", Bearer realm="b"',
            [Challenge("basic", {"realm": "a"}), Challenge("bearer", {"realm": "b"})],
        ),
        ('Negotiate, Basic realm="a"', [Challenge("negotiate"), Challenge("basic", {"realm": "a"})]),
        (r'Bearer realm="a\"b,\\c"', [Challenge("bearer", {"realm": 'a"b,\\c'})]),
        ('Bearer scope="repository:a/b:pull,push"', [Challenge("bearer", {"scope": "repository:a/b:pull,push"})]),
        ('Bearer realm="first",realm="second"', [Challenge("bearer", {"realm": "first"})]),
        ('Bearer realm="never closed', [Challenge("bearer")]),
        ("", []),
        ("=, nothing", []),
    ],
)
def test_lines(line: str, expected: list[Challenge]) -> None:
    assert parse_challenges([line])[: len(expected)] == tuple(expected)


def test_several_lines() -> None:
    assert [one.scheme for one in parse_challenges(["Basic realm=a", "Bearer realm=b"])] == ["basic", "bearer"]


@given(st.lists(st.text(max_size=200), max_size=4))
def test_nothing_breaks_it(lines: list[str]) -> None:
    for challenge in parse_challenges(lines):
        assert challenge.scheme == challenge.scheme.lower() != ""


_words = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=8)


@given(_words, st.dictionaries(_words, st.text(st.characters(codec="latin-1"), max_size=30), min_size=1, max_size=4))
def test_what_is_written_is_read(scheme: str, parameters: dict[str, str]) -> None:
    escaped = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in parameters.items()}
    line = f"{scheme} " + ", ".join(f'{name}="{value}"' for name, value in escaped.items())
    assert parse_challenges([line]) == (Challenge(scheme, parameters),)
