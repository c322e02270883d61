"""Columns, sizes, ages, moments, JSON in Go's form."""

import json

import pytest

from sampan.cli.output.columns import align, align_text
from sampan.cli.output.go_json import indent, marshal
from sampan.cli.output.listing import ellipsis, natural, truncated
from sampan.cli.output.progress import messages
from sampan.cli.output.units import ago, binary_size, decimal_size, parse_time
from sampan.cli.verbs.ps import displayable_ports
from sampan.client.documents import MalformedDocument
from sampan.spec.durations import human


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"), (119, "About a minute"),
        (120, "2 minutes"), (3599, "59 minutes"), (3600, "About an hour"), (5399, "About an hour"), (5400, "2 hours"),
        (47 * 3600, "47 hours"), (48 * 3600, "2 days"), (13 * 86400, "13 days"), (14 * 86400, "2 weeks"), (59 * 86400, "8 weeks"),
        (60 * 86400, "2 months"), (729 * 86400, "24 months"), (731 * 86400, "2 years"),
    ],
)  # fmt: skip
def test_ages(seconds: float, text: str) -> None:
    assert human(seconds) == text
    assert ago(1000, now=1000 + seconds) == f"{text} ago"


@pytest.mark.parametrize(
    ("size", "digits", "text"),
    [(0, 3, "0B"), (999, 3, "999B"), (1982475, 3, "1.98MB"), (1982475, 4, "1.982MB"), (1e9, 3, "1GB")],
)
def test_decimal_sizes(size: float, digits: int, text: str) -> None:
    assert decimal_size(size, digits) == text


def test_binary_sizes() -> None:
    assert binary_size(25276510208) == "23.54GiB"


@pytest.mark.parametrize(
    ("text", "moment"),
    [("1970-01-01T00:00:00Z", 0), ("2026-11-23T21:05:12.5Z", 1795467912.5), ("2026-11-23T22:05:12+01:00", 1795467912),
     ("2000-02-29T12:00:00Z", 951825600), ("0001-01-01T00:00:00Z", 0)],
)  # fmt: skip
def test_moments(text: str, moment: float) -> None:
    assert parse_time(text) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-23", "2026-11-23T21:05:12", "2026-11-23T21:05:12+0100"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match="RFC 3339"):
        parse_time(text)


def test_columns_are_at_least_ten_wide_and_three_apart() -> None:
    assert align([["A", "LONG HEADING", "C"], ["a value that is long", "b", "c"]]) == [
        "A                      LONG HEADING   C",
        "a value that is long   b              c",
    ]


def test_a_row_without_a_cell_ends_the_column() -> None:
    assert align_text("a\tb\nno tab\nlonger than ten\tc") == "a         b\nno tab\nlonger than ten   c"


def test_wide_characters_take_two_columns() -> None:
    assert align([["舢板容器引擎", "x"], ["ab", "y"]]) == ["舢板容器引擎   x", "ab             y"]
    assert ellipsis("舢板容器", 6) == "舢板…"


def test_ellipsis_and_ids() -> None:
    assert [ellipsis("abcdef", 6), ellipsis("abcdefg", 6)] == ["abcdef", "abcde…"]
    assert [truncated("sha256:" + "a" * 64), truncated("b" * 64)] == ["a" * 12, "b" * 12]


def test_natural_order() -> None:
    assert sorted(["v10", "v2", "a", "v1", "64ed", "9df"], key=natural) == ["9df", "64ed", "a", "v1", "v2", "v10"]


@pytest.mark.parametrize(
    "value", [[], {}, [[], {}], {"a": [1, {"b": 'x, y: [z] \\" {'}], "c": {}, "d": None, "e": "\\"}, [1.0, "é"]]
)
def test_indenting_changes_only_white_space(value: object) -> None:
    for raw in (json.dumps(value), json.dumps(value, indent=1), json.dumps(value, separators=(",", ":"))):
        assert indent(raw) == json.dumps(value, indent=4)


def test_indenting_leaves_numbers_and_escapes_alone() -> None:
    assert indent('{"n":1.50e3,"s":"\\u003c"}') == '{\n    "n": 1.50e3,\n    "s": "\\u003c"\n}'


def test_marshal_escapes_for_html() -> None:
    assert marshal({"a": "<&>\u2028"}) == '{"a":"\\u003c\\u0026\\u003e\\u2028"}'


def port(private: int, public: int = 0, ip: str = "", kind: str = "tcp") -> dict[str, object]:
    return {"PrivatePort": private, "PublicPort": public, "IP": ip, "Type": kind}


@pytest.mark.parametrize(
    ("ports", "text"),
    [
        ([], ""),
        ([port(80)], "80/tcp"),
        ([port(80, 8080, "0.0.0.0"), port(80, 8080, "::")], "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"),
        ([port(81), port(80), port(82), port(90)], "80-82/tcp, 90/tcp"),
        ([port(80, 80, "0.0.0.0"), port(81, 81, "0.0.0.0"), port(53, kind="udp")], "53/udp, 0.0.0.0:80-81->80-81/tcp"),
    ],
)
def test_ports(ports: list[dict[str, object]], text: str) -> None:
    assert displayable_ports(ports) == text  # type: ignore[arg-type]


def test_messages_of_a_stream() -> None:
    assert list(messages([b'{"a":1}\n{"b"', b":2}\r\n\n", b'{"c":3}'])) == [{"a": 1}, {"b": 2}, {"c": 3}]
    with pytest.raises(MalformedDocument):
        list(messages([b"not json\n"]))
