"""A container's log driver and its options, judged in Docker's words. Pure.

Unlike Docker's, a log without options is bounded: a container that talks for months must not fill the disk.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from sampan.errors import InvalidParameter, NotImplementedHere

DEFAULT_BYTES = 100_000_000
"""all files of a log together, where neither max-size nor max-file is given"""
DEFAULT_FILES = 5

_ELSEWHERE = ("awslogs", "etwlogs", "fluentd", "gcplogs", "gelf", "journald", "local", "splunk", "syslog")
_ATTRIBUTES = ("labels", "labels-regex", "env", "env-regex", "tag")
_KNOWN = {"max-size", "max-file", "compress", "mode", "max-buffer-size", *_ATTRIBUTES}
_MISSING = ("labels-regex", "env-regex")
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_TRUTHS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}
_FIELD = re.compile(r"\{\{-?\s*\.(\w+)\s*-?\}\}")


@dataclass(frozen=True, slots=True)
class LogSettings:
    """`driver` is json-file or none. `max_size` in bytes for each of `max_files` files; -1 is without bound."""

    driver: str
    max_size: int = -1
    max_files: int = 1


@dataclass(frozen=True, slots=True)
class Subject:
    """What a tag may speak of: the container and its image. Ids are whole, `image_id` with its algorithm."""

    id: str
    name: str
    image_id: str
    image_name: str


def parse(driver: str, options: Mapping[str, str]) -> LogSettings:
    """The settings of a container. Raises InvalidParameter in Docker's wording, NotImplementedHere by name."""
    if driver == "none":
        return LogSettings(driver)
    if driver in _ELSEWHERE:
        raise NotImplementedHere(f"the log driver {driver} is not implemented yet (json-file and none are)")
    _check_mode(options)
    if driver != "json-file":
        raise InvalidParameter(f"logger: no log driver named '{driver}' is registered")
    for name in options:
        if name not in _KNOWN:
            raise InvalidParameter(f"unknown log opt '{name}' for {driver} log driver")
        if name in _MISSING and options[name]:
            raise NotImplementedHere(f"the log option {name} is not implemented yet")
    _check_tag(options.get("tag", ""))
    settings = LogSettings(driver, *_bounds(options))
    _check_compress(options, settings)
    return settings


def attributes(options: Mapping[str, str], labels: Mapping[str, str], env: Iterable[str], subject: Subject) -> bytes:
    """The JSON object that each record carries for the options labels, env and tag; b"" where there is nothing to carry.

    Encoded as Go does it: names in order, `<`, `>`, `&` and the two line separators escaped.
    """
    variables = dict(entry.split("=", 1) for entry in env if "=" in entry)
    found = {name: labels[name] for name in options.get("labels", "").split(",") if name in labels}
    found |= {name: variables[name] for name in options.get("env", "").split(",") if name in variables}
    if tag := _tag(options.get("tag", ""), subject):
        found["tag"] = tag
    if not found:
        return b""
    encoded = msgspec.json.encode(dict(sorted(found.items())))
    for plain, escaped in ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026")):
        encoded = encoded.replace(plain, escaped)
    return encoded.replace("\u2028".encode(), b"\\u2028").replace("\u2029".encode(), b"\\u2029")


def _check_mode(options: Mapping[str, str]) -> None:
    mode = options.get("mode", "")
    if mode not in ("", "blocking", "non-blocking"):
        raise InvalidParameter(f"logger: logging mode not supported: {mode}")
    if "max-buffer-size" in options and mode != "non-blocking":
        raise InvalidParameter("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
    if mode == "non-blocking":
        raise NotImplementedHere("the log option mode=non-blocking is not implemented yet")


def _bounds(options: Mapping[str, str]) -> tuple[int, int]:
    """Docker's defaults where one of the two is given: one file, no bound. A max-file alone divides our own bound."""
    files = _number(options["max-file"]) if "max-file" in options else None
    if files is not None and files < 1:
        raise InvalidParameter("max-file cannot be less than 1")
    if "max-size" in options:
        return _size(options["max-size"]), files or 1
    files = files or DEFAULT_FILES
    return max(DEFAULT_BYTES // files, 1), files


def _size(text: str) -> int:
    """Bytes, units in powers of 1000 (go-units' FromHumanSize); -1, Docker's documented default, is without bound."""
    if text == "-1":
        return -1
    match = _SIZE.fullmatch(text)
    if match is None:
        raise InvalidParameter(f"invalid size: '{text}'")
    size = int(float(match[1]) * 1000 ** _POWERS[match[2].lower()])
    if not 0 < size < 1 << 63:
        raise InvalidParameter("max-size must be a positive number")
    return size


def _number(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise InvalidParameter(f'strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)


def _check_compress(options: Mapping[str, str], settings: LogSettings) -> None:
    text = options.get("compress", "false")
    if text not in _TRUTHS:
        raise InvalidParameter(f'strconv.ParseBool: parsing "{text}": invalid syntax')
    if not _TRUTHS[text]:
        return
    if settings.max_files < 2 or settings.max_size == -1:
        raise InvalidParameter("compress cannot be true when max-file is less than 2 or max-size is not set")
    raise NotImplementedHere("the log option compress is not implemented yet")


def _check_tag(template: str) -> None:
    _tag(template, Subject("", "", "", ""))


def _tag(template: str, subject: Subject) -> str:
    """The tag for its template, of which only fields are understood, no functions. Raises NotImplementedHere for more."""
    image = subject.image_id.removeprefix("sha256:")
    fields = {
        "ID": subject.id[:12],
        "FullID": subject.id,
        "Name": subject.name.removeprefix("/"),
        "ImageID": image[:12],
        "ImageFullID": subject.image_id,
        "ImageName": subject.image_name,
        "DaemonName": "docker",
    }
    rest = _FIELD.sub("", template)
    unknown = [name for name in _FIELD.findall(template) if name not in fields]
    if "{{" in rest or unknown:
        raise NotImplementedHere(
            f"the log option tag={template} is not implemented yet (fields such as {{{{.Name}}}} are)"
        )
    return _FIELD.sub(lambda match: fields[match[1]], template)
