"""Makes docs/docker-compatibility.md of the route table and the table of verdicts: `python -m tests.api.compatibility`."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from sampan.api.routing import Route, Support
from sampan.api.table import ROUTES
from sampan.daemon.verdicts import CONFIG, ENDPOINT, HOST_CONFIG, MOUNT, Measure, Verdict
from tests.api.run_flags import flags

DOCUMENT = Path(__file__).parents[2] / "docs" / "docker-compatibility.md"

_HEAD = """\
# Docker compatibility: the Engine API

Versions 1.24 to 1.51, chosen by the path (`/v1.41/…`); without one, 1.51. Made from the code by
`python -m tests.api.compatibility`: routes from the route table, members of a create request from `daemon/verdicts.py`, flags
of `docker run`, `create`, `exec` and `update` by looking which members change with them. Tests fail where this page differs
from the code, where a route or member of the published schema or a flag of the machine's `docker` is missing, and where a
value that is said to be refused is not.

Two suites of other projects are run against it: docker-py's integration tests (`./check long dockerpy`) and the core of
testcontainers-python with a stand-in for its reaper (`./check long testcontainers`). What fails of them is listed with its
cause in `tests/long`, and nothing else may. `./check long fuzz` asks every operation in ways that are nearly right.

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
    for title, text, table in _TABLES:
        parts += [
            f"\n## {title}\n\n{text}\n",
            _counts(table.values()),
            "\n| member | support | note |\n|---|---|---|\n",
        ]
        parts += [f"| `{name}` | {verdict.measure} | {verdict.note} |\n" for name, verdict in sorted(table.items())]
    for command in FLAGS_OF:
        asked = {f"--{name}": verdict for name, verdict in flags(f"container {command}").items()}
        parts += [f"\n## docker {command}\n\nThe flags, by the members that they set.\n", _counts(asked.values())]
        parts.append("\n| flag | support | members |\n|---|---|---|\n")
        parts += [f"| `{name}` | {verdict.measure} | {verdict.note} |\n" for name, verdict in sorted(asked.items())]
    return "".join(parts)


FLAGS_OF = ("run", "create", "exec", "update")
"""Commands whose flags are listed."""


_TABLES: tuple[tuple[str, str, Mapping[str, Verdict]], ...] = (
    ("Config", "The portable part of `POST /containers/create`.", CONFIG),
    ("HostConfig", "What depends on the host.", HOST_CONFIG),
    ("NetworkingConfig", "Members of each end point in `EndpointsConfig`.", ENDPOINT),
    ("Mounts", "Members of each entry of `HostConfig.Mounts`.", MOUNT),
)


def _counts(verdicts: Iterable[Verdict]) -> str:
    given = [verdict.measure for verdict in verdicts]
    return ", ".join(f"{given.count(measure)} {measure}" for measure in Measure) + ".\n"


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
    return route.note


if __name__ == "__main__":
    DOCUMENT.write_text(document())
