"""Parsers of archives, logs and files that images, containers and administrators write."""

import atexit
import functools
import io
import logging
import os
import shutil
import tempfile
from pathlib import Path

from sampan.cli.contexts.archive import unpacked
from sampan.cli.contexts.store import MAX_FILE
from sampan.daemon import cdi as devices
from sampan.daemon import config_file
from sampan.files.compression import decompressed
from sampan.files.tar_reader import TarReader
from sampan.logs.local_records import LocalDecoder
from sampan.logs.records import decode, fixed, frames, render
from sampan.network import hosts as host_names
from sampan.network import resolvconf
from sampan.registry import hosts_toml as toml
from sampan.registry.host import Host
from sampan.runtime.credentials import look_up
from sampan.runtime.steps import StepFailed

_MOST = 1 << 20


def tar(case: bytes) -> None:
    """An archive, with what its entries hold."""
    reader = TarReader(io.BytesIO(case).read)
    for entry in reader:
        assert entry.size >= 0
        total = 0
        while piece := reader.read(1 << 16):
            total += len(piece)
        assert total <= len(case)


def context(case: bytes) -> None:
    """An archive of a docker context, tar or zip; what is taken of it stays below directories of its own."""
    taken = unpacked(case, "near")
    for endpoint, files in taken.material.items():
        assert {os.path.basename(endpoint), *map(os.path.basename, files)} == {endpoint, *files}
        assert sum(map(len, files.values())) <= MAX_FILE


def compressed(case: bytes) -> None:
    """A stream that may be compressed in any way, as far as a megabyte of it."""
    stream = decompressed(io.BytesIO(case))
    left = _MOST
    while left > 0 and (piece := stream.read(1 << 16)):
        left -= len(piece)


def json_file(case: bytes) -> None:
    """A log in Docker's format, as it is shown."""
    entries = decode(case)
    for entry in entries:
        fixed(entry[2])
    frames(render(entries, timestamps=True, details=True))


def local_log(case: bytes) -> None:
    """A log in our own format."""
    frames(render(LocalDecoder("/nonexistent/log").decode(case), timestamps=True, details=True))


@functools.cache
def directory() -> Path:
    """Of the process, on memory where there is some; it goes when that ends."""
    place = Path(tempfile.mkdtemp(prefix="sampan-fuzz-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    (place / "etc").mkdir()
    atexit.register(shutil.rmtree, place)
    logging.getLogger("sampan.daemon").setLevel(logging.CRITICAL)
    return place


@functools.cache
def _root() -> int:
    return os.open(directory(), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def passwd(case: bytes) -> None:
    """Users and groups of an image: none is found whose number is out of range."""
    for name in ("passwd", "group"):
        (directory() / "etc" / name).write_bytes(case)
    for text in ("root", "1000:root", case.decode("latin-1").partition("\n")[0][:64].replace("\0", "")):
        try:
            found = look_up(_root(), text, ["adm"] if len(case) % 2 else [])
        except StepFailed:
            continue
        assert 0 <= found.uid < 2**31
        assert all(0 <= group < 2**31 for group in (found.gid, *found.groups))


def hosts(case: bytes) -> None:
    """A container's own hosts file, and names that are added to one."""
    moved = host_names.moved(case, b"box", b"10.0.0.1")
    assert moved.count(b"\n") == case.count(b"\n")
    host_names.without(case, b"box")
    text = case.decode("utf-8", "replace")
    extra = host_names.parse_extra_hosts([text], ["10.0.0.1"])
    assert "\n" not in "".join(name for _, name in extra)


def resolv_conf(case: bytes) -> None:
    """The host's file; what a container gets of it is one line for each entry."""
    text = case.decode("utf-8", "replace")
    found = resolvconf.parse(text)
    written = resolvconf.render(resolvconf.for_container(found))
    assert resolvconf.parse(written).servers == resolvconf.parse(resolvconf.render(resolvconf.parse(written))).servers
    first = text.partition("\n")[0]
    resolvconf.for_container(found, [first], [first], [first])


def cdi(case: bytes) -> None:
    """A file of device descriptions: one that cannot be read is passed over."""
    place = directory() / "cdi"
    place.mkdir(exist_ok=True)
    (place / "x.json").write_bytes(case)
    devices.edits(["vendor.com/class=name"], [str(place)])


def daemon_json(case: bytes) -> None:
    """The daemon's configuration."""
    file = directory() / "daemon.json"
    file.write_bytes(case)
    config_file.read(file, required=True)


def hosts_toml(case: bytes) -> None:
    """containerd's description of a registry."""
    file = directory() / "hosts.toml"
    file.write_bytes(case)
    toml.read(file, Host("https", "a.test"))
