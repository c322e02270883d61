"""What a log says of its container beside the lines: chosen labels and variables, and the tag (`tags`). Pure."""

import re
from collections.abc import Iterable, Mapping

import msgspec

from sampan.errors import InvalidParameter
from sampan.logs.tags import Subject, tag

TEXT_OPTIONS = frozenset(("labels", "labels-regex", "env", "env-regex", "tag"))
"""options that every driver which writes takes"""


def patterns(options: Mapping[str, str]) -> dict[str, re.Pattern[str]]:
    """The compiled labels-regex and env-regex. Raises InvalidParameter."""
    found = {}
    for name in ("labels-regex", "env-regex"):
        if text := options.get(name, ""):
            try:
                found[name] = re.compile(text)
            except (re.error, OverflowError, RecursionError) as error:
                raise InvalidParameter(f"error parsing regexp: {error}: `{text}`") from error
    return found


def extra(options: Mapping[str, str], labels: Mapping[str, str], env: Iterable[str]) -> dict[str, str]:
    """What the options labels, labels-regex, env and env-regex choose of a container's labels and variables."""
    variables = dict(entry.split("=", 1) for entry in env if "=" in entry)
    compiled = patterns(options)
    found: dict[str, str] = {}
    for option, values in (("labels", labels), ("env", variables)):
        found |= {name: values[name] for name in options.get(option, "").split(",") if name in values}
        if pattern := compiled.get(f"{option}-regex"):
            found |= {name: value for name, value in values.items() if pattern.search(name)}
    return found


def attributes(options: Mapping[str, str], labels: Mapping[str, str], env: Iterable[str], subject: Subject) -> bytes:
    """The JSON object that each record carries for the options labels, env and tag; b"" where there is nothing to carry.

    Encoded as Go does it: names in order, `<`, `>`, `&` and the two line separators escaped.
    """
    found = extra(options, labels, env)
    if rendered := tag(options.get("tag", ""), subject):
        found["tag"] = rendered
    if not found:
        return b""
    encoded = msgspec.json.encode(dict(sorted(found.items())))
    for plain, escaped in ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026")):
        encoded = encoded.replace(plain, escaped)
    return encoded.replace("\u2028".encode(), b"\\u2028").replace("\u2029".encode(), b"\\u2029")
