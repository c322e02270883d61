"""`sampan-oci` with a root of its own, and bundles that are told it."""

import json
import os
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

from tests.archives import busybox_rootfs
from tests.daemons import entry_point


class Runtime:
    """`sampan-oci` with a root of its own, and bundles on one root file system."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.command = entry_point("sampan-oci")
        self.root = base / "state"
        self.name = f"oci-{os.getpid()}-{base.name[-12:]}"
        self.rootfs = base / "rootfs"
        self.rootfs.mkdir()
        with tarfile.open(fileobj=BytesIO(busybox_rootfs())) as archive:
            archive.extractall(self.rootfs)

    def bundle(self, *args: str, **changed: Any) -> Path:
        place = self.base / "bundle"
        place.mkdir(exist_ok=True)
        document: dict[str, Any] = {
            "ociVersion": "1.0.2",
            "root": {"path": str(self.rootfs), "readonly": True},
            "process": {"args": args, "cwd": "/", "env": ["PATH=/bin"], **changed.pop("process", {})},
            "hostname": "within",
            "mounts": [
                {"destination": "/proc", "type": "proc"},
                {"destination": "/dev", "type": "tmpfs", "options": ["nosuid", "size=64k", "mode=755"]},
                {
                    "destination": "/dev/pts",
                    "type": "devpts",
                    "options": ["nosuid", "noexec", "newinstance", "mode=0620"],
                },
                *changed.pop("mounts", []),
            ],
            "linux": {
                "cgroupsPath": f"/sampan-test/{self.name}",
                "namespaces": [{"type": kind} for kind in ("mount", "pid", "network", "ipc", "uts")],
                "maskedPaths": ["/proc/kcore"],
                "readonlyPaths": ["/proc/sys"],
                **changed.pop("linux", {}),
            },
            **changed,
        }
        (place / "config.json").write_text(json.dumps(document))
        return place

    def __call__(self, *words: str, code: int = 0, stdin: bytes = b"") -> str:
        # Files, not pipes: what `create` starts keeps them open.
        with (self.base / "out").open("wb+") as out, (self.base / "err").open("wb+") as err:
            command = [*self.command, "--root", str(self.root), *words]
            done = subprocess.run(command, input=stdin, stdout=out, stderr=err, timeout=60)
        said, complained = ((self.base / name).read_text() for name in ("out", "err"))
        assert done.returncode == code, (words, done.returncode, said, complained)
        return said if code == 0 or said else complained

    def status(self) -> str:
        return str(json.loads(self("state", self.name))["status"])
