"""Options of the drivers whose logs are sent elsewhere, judged in Docker's words. Pure."""

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from sampan.errors import InvalidParameter
from sampan.logs.attributes import TEXT_OPTIONS

FACILITIES = {
    "kern": 0,
    "user": 1,
    "mail": 2,
    "daemon": 3,
    "auth": 4,
    "syslog": 5,
    "lpr": 6,
    "news": 7,
    "uucp": 8,
    "cron": 9,
    "authpriv": 10,
    "ftp": 11,
    **{f"local{number}": 16 + number for number in range(8)},
}
"""syslog(3)'s, by Docker's names."""
SYSLOG_FORMATS = ("", "rfc3164", "rfc5424", "rfc5424micro")
FLUENTD_PORT = 24224
SYSLOG_PORT = 514

_TRANSPORT = re.compile(r"(?:tcp|tcp\+tls|udp|unix|unixgram)://")
_BOOLEANS = frozenset(("", "1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"))
_SYSLOG = {
    *("syslog-address", "syslog-facility", "syslog-format", "syslog-tls-ca-cert", "syslog-tls-cert", "syslog-tls-key"),
    "syslog-tls-skip-verify",
}
_FLUENTD_BOOLEANS = ("fluentd-async", "fluentd-async-connect", "fluentd-request-ack", "fluentd-sub-second-precision")
_FLUENTD = {
    *("fluentd-address", "fluentd-buffer-limit", "fluentd-max-retries", "fluentd-retry-wait", "fluentd-write-timeout"),
    *_FLUENTD_BOOLEANS,
}
_GELF_COMPRESSION = ("gelf-compression-type", "gelf-compression-level")
_GELF_TCP = ("gelf-tcp-max-reconnect", "gelf-tcp-reconnect-delay")
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)")
_DURATION = re.compile(f"(?:{_DURATION_PART.pattern})+")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def is_true(text: str) -> bool:
    """A boolean option as Go reads it; none is false."""
    return text in ("1", "t", "T", "TRUE", "true", "True")


def seconds(text: str, default: float) -> float:
    """A duration option as Go reads it (`1.5s`, `200ms`, `1m30s`)."""
    if not text:
        return default
    return sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(text))


def check_shipped(driver: str, options: Mapping[str, str]) -> None:
    """Raises InvalidParameter in the driver's own wording."""
    _CHECKS[driver](options)


def syslog_address(text: str) -> tuple[str, str, int]:
    """(transport, host or path, port); "" is the machine's own syslog."""
    if not text:
        return "", "", 0
    if not _TRANSPORT.match(text):
        raise InvalidParameter(f"syslog-address should be in form proto://address, got {text}")
    url = _split(text, "syslog-address")
    if url.scheme.startswith("unix"):
        return url.scheme, url.path, 0
    host, port = _host_and_port(url, "syslog-address", SYSLOG_PORT)
    return url.scheme, host, port


def fluentd_address(text: str) -> tuple[str, str, int]:
    """(tcp or unix, host or path, port)."""
    if not text:
        return "tcp", "127.0.0.1", FLUENTD_PORT
    url = _split(text if _TRANSPORT.match(text) else f"tcp://{text}", f"invalid fluentd-address {text}")
    if url.scheme == "unix":
        return url.scheme, url.path, 0
    if url.scheme not in ("tcp", "tcp+tls"):
        raise InvalidParameter(f"invalid fluentd-address {text}: unsupported scheme: '{url.scheme}'")
    if url.path not in ("", "/") or not url.hostname:
        raise InvalidParameter(f"invalid fluentd-address {text}: the address is host:port")
    host, port = _host_and_port(url, f"invalid fluentd-address {text}", FLUENTD_PORT)
    return url.scheme, host, port


def gelf_address(text: str) -> tuple[str, str, int]:
    """(udp or tcp, host, port)."""
    if not text:
        raise InvalidParameter("gelf-address is a required parameter")
    if not _TRANSPORT.match(text):
        raise InvalidParameter(f"gelf-address should be in form proto://address, got {text}")
    url = _split(text, "gelf-address")
    if url.scheme not in ("udp", "tcp"):
        raise InvalidParameter("gelf: endpoint needs to be TCP or UDP")
    host, port = _host_and_port(url, "gelf", 0)
    if not port:
        raise InvalidParameter("gelf: please provide gelf-address as proto://host:port")
    return url.scheme, host, port


def facility(text: str) -> int:
    """The number of a syslog facility; the default is daemon."""
    if text in FACILITIES:
        return FACILITIES[text]
    if text.isdecimal() and text.isascii() and len(text) < 3 and int(text) <= 23:
        return int(text)
    if text:
        raise InvalidParameter("invalid syslog facility")
    return FACILITIES["daemon"]


def _syslog(options: Mapping[str, str]) -> None:
    _known(options, _SYSLOG, "unknown log opt '%s' for syslog log driver")
    syslog_address(options.get("syslog-address", ""))
    facility(options.get("syslog-facility", ""))
    if options.get("syslog-format", "") not in SYSLOG_FORMATS:
        raise InvalidParameter("invalid syslog format")


def _journald(options: Mapping[str, str]) -> None:
    _known(options, set(), "unknown log opt '%s' for journald log driver")


def _fluentd(options: Mapping[str, str]) -> None:
    _known(options, _FLUENTD, "unknown log opt '%s' for fluentd log driver")
    address = fluentd_address(options.get("fluentd-address", ""))
    if address[0] == "tcp+tls":
        raise InvalidParameter("invalid fluentd-address: TLS is not supported by this driver")
    if options.get("fluentd-async") and options.get("fluentd-async-connect"):
        raise InvalidParameter("conflicting options: cannot specify both 'fluentd-async' and 'fluentd-async-connect")
    for name in _FLUENTD_BOOLEANS:
        if (text := options.get(name, "")) not in _BOOLEANS:
            raise InvalidParameter(f'strconv.ParseBool: parsing "{text}": invalid syntax')
    if (text := options.get("fluentd-max-retries", "")) and not re.fullmatch(r"[0-9]{1,18}", text):
        raise InvalidParameter(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    for name in ("fluentd-retry-wait", "fluentd-write-timeout"):
        if (text := options.get(name, "")) and not _DURATION.fullmatch(text):
            raise InvalidParameter(f'time: invalid duration "{text}"')
    if (text := options.get("fluentd-buffer-limit", "")) and not re.fullmatch(
        r"\d+(\.\d+)? ?[kmgtp]?(i?b)?", text.lower()
    ):
        raise InvalidParameter(f"invalid size: '{text}'")


def _gelf(options: Mapping[str, str]) -> None:
    scheme = gelf_address(options.get("gelf-address", ""))[0]
    known = {"gelf-address", *_GELF_COMPRESSION, *_GELF_TCP}
    for name, value in options.items():
        if name not in known and name not in TEXT_OPTIONS:
            raise InvalidParameter(f'unknown log opt "{name}" for gelf log driver')
        if name in _GELF_COMPRESSION and scheme != "udp":
            raise InvalidParameter("compression is only supported on UDP")
        if name in _GELF_TCP and scheme != "tcp":
            raise InvalidParameter(f'"{name}" is only valid for TCP')
        if name in _GELF_TCP and not re.fullmatch(r"[0-9]{1,9}", value):
            raise InvalidParameter(f'"{name}" must be a positive integer')
        wrong_level = name == "gelf-compression-level" and not re.fullmatch(r"-1|[0-9]", value)
        if wrong_level or (name == "gelf-compression-type" and value not in ("gzip", "zlib", "none")):
            raise InvalidParameter(f'unknown value "{value}" for log opt "{name}" for gelf log driver')


_CHECKS = {"fluentd": _fluentd, "gelf": _gelf, "journald": _journald, "syslog": _syslog}


def _known(options: Mapping[str, str], known: set[str], words: str) -> None:
    for name in options:
        if name not in known and name not in TEXT_OPTIONS:
            raise InvalidParameter(words % name)


def _split(text: str, what: str) -> SplitResult:
    try:
        return urlsplit(text)
    except ValueError as error:
        raise InvalidParameter(f"{what}: {error}") from error


def _host_and_port(url: SplitResult, what: str, default: int) -> tuple[str, int]:
    try:
        return url.hostname or "", url.port or default
    except ValueError as error:
        raise InvalidParameter(f"{what}: {error}") from error
