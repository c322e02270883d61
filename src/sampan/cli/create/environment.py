"""Environment variables and labels, from options and from files of KEY=VALUE lines."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sampan.client.documents import Document

MAX_FILE = 16 * 1024 * 1024
MAX_LINE = 64 * 1024  # a longer line is refused by Go's scanner too


class BadFile(ValueError):
    """A file that an option names cannot be used."""


def label(text: str) -> str:
    """KEY or KEY=VALUE with a key; ValueError otherwise."""
    if text.startswith("="):
        raise ValueError(f"invalid label '{text}': empty name")
    return text


def read_pairs(path: str, environ: Mapping[str, str] | None) -> list[str]:
    """The KEY=VALUE lines of a file. A bare KEY takes its value from `environ` and is left out where that has none."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise BadFile(f"open {path}: {(error.strerror or '').lower()}") from error
    if len(data) > MAX_FILE:
        raise BadFile(f"invalid env file ({path}): larger than {MAX_FILE} bytes")
    pairs: list[str] = []
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if len(raw) > MAX_LINE:
            raise BadFile(f"invalid env file ({path}): bufio.Scanner: token too long")
        try:
            line = raw.removesuffix(b"\r").decode().lstrip()
        except UnicodeDecodeError:
            raise BadFile(f"invalid env file ({path}): invalid utf8 bytes at line {number}: {list(raw)}") from None
        pair = _pair(path, line, environ)
        if pair:
            pairs.append(pair)
    return pairs


def _pair(path: str, line: str, environ: Mapping[str, str] | None) -> str:
    if not line or line.startswith("#"):
        return ""
    key, equals, _ = line.partition("=")
    if not key:
        raise BadFile(f"invalid env file ({path}): no variable name on line '{line}'")
    if " " in key or "\t" in key:
        raise BadFile(f"invalid env file ({path}): variable '{key}' contains whitespaces")
    if equals:
        return line
    return f"{key}={environ[key]}" if environ is not None and key in environ else ""


def variables(files: Iterable[str], given: Iterable[str], environ: Mapping[str, str]) -> list[str]:
    """The container's environment: files first, options after, so that an option wins. Docker removes doubles: so do we."""
    pairs = [pair for path in files for pair in read_pairs(path, environ)]
    return [*pairs, *(text if "=" in text or text not in environ else f"{text}={environ[text]}" for text in given)]


def labels(files: Iterable[str], given: Iterable[str]) -> Document:
    """The container's labels."""
    pairs = [pair for path in files for pair in read_pairs(path, None)]
    found: Document = {}
    for text in (*pairs, *given):
        key, _, value = text.partition("=")
        found[key] = value
    return found


def pairs_to_document(pairs: Iterable[str]) -> Document:
    """{"KEY": "VALUE"} from KEY=VALUE texts."""
    found: Document = {}
    for text in pairs:
        key, _, value = text.partition("=")
        found[key] = value
    return found


def proxy_variables(config: Document, host: str, given: Iterable[str]) -> list[str]:
    """The proxy settings of config.json ("proxies") as variables, but those that were given by hand."""
    from sampan.client.documents import object_of, text_of

    proxies = object_of(config, "proxies")
    chosen = object_of(proxies, host) or object_of(proxies, "default")
    named = {text.partition("=")[0] for text in given}
    found: list[str] = []
    for field, name in _PROXY_FIELDS:
        value = text_of(chosen, field)
        if value:
            found += [f"{variable}={value}" for variable in (name, name.lower()) if variable not in named]
    return found


_PROXY_FIELDS = (
    ("httpProxy", "HTTP_PROXY"),
    ("httpsProxy", "HTTPS_PROXY"),
    ("noProxy", "NO_PROXY"),
    ("ftpProxy", "FTP_PROXY"),
    ("allProxy", "ALL_PROXY"),
)


def absolute(path: str) -> str:
    """A host path that starts with a dot, made absolute: the daemon does not know this directory."""
    return os.path.abspath(path) if path.startswith(".") else path
