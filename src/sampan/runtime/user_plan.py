"""What a start in a user namespace needs beside the rest: maps, devices, mounts with a map of their own, limits. Pure.

Inside, root has no rights on the host any more. So what takes them is told to the builder, which keeps them: to write the maps,
to make device nodes, to put a map on layers, volumes and the engine's own files, to raise limits.
"""

from sampan.runtime.start_failure import StartFailed, StartFault
from sampan.spec import oci_runtime as oci
from sampan.spec.user_maps import UserMaps, on_host

Json = dict[str, object]

_WORDS = {"idmap": (False, True), "ridmap": (True, True), "idmap-if-can": (False, False)}
"""The specification's words for a bind that gets the container's maps: whether with all mounts below it, and whether it must.

`idmap-if-can` is Sampan's, for what may lie on an overlay, which takes no maps: its files are then nobody's inside.
"""


def device(maps: UserMaps, node: list[object]) -> list[object]:
    """A device node `[path, kind, major, minor, mode, uid, gid]` as it is made in /dev, with the host's ids. Raises StartFailed."""
    path, *what, uid, gid = node
    if not str(path).startswith("/dev/"):
        raise StartFailed(
            StartFault.OTHER, f"device {path}: with a user namespace devices outside /dev are not implemented"
        )
    if uid or gid:
        try:
            uid, gid = on_host(maps.uids, int(str(uid))), on_host(maps.gids, int(str(gid)))
        except ValueError as error:
            message = f"the device {path} belongs to {uid}:{gid}, whom the container's user namespace does not have"
            raise StartFailed(StartFault.OTHER, message) from error
    # Root's belong to who makes them: the builder acts as the container's root.
    return [str(path)[5:], *what, uid, gid]


def world(maps: UserMaps, dev: list[object] | None) -> list[object]:
    """The step with which init becomes root inside; its operands tell slots apart (`pool.fits`)."""
    return ["user_namespace", maps.uids, maps.gids, dev]


def body(config: oci.Config, maps: UserMaps, dev: list[object] | None, limits: list[list[int]]) -> Json:
    """The member `users` of START and PARK. `dev` is what /dev is made of, None where it is not the engine's."""
    binds = [mount for mount in config.mounts if mount.type == "bind"]
    mapped = [[number, *_WORDS[word]] for number, mount in enumerate(binds) for word in mount.options if word in _WORDS]
    return {"uids": maps.uids, "gids": maps.gids, "root": maps.root, "dev": dev, "mapped": mapped, "limits": limits}


def of_exec(maps: UserMaps | None, limits: list[list[int]]) -> Json | None:
    """The same member of EXEC."""
    return {"root": maps.root, "limits": limits} if maps is not None else None
