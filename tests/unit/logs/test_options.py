"""Log options: Docker's words for what is wrong, a bound for what is not said."""

import pytest

from sampan.errors import InvalidParameter
from sampan.logs.options import DRIVERS, LogSettings, parse

ABSENT = ("awslogs", "etwlogs", "gcplogs", "splunk")


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
    assert parse("none", {"what": "ever"}) == LogSettings("none", readable=False)


@pytest.mark.parametrize(
    ("options", "max_size", "max_files", "compress"),
    [
        ({}, 20_000_000, 5, True),
        ({"max-size": "1m", "max-file": "3"}, 1_000_000, 3, True),
        ({"max-file": "1", "compress": "false"}, 20_000_000, 1, False),
        ({"max-size": "0", "max-file": "0", "compress": "0"}, 1, 1, False),
        ({"labels": "a", "labels-regex": "^b", "env": "C", "env-regex": "D$", "tag": "{{.ID}}"}, 20_000_000, 5, True),
    ],
)
def test_local_is_bounded_and_packed(options: dict[str, str], max_size: int, max_files: int, compress: bool) -> None:
    assert parse("local", options) == LogSettings("local", max_size, max_files, compress)


@pytest.mark.parametrize("driver", [name for name in DRIVERS if name != "none"])
@pytest.mark.parametrize(
    ("options", "buffer"),
    [
        ({}, -1),
        ({"mode": "blocking"}, -1),
        ({"mode": "non-blocking"}, 1_000_000),
        ({"mode": "non-blocking", "max-buffer-size": "4m"}, 4 << 20),
        ({"mode": "non-blocking", "max-buffer-size": "0"}, 0),
    ],
)
def test_modes(driver: str, options: dict[str, str], buffer: int) -> None:
    needed = {"gelf-address": "udp://localhost:12201"} if driver == "gelf" else {}
    assert parse(driver, {**needed, **options}).buffer == buffer


def test_compression_needs_something_to_compress() -> None:
    assert parse("json-file", {"compress": "true"}).compress
    assert parse("json-file", {"compress": "true", "max-size": "1k", "max-file": "2"}).compress


@pytest.mark.parametrize(
    ("driver", "place"),
    [("json-file", "c-json.log"), ("local", "local-logs/container.log"), ("journald", "container-cached.log")],
)
def test_places_are_dockers(driver: str, place: str) -> None:
    assert LogSettings(driver).path("/d", "c") == f"/d/{place}"


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
        *((driver, {}, f"logger: no log driver named '{driver}' is registered") for driver in ABSENT),
        (
            "local",
            {"mode": "non-blocking", "max-buffer-size": "much"},
            "error parsing option max-buffer-size: invalid size: 'much'",
        ),
        (
            "json-file",
            {"labels-regex": "("},
            "error parsing regexp: missing ), unterminated subpattern at position 0: `(`",
        ),
        ("local", {"colour": "red"}, "unknown log opt 'colour' for log driver local"),
        ("local", {"max-size": "big"}, "invalid value for max-size: big: invalid size: 'big'"),
        ("local", {"max-size": "-1"}, "invalid value for max-size: -1: invalid size: '-1'"),
        ("local", {"max-file": "x"}, 'invalid value for max-file: x: strconv.Atoi: parsing "x": invalid syntax'),
        ("local", {"max-file": "-1"}, "max-file must not be negative"),
        ("local", {"max-file": "1"}, "compression cannot be enabled when max file count is 1"),
        (
            "local",
            {"compress": "maybe"},
            'invalid boolean value for compress: strconv.ParseBool: parsing "maybe": invalid syntax',
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
    ("driver", "options"),
    [
        ("syslog", {"syslog-address": "udp://localhost:5514", "tag": "{{.Name}}", "env": "A"}),
        ("fluentd", {"fluentd-async": "true", "labels": "a"}),
        ("gelf", {"gelf-address": "udp://localhost:12201", "gelf-compression-type": "none"}),
        ("journald", {"labels-regex": "."}),
    ],
)
def test_what_is_shipped_has_a_local_copy(driver: str, options: dict[str, str]) -> None:
    assert parse(driver, options) == LogSettings(driver, 20_000_000, 5, True)
    bounds = {"cache-max-size": "1k", "cache-max-file": "2", "cache-compress": "false", "cache-disabled": "true"}
    assert parse(driver, {**options, **bounds}) == LogSettings(driver, 1000, 2, readable=False)
