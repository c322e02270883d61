"""The messages of starts that another program of the host's has a part in: a restore by criu, another OCI runtime. Pure.

The daemon's side only.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import sampan
from sampan.kernel.namespaces import Clone
from sampan.runtime import oci_document, plan
from sampan.runtime.request import ExecRequest, OtherRuntime, StartRequest
from sampan.runtime.world_plan import Step
from sampan.spec import oci_runtime as oci


@dataclass(frozen=True, slots=True)
class Means:
    """What the program that takes over is made of: an interpreter, the package's directory, the environment it gets.

    `place` is an empty directory that only it mounts on.
    """

    python: str
    source: str
    environment: dict[str, str]
    place: str

    def body(self, network: list[Step]) -> plan.Json:
        """The member `aside`; `network` are the steps in a new network namespace."""
        return {
            "python": self.python,
            "source": self.source,
            "environment": self.environment,
            "place": self.place,
            "network": network,
        }


def source() -> str:
    """The directory that the package lies in."""
    return os.path.dirname(os.path.dirname(os.path.realpath(sampan.__file__)))


def restore(request: StartRequest, directory: str, means: Means, criu: str) -> plan.Json:
    """The RESTORE message: START's members, and what the restorer needs beyond them.

    Its descriptors are the checkpoint's directory and the host's mount namespace, and then those of a START.
    """
    return {
        **plan.start(request, directory),
        "aside": means.body(_network(request)),
        "restore": {"criu": criu, "destinations": external_places(request.config)},
    }


def _network(request: StartRequest) -> list[Step]:
    announced: list[Step] = [["announce", request.link.mac]] if request.link is not None else []
    first: list[Step] = [["sysctl", oci_document.parameters(request.config)]]
    if request.link is None:
        first.append(["loopback"])
    return first + plan.interfaces(request) + announced


def external_places(config: oci.Config) -> tuple[str, ...]:
    """Where mounts from outside stand in the container: its binds in order, and last the control groups."""
    binds = tuple(mount.destination for mount in config.mounts if mount.type == "bind")
    return binds + tuple(mount.destination for mount in config.mounts if mount.type == "cgroup")


def start(
    request: StartRequest, directory: str, means: Means, runtime: OtherRuntime, state: str, below: str, net: str
) -> plan.Json:
    """The START_BY message: START's members and `runtime`, with the document that the other runtime reads.

    Its descriptors are the runtime's file and the host's mount namespace, and then those of a START. `state` is the directory
    of the runtime's own state; `below` the path of the control groups from their hierarchies' tops; `net` as in `plan.start`.
    """
    config = request.config
    binds = sum(mount.type == "bind" for mount in config.mounts)
    sources = [f"{means.place}/{number}" for number in range(binds)]
    network = _network(request) + ([["resolver", net, request.id]] if request.resolver else [])
    return {
        **plan.start(request, directory),
        "flags": int(plan.namespace_flags(config) & Clone.NEWNET),
        "aside": means.body(network),
        "runtime": {
            **_called(runtime, state),
            "document": oci_document.document(config, f"{means.place}/root", sources, request.cgroup.groups, below),
            "user": [config.process.user.name, list(config.process.user.additional_groups)],
            "joined": [namespace.type for namespace in config.linux.namespaces if namespace.path],
        },
    }


def execute(
    request: ExecRequest, directory: str, means: Means, runtime: OtherRuntime, state: str, pid: int
) -> plan.Json:
    """The EXEC_BY message: EXEC's members and `runtime`. `pid` is the container's.

    Its descriptors are the runtime's file and the host's mount namespace, and then those of an EXEC.
    """
    user = request.process.user
    return {
        **plan.execute(request, directory, Clone(0)),
        "binds": 0,
        "held": 0,
        "flags": 0,
        "joins": [],
        "aside": means.body([]),
        "runtime": {
            **_called(runtime, state),
            "document": oci_document.process(request.process),
            "user": [user.name, list(user.additional_groups)],
            "pid": pid,
        },
    }


def _called(runtime: OtherRuntime, state: str) -> Mapping[str, object]:
    return {"name": runtime.name, "path": runtime.path, "arguments": list(runtime.arguments), "state": state}
