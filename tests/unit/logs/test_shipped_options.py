"""Options of shipped logs in Docker's words."""

import pytest

from sampan.errors import InvalidParameter
from sampan.logs.shipped_options import check_shipped, facility, fluentd_address, gelf_address, seconds, syslog_address


@pytest.mark.parametrize(
    ("driver", "options", "words"),
    [
        ("syslog", {"colour": "red"}, "unknown log opt 'colour' for syslog log driver"),
        ("syslog", {"syslog-address": "localhost"}, "syslog-address should be in form proto://address, got localhost"),
        ("syslog", {"syslog-facility": "boats"}, "invalid syslog facility"),
        ("syslog", {"syslog-facility": "24"}, "invalid syslog facility"),
        ("syslog", {"syslog-format": "rfc1"}, "invalid syslog format"),
        ("journald", {"syslog-format": "rfc5424"}, "unknown log opt 'syslog-format' for journald log driver"),
        ("fluentd", {"colour": "red"}, "unknown log opt 'colour' for fluentd log driver"),
        ("fluentd", {"fluentd-async": "maybe"}, 'strconv.ParseBool: parsing "maybe": invalid syntax'),
        (
            "fluentd",
            {"fluentd-async": "true", "fluentd-async-connect": "true"},
            "conflicting options: cannot specify both 'fluentd-async' and 'fluentd-async-connect",
        ),
        ("fluentd", {"fluentd-max-retries": "-1"}, 'strconv.ParseUint: parsing "-1": invalid syntax'),
        ("fluentd", {"fluentd-retry-wait": "soon"}, 'time: invalid duration "soon"'),
        ("fluentd", {"fluentd-buffer-limit": "much"}, "invalid size: 'much'"),
        ("gelf", {}, "gelf-address is a required parameter"),
        ("gelf", {"gelf-address": "host:1"}, "gelf-address should be in form proto://address, got host:1"),
        ("gelf", {"gelf-address": "unix:///x"}, "gelf: endpoint needs to be TCP or UDP"),
        ("gelf", {"gelf-address": "udp://host"}, "gelf: please provide gelf-address as proto://host:port"),
        ("gelf", {"gelf-address": "udp://h:1", "colour": "red"}, 'unknown log opt "colour" for gelf log driver'),
        (
            "gelf",
            {"gelf-address": "tcp://h:1", "gelf-compression-type": "gzip"},
            "compression is only supported on UDP",
        ),
        (
            "gelf",
            {"gelf-address": "udp://h:1", "gelf-compression-level": "10"},
            'unknown value "10" for log opt "gelf-compression-level" for gelf log driver',
        ),
        (
            "gelf",
            {"gelf-address": "udp://h:1", "gelf-tcp-max-reconnect": "1"},
            '"gelf-tcp-max-reconnect" is only valid for TCP',
        ),
        (
            "gelf",
            {"gelf-address": "tcp://h:1", "gelf-tcp-max-reconnect": "-1"},
            '"gelf-tcp-max-reconnect" must be a positive integer',
        ),
    ],
)
def test_refused(driver: str, options: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        check_shipped(driver, options)
    assert str(caught.value) == words


@pytest.mark.parametrize("address", ["udp://host:99999", "tcp://[::1", "tcp://host:port"])
def test_addresses_that_are_none(address: str) -> None:
    for read in (syslog_address, fluentd_address, gelf_address):
        with pytest.raises(InvalidParameter):
            read(address)


def test_addresses() -> None:
    assert syslog_address("") == ("", "", 0)
    assert syslog_address("udp://host") == ("udp", "host", 514)
    assert syslog_address("tcp+tls://[::1]:6514") == ("tcp+tls", "::1", 6514)
    assert syslog_address("unixgram:///dev/log") == ("unixgram", "/dev/log", 0)
    assert fluentd_address("") == ("tcp", "127.0.0.1", 24224)
    assert fluentd_address("host") == ("tcp", "host", 24224)
    assert fluentd_address("tcp://host:1") == ("tcp", "host", 1)
    assert fluentd_address("unix:///run/f") == ("unix", "/run/f", 0)
    assert gelf_address("tcp://host:1") == ("tcp", "host", 1)


@pytest.mark.parametrize(("text", "number"), [("", 3), ("kern", 0), ("local7", 23), ("23", 23), ("0", 0)])
def test_facilities(text: str, number: int) -> None:
    assert facility(text) == number


@pytest.mark.parametrize(
    ("text", "value"), [("", 7.0), ("1s", 1.0), ("1m30s", 90.0), ("250ms", 0.25), ("1.5h", 5400.0)]
)
def test_durations(text: str, value: float) -> None:
    assert seconds(text, 7.0) == pytest.approx(value)
