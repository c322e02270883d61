"""Which users of the host a container gets: decided when it is made, kept with its definition, free again when it is removed."""

from collections.abc import Callable, Iterable

from sampan.daemon.definition import Definition
from sampan.daemon.mount_words import MountPoint
from sampan.daemon.user_ranges import Range, fill
from sampan.daemon.userns_mode import Asked
from sampan.errors import InvalidParameter, System
from sampan.spec.host_config import HostConfig
from sampan.spec.ids import ContainerId
from sampan.spec.user_maps import Rows, UserMaps

AUTO = Asked("auto")
Caller = tuple[int, int]
"""User and group of the client's process, as the kernel says them."""


class Users:
    """`default` are the maps of `userns-remap`; `pool` gives the ranges of `auto`, of uid or gid; `given` all containers' maps."""

    def __init__(
        self,
        default: UserMaps | None,
        pool: Callable[[str], list[Range]],
        given: Callable[[], Iterable[UserMaps]],
        donor: Callable[[str], UserMaps | None],
    ) -> None:
        """`donor` are the maps of another container, by its name or id; it raises NotFound."""
        self.default = default
        self._pool = pool
        self._given = given
        self._donor = donor
        self._making: dict[ContainerId, UserMaps] = {}
        """of containers that are not among the others yet, and of parked slots"""

    def take(self, container: ContainerId, asked: Asked, caller: Caller | None) -> UserMaps | None:
        """The maps of a new container, taken until `settled`; None for the host's users.

        Raises InvalidParameter where it cannot be, System where no range is free.
        """
        match asked.kind:
            case "host":
                return None
            case "default":
                return self.default
            case "container":
                return self._donor(asked.donor)
            case "private":
                maps = UserMaps(asked.uids, asked.gids)
            case "keep-id":
                uid, gid = _caller(caller)
                inside = _kept(asked, (uid, gid))
                maps = self._filled(asked.size, ((inside[0], uid, 1),), ((inside[1], gid, 1),))
            case _:
                if asked == AUTO and (parked := self._making.get(container)) is not None:
                    return parked
                maps = self._filled(asked.size, asked.uids, asked.gids)
        self._making[container] = maps
        return maps

    def settled(self, container: ContainerId) -> None:
        """The container is among the others now, or it is not made."""
        self._making.pop(container, None)

    def _filled(self, size: int, uids: Rows, gids: Rows) -> UserMaps:
        others = [*self._given(), *self._making.values(), *([self.default] if self.default else [])]
        return UserMaps(
            fill(size, uids, self._pool("uid"), _hosts(maps.uids for maps in others), "uid"),
            fill(size, gids, self._pool("gid"), _hosts(maps.gids for maps in others), "gid"),
        )


def _hosts(maps: Iterable[Rows]) -> list[Range]:
    return [(host, count) for rows in maps for _, host, count in rows]


def _caller(caller: Caller | None) -> Caller:
    if caller is None:
        raise InvalidParameter(
            "userns mode keep-id: who calls is known only over a unix socket; use private:uidmapping=…"
        )
    if caller[0] == 0:
        raise InvalidParameter(
            "userns mode keep-id keeps the caller's user, and the caller is root: call as the user who is to be kept, or use "
            "private:uidmapping=…"
        )
    return caller


def _kept(asked: Asked, caller: Caller) -> Caller:
    uid = caller[0] if asked.uid is None else asked.uid
    gid = caller[1] if asked.gid is None else asked.gid
    return uid, gid


def kept_user(asked: Asked, caller: Caller | None) -> str:
    """The user that the program runs as under keep-id, where none is named; "" under other modes."""
    if asked.kind != "keep-id" or caller is None:
        return ""
    uid, gid = _kept(asked, caller)
    return f"{uid}:{gid}"


def check(host: HostConfig, maps: UserMaps | None) -> None:
    """Refuse what a container with users of its own cannot have, in Docker's words. Raises InvalidParameter."""
    if maps is None:
        return
    if host.privileged:
        raise InvalidParameter(
            "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running "
            "privileged mode"
        )
    if host.network_mode == "host":
        raise InvalidParameter("cannot share the host's network namespace when user namespaces are enabled")
    if host.pid_mode == "host":
        raise InvalidParameter("cannot share the host PID namespace when user namespaces are enabled")


def check_shared(own: Definition, donor: Definition) -> None:
    """Refuse to join namespaces that belong to other users. Raises System."""
    if own.users is not None and own.users != donor.users:
        name = donor.name.removeprefix("/")
        raise System(
            f"container {name} has other users than this one, and its namespaces are theirs: use the userns mode "
            f"container:{name}" + ("" if donor.users is not None else ", or host for both")
        )


def check_mounts(points: Iterable[MountPoint], maps: UserMaps | None) -> None:
    """Refuse a bind with the container's users where these are the host's. Raises InvalidParameter."""
    for point in points:
        if point.idmap and maps is None:
            raise InvalidParameter(
                f"the mount at {point.destination} cannot be idmap: the container has no user namespace of its own "
                "(--userns auto, or the daemon's userns-remap)"
            )
