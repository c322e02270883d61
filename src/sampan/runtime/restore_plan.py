"""From a request to the message of a restore: a start's, and what criu's part in it needs. Pure.

The daemon's side only.
"""

from sampan.runtime import plan, world_plan
from sampan.runtime.request import StartRequest
from sampan.spec import oci_runtime as oci


def restore(
    request: StartRequest, directory: str, place: str, programs: dict[str, str], environment: dict[str, str]
) -> plan.Json:
    """The RESTORE message: START's members, and what the restorer needs beyond them.

    Its descriptors are the checkpoint's directory and the host's mount namespace, and then those of a START. `place` is an
    empty directory that only the restorer mounts on; `programs` are the paths of `criu`, `python` and the package's `source`.
    """
    config = request.config
    announced: list[world_plan.Step] = [["announce", request.link.mac]] if request.link is not None else []
    own = {
        **world_plan.NETWORK_SYSCTLS,
        **{key: value for key, value in config.linux.sysctl.items() if key.startswith("net.")},
    }
    first: list[world_plan.Step] = [["sysctl", own]]
    if request.link is None:
        first.append(["loopback"])
    return {
        **plan.start(request, directory),
        "restore": {
            **programs,
            "environment": environment,
            "place": place,
            "destinations": external_places(config),
            "network": first + plan.interfaces(request) + announced,
        },
    }


def external_places(config: oci.Config) -> tuple[str, ...]:
    """Where mounts from outside stand in the container: its binds in order, and last the control groups."""
    binds = tuple(mount.destination for mount in config.mounts if mount.type == "bind")
    return binds + tuple(mount.destination for mount in config.mounts if mount.type == "cgroup")
