"""Makes docs/docker-compatibility.md of the route table: `python -m tests.api.compatibility`."""

from pathlib import Path

from sampan.api.routing import Route, Support
from sampan.api.table import ROUTES

DOCUMENT = Path(__file__).parents[2] / "docs" / "docker-compatibility.md"

_HEAD = """\
# Docker compatibility: the Engine API

Versions 1.24 to 1.51, chosen by the path (`/v1.41/…`); without one, 1.51. Made from the route table by
`python -m tests.api.compatibility`; a test fails where the two differ, and another one where a route of the published
schema is not answered.

- **full**: all of Docker's parameters and answers that have a meaning without swarm.
- **partial**: what the note says is missing; asking for it is refused by name.
- **as without swarm**: answered as Docker answers on a node that is in no swarm (503 and its message).
- **not**: 501, `not implemented by Sampan yet: …`.
- **Sampan's own**: not in Docker.

"""


def document() -> str:
    """The whole file."""
    parts = [_HEAD]
    counted = {support: sum(route.support is support for route in ROUTES) for support in Support}
    parts.append(", ".join(f"{count} {support}" for support, count in counted.items()) + ".\n")
    resource = ""
    for route in sorted(ROUTES, key=lambda route: (_resource(route), route.path, route.method)):
        if _resource(route) != resource:
            resource = _resource(route)
            parts.append(f"\n## {resource}\n\n| route | support | note |\n|---|---|---|\n")
        parts.append(f"| `{route.method} {route.path}` | {route.support} | {_note(route)} |\n")
    return "".join(parts)


def _resource(route: Route) -> str:
    first = route.path.split("/")[1]
    return first if first in _RESOURCES else "system"


_RESOURCES = frozenset(
    (
        "configs",
        "containers",
        "exec",
        "images",
        "networks",
        "nodes",
        "plugins",
        "secrets",
        "services",
        "swarm",
        "tasks",
        "volumes",
    )
)


def _note(route: Route) -> str:
    return "" if route.support is Support.NOT and route.note == "plugins" else route.note


if __name__ == "__main__":
    DOCUMENT.write_text(document())
