"""A container's log as its definition asks for it: driver, bounds, where it lies, what it carries. From memory."""

from sampan.daemon.definition import Definition
from sampan.logs import options
from sampan.logs.attributes import Subject, attributes
from sampan.logs.options import LogSettings
from sampan.runtime.request import LogSpec


def settings(definition: Definition) -> LogSettings:
    """Driver and bounds. They were judged when the container was made."""
    asked = definition.host.log_config
    return options.parse(asked.type, asked.config or {})


def path(directory: str, definition: Definition) -> str:
    """Where the log lies, or would; `directory` is the container's."""
    return settings(definition).path(directory, definition.id)


def spec(directory: str, definition: Definition) -> LogSpec:
    """What the monitor is told of it."""
    log = settings(definition)
    if not log.writes:
        return LogSpec(None)
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
    return Subject(definition.id, definition.name, definition.image_id or "", definition.image)


def _attributes(definition: Definition) -> str:
    """What each record of the log carries beside the line, for the options labels, env and tag."""
    asked = definition.host.log_config.config or {}
    if not asked:
        return ""
    config = definition.config
    return attributes(asked, config.labels or {}, config.env or (), subject(definition)).decode()
