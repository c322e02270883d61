"""Parsers of what is neither request nor image: users and their ranges, bundles, packages in a tree, keys and policies, filters."""

import contextlib
import os
import warnings
from functools import cache
from typing import Any, cast

import msgspec

from sampan.api import build_secrets
from sampan.api.form import Form
from sampan.build.outputs import packages as records
from sampan.build.outputs import rpm
from sampan.buildkit.filters import filtered
from sampan.daemon import subordinate as of_daemon
from sampan.daemon import userns_mode as modes
from sampan.errors import InvalidParameter
from sampan.images.policy import read_policy
from sampan.images.signatures import public_key
from sampan.oci import documents, resource_documents
from sampan.oci.translate import Host, arrangement
from sampan.rootless import subordinate as of_user
from sampan.runtime.profile_capabilities import from_mask
from tests.fuzzing.asking_files import directory

_IDS = 2**32
_HOST = Host("x86_64", (6, 1), frozenset(from_mask(2**41 - 1)), v2=False)


def userns_mode(case: bytes) -> None:
    """`HostConfig.UsernsMode`; no number of it is out of range."""
    asked = modes.parse(case.decode("utf-8", "surrogateescape"))
    for rows in (asked.uids, asked.gids):
        assert all(0 <= number < _IDS for row in rows for number in row), rows
    assert 0 < asked.size < _IDS


def subordinate(case: bytes) -> None:
    """/etc/subuid, as daemon and rootless engine read it."""
    text = case.decode("utf-8", "surrogateescape")
    for _, first, count in of_daemon.parse(text):
        assert 0 <= first < _IDS, first
        assert 0 < count < _IDS, count
    of_user.id_map(0, of_user.ranges(text, "user", 1000))
    of_user.next_free(text)


def bundle(case: bytes) -> None:
    """A bundle's `config.json`, down to what is made of it; and the two smaller documents."""
    for kind in (documents.Process, resource_documents.Resources):
        with contextlib.suppress(msgspec.MsgspecError, UnicodeError, RecursionError):
            msgspec.json.decode(case, type=kind)
    place = directory() / "bundle"
    place.mkdir(exist_ok=True)
    (place / "config.json").write_bytes(case)
    arrangement(documents.read_bundle(str(place)), str(place), _HOST)


def packages(case: bytes) -> None:
    """Records of package managers in a stranger's tree."""
    if case.startswith(b"SQLite"):
        with contextlib.suppress(ValueError):
            list(rpm.packages(case))
        return
    with contextlib.suppress(ValueError):
        rpm.header(case)
    msgspec.json.encode(records.collected(records.Records(cast("Any", _Tree(case)))))


class _Tree:
    """One in which a file reads the same under every name, in memory; what is walked is one place of Python's records."""

    def __init__(self, case: bytes) -> None:
        self._case = case
        self.fd = _place()

    def open(self, path: str | bytes, flags: int) -> int:
        """Beside `os-release` the records of one kind are there, by the length: a file costs more than its parsing."""
        kinds = ("os-release", ("dpkg", "apk", "egg-info")[len(self._case) % 3])
        if flags & os.O_DIRECTORY or not any(kind in os.fsdecode(path) for kind in kinds):
            raise FileNotFoundError(path)
        descriptor = os.memfd_create("record")
        os.write(descriptor, self._case)
        os.lseek(descriptor, 0, os.SEEK_SET)
        return descriptor


@cache
def _place() -> int:
    place = directory() / "tree"
    (place / "site-packages").mkdir(parents=True)
    (place / "site-packages" / "a.egg-info").touch()
    return os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def policy(case: bytes) -> None:
    """A policy of signatures, and a key."""
    with contextlib.suppress(ValueError):
        public_key(case)
    file = directory() / "policy.json"
    file.write_bytes(case)
    read_policy(file)


def build_filters(case: bytes) -> None:
    """A filter of BuildKit's lists, against values that make bad expressions slow."""
    values: dict[str, Any] = {"id": lambda one: one, "ref": lambda one: one * 40, "status": lambda one: ""}
    with warnings.catch_warnings():
        # Of sets that another Python may read differently.
        warnings.simplefilter("ignore", FutureWarning)
        filtered(["aaaaaaaaab", "x"], [case.decode("utf-8", "replace")], values)


def build_words(case: bytes) -> None:
    """What a build's query says of secrets, agents, contexts and entitlements, and the header that has the secrets."""
    with contextlib.suppress(InvalidParameter):
        build_secrets.secret_values({build_secrets.HEADER: case})
    form = Form(case.decode("latin-1"))
    for read in (
        *(build_secrets.secret_names, build_secrets.agents, build_secrets.contexts),
        *(build_secrets.layout, build_secrets.stamp, build_secrets.entitlements),
    ):
        with contextlib.suppress(InvalidParameter):
            read(form)
