"""A container's log as its definition asks for it: driver, bounds, where it lies, what it carries. From memory."""

import os
import time

from sampan.daemon.definition import Definition
from sampan.errors import InvalidParameter, System
from sampan.logs import options
from sampan.logs.attributes import attributes
from sampan.logs.options import LogSettings
from sampan.logs.tags import Subject, tag
from sampan.runtime.request import LogSpec

_DEFAULT_TAG = "{{.ID}}"


def settings(definition: Definition) -> LogSettings:
    """Driver and bounds. They were judged when the container was made."""
    asked = definition.host.log_config
    return options.parse(asked.type, asked.config or {}, plugin=True)


def path(directory: str, definition: Definition) -> str:
    """Where the log lies, or would; `directory` is the container's."""
    return settings(definition).path(directory, definition.id)


def spec(directory: str, definition: Definition) -> LogSpec:
    """What the monitor is told of it. Raises System where the tag's template cannot be carried out."""
    log = settings(definition)
    if not log.writes:
        return LogSpec(None)
    if log.driver in options.DRIVERS:  # a plugin's tag is the plugin's business
        rendered_tag(definition)
    return LogSpec(
        path=log.path(directory, definition.id),
        max_size=log.max_size,
        max_files=log.max_files,
        attributes=_attributes(definition),
        format="json-file" if log.driver == "json-file" else "local",
        compress=log.compress,
        buffer=log.buffer,
    )


def subject(definition: Definition) -> Subject:
    """What a tag may speak of."""
    config = definition.config
    return Subject(
        id=definition.id,
        name=definition.name,
        image_id=definition.image_id or "",
        image_name=definition.image,
        program=definition.path,
        arguments=definition.args,
        created=_go_time(definition.created_ns),
        env=tuple(config.env or ()),
        labels=config.labels or {},
        options=definition.host.log_config.config or {},
        hostname=os.uname().nodename,
    )


def rendered_tag(definition: Definition) -> str:
    """The tag of a log that is sent elsewhere. Raises System where its template cannot be carried out."""
    template = (definition.host.log_config.config or {}).get("tag", "") or _DEFAULT_TAG
    try:
        return tag(template, subject(definition))
    except InvalidParameter as error:
        # Docker, too, looks at the template when the container starts.
        raise System(f"failed to create task for container: failed to initialize logging driver: {error}") from error


def _go_time(moment_ns: int) -> str:
    """A time in UTC as Go's fmt prints it: `2006-01-02 15:04:05.999999999 +0000 UTC`, trailing zeros left out."""
    seconds, rest = divmod(moment_ns, 10**9)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds)) + fraction + " +0000 UTC"


def _attributes(definition: Definition) -> str:
    """What each record of the log carries beside the line, for the options labels, env and tag."""
    asked = definition.host.log_config.config or {}
    if not asked or definition.host.log_config.type not in options.DRIVERS:
        return ""
    config = definition.config
    return attributes(asked, config.labels or {}, config.env or (), subject(definition)).decode()
