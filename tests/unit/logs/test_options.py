"""Log options: Docker's words for what is wrong, a bound for what is not said."""

import pytest

from sampan.errors import InvalidParameter, NotImplementedHere
from sampan.logs.options import LogSettings, Subject, attributes, parse

SUBJECT = Subject("0123456789ab" + "c" * 52, "/web", "sha256:fedcba987654" + "3" * 52, "nginx:1")


@pytest.mark.parametrize(
    ("options", "max_size", "max_files"),
    [
        ({}, 20_000_000, 5),
        ({"max-size": "10m"}, 10_000_000, 1),
        ({"max-size": "1.5k", "max-file": "3"}, 1500, 3),
        ({"max-size": "10 MiB", "max-file": "2"}, 10_000_000, 2),
        ({"max-size": "77"}, 77, 1),
        ({"max-size": "-1"}, -1, 1),
        ({"max-file": "4"}, 25_000_000, 4),
        ({"mode": "blocking", "compress": "f", "labels": "a", "tag": "{{.Name}}/x"}, 20_000_000, 5),
    ],
)
def test_bounds(options: dict[str, str], max_size: int, max_files: int) -> None:
    assert parse("json-file", options) == LogSettings("json-file", max_size, max_files)


def test_none_takes_any_option() -> None:
    assert parse("none", {"what": "ever"}) == LogSettings("none")


@pytest.mark.parametrize(
    ("driver", "options", "words"),
    [
        ("nonsense", {}, "logger: no log driver named 'nonsense' is registered"),
        ("json-file", {"colour": "red"}, "unknown log opt 'colour' for json-file log driver"),
        ("json-file", {"mode": "slow"}, "logger: logging mode not supported: slow"),
        (
            "json-file",
            {"max-buffer-size": "1m"},
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ),
        ("json-file", {"max-size": "big"}, "invalid size: 'big'"),
        ("json-file", {"max-size": "-5"}, "invalid size: '-5'"),
        ("json-file", {"max-size": "0"}, "max-size must be a positive number"),
        ("json-file", {"max-size": "9999999p"}, "max-size must be a positive number"),
        ("json-file", {"max-file": "0"}, "max-file cannot be less than 1"),
        ("json-file", {"max-file": "two"}, 'strconv.Atoi: parsing "two": invalid syntax'),
        ("json-file", {"compress": "yes"}, 'strconv.ParseBool: parsing "yes": invalid syntax'),
        (
            "json-file",
            {"compress": "true", "max-size": "1m"},
            "compress cannot be true when max-file is less than 2 or max-size is not set",
        ),
    ],
)
def test_refused(driver: str, options: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse(driver, options)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("driver", "options", "named"),
    [
        ("local", {}, "local"),
        ("syslog", {"syslog-address": "x"}, "syslog"),
        ("json-file", {"mode": "non-blocking"}, "non-blocking"),
        ("json-file", {"max-size": "1m", "max-file": "2", "compress": "true"}, "compress"),
        ("json-file", {"env-regex": "^A"}, "env-regex"),
        ("json-file", {"tag": "{{.Name | upper}}"}, "tag="),
        ("json-file", {"tag": "{{.Nonsense}}"}, "tag="),
    ],
)
def test_missing_by_name(driver: str, options: dict[str, str], named: str) -> None:
    with pytest.raises(NotImplementedHere, match=named):
        parse(driver, options)


@pytest.mark.parametrize(
    ("options", "encoded"),
    [
        ({}, b""),
        ({"labels": "absent"}, b""),
        ({"labels": "b,a,absent", "env": "PATH,EMPTY"}, b'{"EMPTY":"","PATH":"/bin:=x","a":"1","b":"\\u003c2\\u003e"}'),
        ({"tag": "{{.ImageName}}/{{ .Name }}/{{.ID}}"}, b'{"tag":"nginx:1/web/0123456789ab"}'),
        ({"tag": "{{.ImageID}} {{.DaemonName}}"}, b'{"tag":"fedcba987654 docker"}'),
    ],
)
def test_attributes(options: dict[str, str], encoded: bytes) -> None:
    labels = {"a": "1", "b": "<2>", "c": "3"}
    assert attributes(options, labels, ["PATH=/bin:=x", "EMPTY=", "NONE"], SUBJECT) == encoded
