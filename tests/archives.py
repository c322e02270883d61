"""Images made on the fly from the machine's own static busybox: nothing is downloaded, and the same bytes come out each time."""

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_PASSWD = b"root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/bin/false\nnobody:x:65534:65534::/:/bin/false\n"
_GROUP = b"root:x:0:\nadm:x:4:www-data\nwww-data:x:33:\nnogroup:x:65534:\n"


class Layer:
    """A layer under construction; `tar()` gives its bytes, owned by root and dated 1970."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._buffer, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def directory(self, name: str, mode: int = 0o755) -> None:
        self._add(name, tarfile.DIRTYPE, mode)

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        self._add(name, tarfile.REGTYPE, mode, content)

    def symlink(self, name: str, target: str) -> None:
        self._add(name, tarfile.SYMTYPE, 0o777, linkname=target)

    def hardlink(self, name: str, target: str) -> None:
        self._add(name, tarfile.LNKTYPE, 0o644, linkname=target)

    def _add(self, name: str, kind: bytes, mode: int, content: bytes = b"", linkname: str = "") -> None:
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.size, entry.linkname = kind, mode, len(content), linkname
        self._tar.addfile(entry, io.BytesIO(content))

    def tar(self) -> bytes:
        self._tar.close()
        return self._buffer.getvalue()


@cache
def busybox_rootfs() -> bytes:
    """A root file system as the official busybox image has it: the applets, users, a few directories."""
    layer = Layer()
    for name in ("bin", "dev", "etc", "home", "usr", "var", "var/www"):
        layer.directory(name)
    layer.directory("root", 0o700)
    layer.directory("tmp", 0o1777)
    layer.file("bin/busybox", BUSYBOX.read_bytes(), 0o755)
    applets = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True, timeout=10).stdout.split()
    for applet in applets:
        if applet != "busybox":
            layer.symlink(f"bin/{applet}", "busybox")
    layer.file("etc/passwd", _PASSWD)
    layer.file("etc/group", _GROUP)
    return layer.tar()


def docker_archive(
    tag: str, layers: Sequence[bytes], config: Mapping[str, object], packed: Mapping[int, bytes] | None = None
) -> bytes:
    """What `docker save` writes (manifest.json form): `config` is the image's `config` object (Cmd, Env, User …).

    `packed`: what stands for the layer of that number in the archive, such as its compressed form.
    """
    image = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": config,
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers],
            },
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "tests"} for _ in layers],
        }
    ).encode()
    name = f"{hashlib.sha256(image).hexdigest()}.json"
    paths = [f"{hashlib.sha256(layer).hexdigest()}/layer.tar" for layer in layers]
    archive = Layer()
    archive.file(name, image)
    for index, (path, layer) in enumerate(zip(paths, layers, strict=True)):
        archive.directory(path.split("/", 1)[0])
        archive.file(path, (packed or {}).get(index, layer))
    archive.file("manifest.json", json.dumps([{"Config": name, "RepoTags": [tag], "Layers": paths}]).encode())
    return archive.tar()


@cache
def busybox_archive(tag: str = "busybox:latest") -> bytes:
    """The busybox image, to be given to `docker load`."""
    return docker_archive(tag, [busybox_rootfs()], {"Cmd": ["sh"], "Env": [PATH]})
