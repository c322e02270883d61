"""What a client's front-end attributes mean for a build. Pure: names are BuildKit's (frontend/dockerui, frontend/dockerfile2llb).

An attribute that is not known here is refused by name: one that is passed over would build something else than was asked for.
"""

import csv
from collections.abc import Mapping

import msgspec

from sampan.build.request import CacheOption
from sampan.errors import InvalidParameter, NotImplementedHere
from sampan.images.platforms import platforms_of
from sampan.spec.host_config import Ulimit
from sampan.spec.oci_image import Platform

_SILENT = ("vcs:", "sharedkey:", "local-sessionid:", "input-metadata:", "input:")
"""Told for provenance and for finding files again; nothing of the image hangs on them."""
_KNOWN_SILENT = frozenset(("frontend.caps", "source", "cmdline"))
"""The front end is chosen before (`frontends`)."""
_SHOWN = 200
_NETWORKS = {"": "default", "default": "default", "none": "none", "host": "host"}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A build in the words of the client's attributes.

    `context_name` and `dockerfile_name` are directories of the session; `remote` a context that is fetched, "" for none.
    `named`: contexts by name: `local:DIRECTORY`, `docker-image://…`, `target:…`, a URL.
    """

    file: str = "Dockerfile"
    target: str = ""
    arguments: Mapping[str, str] = {}
    labels: Mapping[str, str] = {}
    platforms: tuple[str, ...] = ()
    """as they were asked for; `targets` are what they mean"""
    no_cache: bool = False
    no_cache_filter: tuple[str, ...] = ()
    pull: bool = False
    extra_hosts: tuple[str, ...] = ()
    network: str = "default"
    shm_size: int = 0
    ulimits: tuple[Ulimit, ...] = ()
    cgroup_parent: str = ""
    context_name: str = "context"
    dockerfile_name: str = "dockerfile"
    dockerfile_apart: bool = False
    """it comes from the client, wherever the context comes from"""
    remote: str = ""
    named: Mapping[str, str] = {}
    attestations: Mapping[str, str] = {}
    subrequest: str = ""
    multi_platform: bool = False
    cache_from: tuple[CacheOption, ...] = ()

    @property
    def targets(self) -> tuple[Platform, ...]:
        """What it is built for, each once; none for this machine's. Raises InvalidParameter."""
        return platforms_of(",".join(self.platforms))


def read(attributes: Mapping[str, str]) -> Asked:
    """What is asked for. Raises InvalidParameter, and NotImplementedHere for what is not known."""
    found: dict[str, object] = {}
    arguments: dict[str, str] = {}
    labels: dict[str, str] = {}
    named: dict[str, str] = {}
    attestations: dict[str, str] = {}
    for key, value in attributes.items():
        kind, _, name = key.partition(":")
        match kind:
            case "build-arg" if name:
                arguments[name] = value
            case "label" if name:
                labels[name] = value
            case "context" if name:
                named[name] = value
            case "attest" if name:
                attestations[name] = value
            case _:
                found.update(_one(key, value))
    return Asked(**found, arguments=arguments, labels=labels, named=named, attestations=attestations)  # type: ignore[arg-type]


def _one(key: str, value: str) -> dict[str, object]:
    """One attribute that stands alone, as a member of Asked."""
    match key:
        case "filename":
            return {"file": value or "Dockerfile"}
        case "target":
            return {"target": value}
        case "platform":
            return {"platforms": tuple(part.strip() for part in value.split(",") if part.strip())}
        case "no-cache":
            stages = _fields(key, value)
            return {"no_cache": not stages, "no_cache_filter": stages}
        case "image-resolve-mode":
            if value not in ("", "default", "pull", "local"):
                raise InvalidParameter(f"invalid image-resolve-mode: {value[:_SHOWN]}")
            return {"pull": value == "pull"}
        case "add-hosts":
            return {"extra_hosts": tuple(entry.replace("=", ":", 1) for entry in _fields(key, value))}
        case "force-network-mode":
            if value not in _NETWORKS:
                raise InvalidParameter(f"invalid force-network-mode: {value[:_SHOWN]}")
            return {"network": _NETWORKS[value]}
        case "shm-size":
            return {"shm_size": _number(key, value)}
        case "ulimit":
            return {"ulimits": tuple(_ulimit(entry) for entry in _fields(key, value))}
        case "cgroup-parent":
            return {"cgroup_parent": value}
        case "contextkey":
            return {"context_name": value or "context"}
        case "dockerfilekey":
            return {"dockerfile_name": value or "dockerfile", "dockerfile_apart": True}
        case "context":
            return {"remote": value}
        case "cache-imports":
            return {"cache_from": _cache_options(key, value)}
        case "requestid":
            return {"subrequest": value}
        case "multi-platform":
            return {"multi_platform": _truth(key, value)}
        case _ if key in _KNOWN_SILENT or key.startswith(_SILENT):
            return {}
        case _:
            raise NotImplementedHere(f"not implemented by Sampan yet: the build attribute {key[:_SHOWN]!r}")


class _Entry(msgspec.Struct, rename="pascal"):
    type: str
    attrs: dict[str, str] = {}


def _cache_options(key: str, value: str) -> tuple[CacheOption, ...]:
    """JSON of a list. Raises InvalidParameter."""
    try:
        entries = msgspec.json.decode(value, type=list[_Entry])
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidParameter(f"invalid {key}: {error}") from error
    return tuple(CacheOption(one.type, one.attrs) for one in entries)


def _fields(key: str, value: str) -> tuple[str, ...]:
    """A list as clients write it: one line of CSV. Raises InvalidParameter."""
    if not value:
        return ()
    try:
        rows = list(csv.reader([value], strict=True))
    except csv.Error as error:
        raise InvalidParameter(f"invalid {key}: {value[:_SHOWN]}: {error}") from error
    return tuple(field.strip() for field in rows[0])


def _number(key: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) < 19):
        raise InvalidParameter(f"invalid {key}: {value[:_SHOWN]}")
    return int(value)


def _truth(key: str, value: str) -> bool:
    if value not in ("1", "t", "T", "true", "True", "TRUE", "0", "f", "F", "false", "False", "FALSE", ""):
        raise InvalidParameter(f"invalid boolean value for {key}: {value[:_SHOWN]}")
    return value[:1] in ("1", "t", "T")


def _ulimit(entry: str) -> Ulimit:
    """`nofile=1024:2048`."""
    name, _, text = entry.partition("=")
    soft, _, hard = text.partition(":")
    try:
        return Ulimit(name=name, soft=int(soft), hard=int(hard or soft))
    except ValueError:
        raise InvalidParameter(f"invalid ulimit argument: {entry[:_SHOWN]}") from None
