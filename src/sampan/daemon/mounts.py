"""Mounts of a create request: binds, volumes, images and tmpfs, judged and with their volumes made; and the same at each start."""

import os
import stat
from collections.abc import Callable, Mapping

from sampan.daemon import propagation
from sampan.daemon.container import Container
from sampan.daemon.mount_words import (
    DEFAULT_PROPAGATION,
    MountPoint,
    check_absolute,
    check_destination,
    clean,
    is_propagation,
    parse_bind,
    parse_volumes_from,
    tmpfs_words,
)
from sampan.daemon.needs import VolumesByName
from sampan.errors import InvalidParameter, NotFound
from sampan.spec import oci_runtime as oci
from sampan.spec.containers import ContainerConfig
from sampan.spec.host_config import HostConfig
from sampan.spec.ids import ImageId
from sampan.spec.mounts import Mount
from sampan.spec.user_maps import UserMaps

_MOST = 200
"""Each is a descriptor that travels with the start; the kernel passes at most 253 with one message."""
DOCKER_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")

DriverOptions = dict[str, tuple[dict[str, str], dict[str, str]]]
"""By destination: the driver's options and the labels of a volume that is made."""


class MountPlanner:
    """Turns requests into mount points. `socket` is Sampan's own API socket; binds of `data_root` follow the host.

    `find` gets another container by reference, `image` the id of an image.
    """

    def __init__(
        self,
        volumes: VolumesByName,
        find: Callable[[str], Container],
        image: Callable[[str], ImageId],
        socket: str,
        data_root: str = "",
    ) -> None:
        self._data_root = data_root
        self._image = image
        self._volumes = volumes
        self._find = find
        self._socket = socket

    async def plan(self, host: HostConfig, config: ContainerConfig, made: list[str]) -> tuple[MountPoint, ...]:
        """Every mount point of a new container, its volumes made. Raises InvalidParameter, NotFound.

        Anonymous volumes are noted in `made` as they come, so that they can be taken back on a fault.

        In Docker's order, later ones replacing earlier ones at the same place: the image's volumes, --volumes-from, -v,
        --mount. `-v` and `--mount` at one place conflict.
        """
        points: dict[str, MountPoint] = {}
        for point in self._borrowed(host):
            points[point.destination] = point
        asked: set[str] = set()
        for point in self._asked(host):
            if point.destination in asked or point.destination in _tmpfs(host):
                raise InvalidParameter(f"Duplicate mount point: {point.destination}")
            asked.add(point.destination)
            points[point.destination] = point
        for destination in config.volumes or {}:
            place = clean(destination)
            check_destination("volume", destination)
            if place not in points and place not in _tmpfs(host):
                points[place] = MountPoint(type="volume", destination=place, driver=host.volume_driver, anonymous=True)
        for destination, words in _tmpfs(host).items():
            points[destination] = MountPoint(
                type="tmpfs", destination=destination, words=tmpfs_words(words), listed=False
            )
        if len(points) > _MOST:
            raise InvalidParameter(f"{len(points)} mounts are too many: a container can have {_MOST}")
        drivers = _driver_options(host)
        return tuple([await self._with_volume(point, drivers, made) for point in points.values()])

    def _borrowed(self, host: HostConfig) -> list[MountPoint]:
        found = []
        for text in host.volumes_from or ():
            name, writable = parse_volumes_from(text)
            try:
                donor = self._find(name)
            except NotFound as error:
                raise InvalidParameter(str(error)) from error
            found += [
                _replace(point, rw=point.rw and writable, nocopy=True, anonymous=False)
                for point in donor.definition.mounts
                if point.type != "tmpfs"
            ]
        return found

    def _asked(self, host: HostConfig) -> list[MountPoint]:
        points = []
        for text in host.binds or ():
            point = parse_bind(text, host.volume_driver)
            asked = next((word for word in point.mode.split(",") if is_propagation(word)), "")
            points.append(self._following(point, asked))
        for mount in host.mounts or ():
            asked = mount.bind_options.propagation if mount.bind_options is not None else ""
            points.append(self._following(from_mount(mount), asked))
        return points

    def _following(self, point: MountPoint, asked: str) -> MountPoint:
        """With the propagation that a bind of the data root must have."""
        if point.type != "bind" or not self._data_root:
            return point
        mode = propagation.of_data(point.source, asked, self._data_root)
        return _replace(point, propagation=mode) if mode else point

    async def _with_volume(self, point: MountPoint, drivers: DriverOptions, made: list[str]) -> MountPoint:
        if point.type == "bind":
            return self._with_source(point)
        if point.type == "image":
            return _replace(point, image=self._image(point.name))
        if point.type != "volume":
            return point
        options, labels = drivers.get(point.destination, ({}, {}))
        volume = await self._volumes.create(point.name, point.driver, options, labels)
        if point.anonymous:
            made.append(volume.name)
        return _replace(point, name=volume.name, driver=volume.driver, mode=point.mode or "z")

    def _with_source(self, point: MountPoint) -> MountPoint:
        """A docker socket that this machine does not have is Sampan's own: tools in containers find an engine there."""
        if point.source in DOCKER_SOCKETS and not os.path.exists(point.source) and self._socket:
            return _replace(point, source=self._socket, make_source=False)
        return point


def _tmpfs(host: HostConfig) -> dict[str, str]:
    return {clean(destination): words for destination, words in (host.tmpfs or {}).items()}


def _driver_options(host: HostConfig) -> DriverOptions:
    found = {}
    for mount in host.mounts or ():
        options = mount.volume_options
        if mount.type == "volume" and options is not None:
            driver = options.driver_config.options if options.driver_config else None
            found[clean(mount.target)] = (dict(driver or {}), dict(options.labels or {}))
    return found


def _replace(point: MountPoint, **changes: str | bool) -> MountPoint:
    fields = {name: getattr(point, name) for name in MountPoint.__struct_fields__}
    return MountPoint(**{**fields, **changes})


def from_mount(mount: Mount) -> MountPoint:
    """One entry of HostConfig.Mounts. Raises InvalidParameter in Docker's wording."""
    kind = mount.type
    check_destination(kind, mount.target)
    match kind:
        case "bind":
            return _bind(mount)
        case "volume":
            return _volume(mount)
        case "tmpfs":
            return _tmpfs_mount(mount)
        case "image":
            return _image(mount)
        case "cluster" | "npipe":
            raise _bad(kind, "mount type unknown")
        case _:
            raise _bad(kind, "mount type unknown")


def _bad(kind: str, why: str) -> InvalidParameter:
    return InvalidParameter(f'invalid mount config for type "{kind}": {why}')


def _forbid(mount: Mount, **fields: object) -> None:
    for name, value in fields.items():
        if value is not None and value != "":
            raise _bad(mount.type, f"field {name} must not be specified")


def _bind(mount: Mount) -> MountPoint:
    options = mount.bind_options
    if not mount.source:
        raise _bad("bind", "field Source must not be empty")
    if options is not None and options.propagation and not is_propagation(options.propagation):
        raise _bad("bind", f"invalid propagation mode: {options.propagation}")
    _forbid(mount, VolumeOptions=mount.volume_options, ImageOptions=mount.image_options)
    check_absolute("bind", mount.source)
    make = bool(options and options.create_mountpoint)
    source = clean(mount.source)
    if not make and not os.path.exists(source) and source not in DOCKER_SOCKETS:
        raise _bad("bind", f"bind source path does not exist: {mount.source}")
    plain, forced = (
        bool(options and options.read_only_non_recursive),
        bool(options and options.read_only_force_recursive),
    )
    if plain and forced:
        raise _bad("bind", "mount options conflict: ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive")
    if (plain or forced) and not mount.read_only:
        name = "ReadOnlyNonRecursive" if plain else "ReadOnlyForceRecursive"
        raise _bad("bind", f"mount options conflict: !ReadOnly && BindOptions.{name}")
    return MountPoint(
        type="bind",
        source=source,
        destination=clean(mount.target),
        rw=not mount.read_only,
        propagation=(options.propagation if options else "") or DEFAULT_PROPAGATION,
        nonrecursive=bool(options and options.non_recursive),
        readonly_nonrecursive=plain,
        readonly_forced=forced,
        make_source=make,
    )


def _volume(mount: Mount) -> MountPoint:
    options = mount.volume_options
    _forbid(mount, BindOptions=mount.bind_options, ImageOptions=mount.image_options)
    subpath = options.subpath if options else ""
    if subpath and not mount.source:
        raise _bad("volume", "must not set Subpath when using anonymous volumes")
    _check_subpath("volume", subpath)
    if mount.read_only and not mount.source:
        raise _bad("volume", "must not set ReadOnly mode when using anonymous volumes")
    return MountPoint(
        type="volume",
        name=mount.source,
        destination=clean(mount.target),
        rw=not mount.read_only,
        driver=options.driver_config.name if options and options.driver_config else "",
        # What is to be a part of the volume is there already.
        nocopy=bool(options and options.no_copy) or bool(subpath),
        anonymous=not mount.source,
        subpath=subpath,
    )


def _image(mount: Mount) -> MountPoint:
    options = mount.image_options
    _forbid(mount, BindOptions=mount.bind_options, VolumeOptions=mount.volume_options, TmpfsOptions=mount.tmpfs_options)
    if not mount.source:
        raise _bad("image", "field Source must not be empty")
    subpath = options.subpath if options else ""
    _check_subpath("image", subpath)
    return MountPoint(type="image", name=mount.source, destination=clean(mount.target), rw=False, subpath=subpath)


def _check_subpath(kind: str, subpath: str) -> None:
    """Refuse what is not a path within; whether links lead out of it is the kernel's to see, at each start."""
    if subpath.startswith("/") or ".." in subpath.split("/") or "\0" in subpath:
        raise _bad(kind, "subpath must be a relative path within the volume")


def _tmpfs_mount(mount: Mount) -> MountPoint:
    options = mount.tmpfs_options
    _forbid(mount, BindOptions=mount.bind_options, ImageOptions=mount.image_options, Source=mount.source)
    words = ["ro"] if mount.read_only else []
    if options is not None:
        if options.mode:
            words.append(f"mode={options.mode:o}")
        if options.size_bytes:
            words.append(f"size={options.size_bytes}")
        for option in options.options or ():
            if option not in (("exec",), ("noexec",)):
                raise _bad("tmpfs", f"invalid option: {option[0] if option else ''}")
            words.append(option[0])
    return MountPoint(
        type="tmpfs",
        destination=clean(mount.target),
        rw=not mount.read_only,
        words=tmpfs_words(",".join(words)),
    )


def at_start(
    points: tuple[MountPoint, ...],
    volumes: VolumesByName,
    files: Mapping[str, str],
    *,
    readonly: bool,
    users: UserMaps | None = None,
) -> tuple[oci.Mount, ...]:
    """The mounts of one start, parents before what lies in them. `files` are the container's own under /etc.

    These are read-only under a read-only root.

    With `users`, what is the engine's (files, volumes, images) is seen with the container's maps; a bind only where it asks.

    Makes source directories that `-v` asks for, for the container's root. Raises InvalidParameter where a source is missing
    now, NotFound for a volume that is gone.
    """
    mounts = [_at_start(point, volumes, users) for point in points]
    taken = {point.destination for point in points}
    words = ("rbind", "ro", "rro", DEFAULT_PROPAGATION) if readonly else ("rbind", DEFAULT_PROPAGATION)
    if users is not None:
        words = (*words, "ridmap")
    mounts += [
        oci.Mount(destination=place, type="bind", source=path, options=words)
        for place, path in files.items()
        if place not in taken
    ]
    return tuple(sorted(mounts, key=lambda mount: mount.destination.count("/")))


def _at_start(point: MountPoint, volumes: VolumesByName, users: UserMaps | None) -> oci.Mount:
    if point.type == "tmpfs":
        return oci.Mount(destination=point.destination, type="tmpfs", source="tmpfs", options=point.words)
    if point.type == "image":
        words = (
            "bind",
            "ro",
            "nosuid",
            "nodev",
            DEFAULT_PROPAGATION,
            *(("idmap-if-can",) if users is not None else ()),
        )
        return oci.Mount(point.destination, "bind", options=words, image=point.image, below=point.subpath)
    volume = volumes.get(point.name) if point.type == "volume" else None
    source = volume.mountpoint if volume is not None else point.source
    if point.make_source:
        _make_source(source, users)
    options = ["bind" if point.nonrecursive else "rbind"]
    if not point.rw:
        options += ["ro"] if point.readonly_nonrecursive else ["ro", "rro"]
    options.append(point.propagation or DEFAULT_PROPAGATION)
    if users is not None and (point.idmap or point.type == "volume"):
        options.append("idmap" if point.nonrecursive else "ridmap")
    if volume is not None and volume.mounted:
        return oci.Mount(point.destination, "bind", "", tuple(options), volume=volume.name, below=point.subpath)
    return oci.Mount(point.destination, "bind", source, tuple(options), below=point.subpath)


def volume_names(points: tuple[MountPoint, ...]) -> list[str]:
    """The volumes among the mount points."""
    return [point.name for point in points if point.type == "volume"]


def _make_source(source: str, users: UserMaps | None) -> None:
    try:
        if users is not None and not os.path.lexists(source):
            os.makedirs(os.path.dirname(source), 0o755, exist_ok=True)
            os.mkdir(source, 0o755)
            os.chown(source, *users.root, follow_symlinks=False)
            return
        os.makedirs(source, 0o755, exist_ok=True)
    except FileExistsError:
        # A file, a socket or a device may be bound too.
        if not stat.S_ISDIR(os.stat(source).st_mode):
            return
        raise
    except OSError as error:
        raise InvalidParameter(
            f"error while creating mount source path '{source}': mkdir {source}: {error.strerror}"
        ) from error
