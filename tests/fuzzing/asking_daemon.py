"""Parsers of what requests say."""

import base64
import contextlib
import json
from typing import Any

from sampan.api.create_body import for_version
from sampan.api.form import Form
from sampan.daemon.mount_words import check_destination, clean, parse_bind, parse_volumes_from, tmpfs_words
from sampan.errors import InvalidParameter, SampanError
from sampan.network.ports import parse_ports
from sampan.registry.authconfig import lenient_auth, registry_config
from sampan.runtime.seccomp_compile import compile_filter
from sampan.runtime.seccomp_document import parse
from sampan.runtime.seccomp_policy import resolve
from sampan.spec import detach_keys as keys
from sampan.spec.containers import CreateRequest
from sampan.spec.decoding import Reader
from sampan.spec.execs import ExecCreateRequest
from sampan.spec.host_config import UpdateRequest
from sampan.spec.networks import NetworkConnectRequest, NetworkCreateRequest
from sampan.spec.ports import PortBinding
from sampan.spec.volumes import VolumeCreateRequest
from sampan.templates.evaluate import Template

_CREATE = Reader(CreateRequest)
_OTHERS = tuple(
    Reader(kind)
    for kind in (UpdateRequest, NetworkCreateRequest, NetworkConnectRequest, VolumeCreateRequest, ExecCreateRequest)
)
_DATA: Any = {"A": "text", "B": [1, 2, {"C": None}], "D": {"E": 1.5, "F": True}}
_CAPS = ("CAP_CHOWN", "CAP_NET_RAW")


def create(case: bytes) -> None:
    """A create's body, as the newest and an old client mean it."""
    request = _CREATE.read(case)
    for_version(request, (1, 51))
    for_version(request, (1, 40))


def bodies(case: bytes) -> None:
    """The other bodies."""
    for reader in _OTHERS:
        with contextlib.suppress(InvalidParameter):
            reader.read(case)


def query(case: bytes) -> None:
    """A query string, every kind of field."""
    form = Form(case.decode("latin-1"))
    for read in (form.filters, lambda: form.integer("tail"), lambda: form.size("h", "height")):
        with contextlib.suppress(SampanError):
            read()
    form.flag("all")
    form.timestamp("since")


def mount_words(case: bytes) -> None:
    """Binds, options of tmpfs, volumes-from."""
    text = case.decode("utf-8", "surrogateescape")
    for read in (tmpfs_words, parse_volumes_from, lambda given: check_destination("bind", given)):
        with contextlib.suppress(InvalidParameter):
            read(text)
    clean(text)
    parse_bind(text, "")


def ports(case: bytes) -> None:
    """`PORT/PROTOCOL ADDRESS HOSTPORT`."""
    words = case.decode("utf-8", "replace").split(" ")
    container, address, host = (*words, "", "", "")[:3]
    parse_ports({container: [PortBinding(host_ip=address, host_port=host)]}, words[3:])


def detach_keys(case: bytes) -> None:
    """Keys that detach."""
    keys.parse(case.decode("utf-8", "replace"))


def registry_auth(case: bytes) -> None:
    """X-Registry-Auth and X-Registry-Config, as they came and as what they hold."""
    for text in (case.decode("latin-1"), base64.urlsafe_b64encode(case).decode()):
        lenient_auth(text)
        registry_config(text)


def template(case: bytes) -> None:
    """A format of the command or a log's tag, carried out with bounds."""
    Template(case.decode("utf-8", "replace"), json.dumps).render(_DATA, longest=1 << 14, steps=2000)


def seccomp(case: bytes) -> None:
    """A profile, down to its program."""
    profile = parse(case.decode("utf-8", "replace"))
    if profile is not None:
        compile_filter(resolve(profile, _CAPS, "x86_64", (6, 1)), "x86_64")
