"""What a log says of its container beside the lines: chosen labels and variables, and the tag. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from sampan.errors import InvalidParameter, NotImplementedHere

TEXT_OPTIONS = frozenset(("labels", "labels-regex", "env", "env-regex", "tag"))
"""options that every driver which writes takes"""
_FIELD = re.compile(r"\{\{-?\s*\.(\w+)\s*-?\}\}")


@dataclass(frozen=True, slots=True)
class Subject:
    """What a tag may speak of: the container and its image. Ids are whole, `image_id` with its algorithm."""

    id: str
    name: str
    image_id: str
    image_name: str


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


def check_tag(template: str) -> None:
    """Raises NotImplementedHere for a template that `tag` cannot render."""
    tag(template, Subject("", "", "", ""))


def tag(template: str, subject: Subject) -> str:
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
