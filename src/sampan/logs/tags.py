"""The `tag` of a log: a Go template over the container, with the fields and functions that Docker's drivers give it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import msgspec

from sampan.errors import InvalidParameter
from sampan.templates.evaluate import Template
from sampan.templates.lexer import TemplateError
from sampan.templates.values import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.templates.values import Json

_LONGEST_TEMPLATE = 4096
_LONGEST = 16 * 1024
"""Characters of a tag, and of any value on the way to it: each record may carry it."""
_STEPS = 10_000
"""A template may count; it may not keep the daemon."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a tag may speak of: the container and its image. Ids are whole, `image_id` with its algorithm."""

    id: str
    name: str
    image_id: str
    image_name: str
    program: str = ""
    arguments: tuple[str, ...] = ()
    created: str = ""
    """as Go prints a time"""
    env: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    hostname: str = ""


def tag(template: str, subject: Subject) -> str:
    """The tag for its template. Raises InvalidParameter in Go's words for one that is malformed or does not fit."""
    if "{{" not in template:
        return template
    if len(template) > _LONGEST_TEMPLATE:
        raise InvalidParameter(f"template: log-tag: longer than {_LONGEST_TEMPLATE} characters")
    try:
        rendered = Template(template, _json).render(_row(subject), longest=_LONGEST, steps=_STEPS)
    except TemplateError as error:
        raise InvalidParameter(str(error).replace("template: :", "template: log-tag:", 1)) from error
    except (ValueError, OverflowError) as error:  # text that is no Unicode, a number that no machine has
        raise InvalidParameter(f"template: log-tag: {error}") from error
    return rendered.encode("utf-8", "replace").decode()


def _json(value: "Json") -> str:
    return msgspec.json.encode(value).decode()


def _row(subject: Subject) -> Row:
    """The fields and methods of the structure that Docker gives its drivers."""
    image = subject.image_id.removeprefix("sha256:")
    values: dict[str, Json] = {
        "ID": subject.id[:12],
        "FullID": subject.id,
        "Name": subject.name.removeprefix("/"),
        "ImageID": image[:12],
        "ImageFullID": subject.image_id,
        "ImageName": subject.image_name,
        "Command": " ".join((subject.program, *subject.arguments)),
        "Hostname": subject.hostname,
        "Config": {**subject.options},
        "ContainerID": subject.id,
        "ContainerName": "/" + subject.name.removeprefix("/"),
        "ContainerEntrypoint": subject.program,
        "ContainerArgs": [*subject.arguments],
        "ContainerImageID": subject.image_id,
        "ContainerImageName": subject.image_name,
        "ContainerCreated": subject.created,
        "ContainerEnv": [*subject.env],
        "ContainerLabels": {**subject.labels},
        "DaemonName": "docker",
    }
    return Row("*logger.Info", {name: partial(values.__getitem__, name) for name in values})
