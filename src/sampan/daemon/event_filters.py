"""Which events a listener asked for: `--filter` in Docker's rules. Pure."""

from sampan.daemon import matching
from sampan.daemon.matching import Filters
from sampan.spec.events import Message

_FUZZY = frozenset({"health_status", "exec_create", "exec_start"})
"""Actions that carry a text behind a colon; asked for without it, they are compared by their beginning."""
_SUBJECTS = ("daemon", "container", "plugin", "volume", "network", "node", "service", "secret", "config")
"""Keys that are compared with the beginning of an event's subject, whatever its type: its id, or its name."""


def included(message: Message, filters: Filters) -> bool:
    """Whether `message` fits. Keys that are not an event's are not looked at, as in Docker."""
    if not filters:
        return True
    asked = filters.get("event") or ()
    compare = matching.prefix if _FUZZY & set(asked) else matching.exact
    return (
        compare(filters, "event", message.action)
        and matching.exact(filters, "type", message.type)
        and matching.exact(filters, "scope", message.scope)
        and all(_subject(message, filters, kind) for kind in _SUBJECTS)
        and _image(message, filters)
        and matching.labels(filters, "label", message.actor.attributes)
    )


def _subject(message: Message, filters: Filters, kind: str) -> bool:
    name = message.actor.attributes.get("name", "")
    return matching.prefix(filters, kind, message.actor.id) or matching.prefix(filters, kind, name)


def _image(message: Message, filters: Filters) -> bool:
    name = message.actor.attributes.get("name" if message.type == "image" else "image", "")
    return any(matching.exact(filters, "image", text) for text in (message.actor.id, name, _untagged(name)))


def _untagged(name: str) -> str:
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition("@")[0].partition(":")[0]
