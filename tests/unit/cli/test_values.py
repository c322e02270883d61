"""Values of options: the texts Docker takes, and its words for those it does not."""

from collections.abc import Callable

import pytest

from sampan.cli.values import convert, duration, nano_cpus, ram_bytes

SECOND = 10**9


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0), ("1", 1), ("512m", 512 << 20), ("1.5G", 3 << 29), ("10kb", 10240), ("10 KiB", 10240), ("1tB", 1 << 40),
        ("1b", 1), ("1p", 1 << 50), (".5k", 512),
    ],
)  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert ram_bytes(text) == size


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("", "invalid size: ''"), ("x", "invalid size: 'x'"), ("-1", "invalid size: '-1'"), ("1z", "invalid suffix: 'z'"),
     ("1ib", "invalid suffix: 'ib'"), ("1kk", "invalid suffix: 'kk'"), ("1.2.3", "invalid size: '1.2.3'")],
)  # fmt: skip
def test_wrong_sizes(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match="invalid") as caught:
        ram_bytes(text)
    assert str(caught.value) == complaint


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("0", 0), ("1s", SECOND), ("1m30s", 90 * SECOND), ("1.5h", 5400 * SECOND), ("300ms", 300_000_000), ("-1s", -SECOND),
     ("1h2m3s4ms5us6ns", 3723004005006), ("+5µs", 5000)],
)  # fmt: skip
def test_durations(text: str, nanoseconds: int) -> None:
    assert duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("", 'time: invalid duration ""'), ("x", 'time: invalid duration "x"'), ("5", 'time: missing unit in duration "5"'),
     ("5d", 'time: unknown unit "d" in duration "5d"'), (".s", 'time: invalid duration ".s"')],
)  # fmt: skip
def test_wrong_durations(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match="time:") as caught:
        duration(text)
    assert str(caught.value) == complaint


@pytest.mark.parametrize(
    ("text", "nano"),
    [("1", SECOND), ("1.5", 3 * SECOND // 2), (".25", SECOND // 4), ("0.000000001", 1), ("2.", 2 * SECOND)],
)
def test_cpus(text: str, nano: int) -> None:
    assert nano_cpus(text) == nano


@pytest.mark.parametrize(("kind", "text"), [
    ("uint16", "65536"), ("uint16", "-1"), ("int", "x"), ("int", ""), ("int", "9223372036854775808"), ("int", "1 "),
    ("bool", "yes"), ("decimal", "1.0000000001"), ("attach", "x"), ("filter", "x"), ("assignment", "=x"),
    ("ulimit", "nofile"), ("ulimit", "nope=1"), ("ulimit", "nofile=2:1"), ("mount", ""), ("mount", "type=bind"),
    ("mount", 'dst=/x,"src=a'), ("dns", "x"), ("add-host", "a"), ("device-rule", "c 1 rwm"),
    ("sysctl", "vm.swappiness=1"), ("gpu-request", "count=x"), ("label", "=x"), ("link", "a:b:c"),
])  # fmt: skip
def test_refused(kind: str, text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        convert(kind, text)


@pytest.mark.parametrize(("kind", "text", "value"), [
    ("int", "0x10", 16), ("int", "-3", -3), ("swap", "-1", -1), ("filter", " Name = x ", "name=x"), ("attach", "StdIn", "stdin"),
    ("ulimit", "nofile=-1", {"Name": "nofile", "Soft": -1, "Hard": -1}), ("bool", "T", True), ("unknown-kind", "x", "x"),
    ("network", "name=", {"Target": "name="}),  # as docker has it: a network may be called so
])  # fmt: skip
def test_taken(kind: str, text: str, value: object) -> None:
    assert convert(kind, text) == value


def test_every_kind_that_lives_elsewhere_exists() -> None:
    from importlib import import_module

    from sampan.cli.values import _ELSEWHERE

    for module, name in _ELSEWHERE.values():
        function: Callable[[str], object] = getattr(import_module(module), name)
        assert callable(function)
