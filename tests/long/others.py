"""Plugins that others wrote for Docker, as their authors published them: from PyPI, and from the source of Debian's docker.io.

What is fetched is pinned by version and digest, and lies below `.build`, made once. What they depend on is not pinned.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.daemons import PROJECT
from tests.long.sid import apt

_PLACE = PROJECT / ".build" / "others"


@dataclass(frozen=True)
class Published:
    """A wheel on PyPI."""

    name: str
    version: str
    sha256: str


WOLPHIN = Published("wolphin-driver", "0.0.4", "dc47e9aadfb450420b408796623828057a0dac3063ea4e551c070837d9a0acc1")
KURYR = Published("kuryr-libnetwork", "18.0.0", "136ec7b77cf10d1111281f36742a36d29799b1b66c6ca867e86fa489f4dcefcf")

MOBY = "docker.io=20.10.24+dfsg1-1+deb12u1"
MOBY_FILE = "docker.io_20.10.24+dfsg1.orig.tar.xz"
MOBY_SHA256 = "952f68f219a5aac7c293d2dfb26fb4c641b60f6d8c5eebf8cbf32a3f1429d2ce"
_SOURCES = (
    "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main"
)


def python_of(published: Published) -> Path:
    """The `bin` of an environment that has it."""
    place = _PLACE / f"{published.name}-{published.version}"
    if not (place / "made").exists():
        files = place / "files"
        _run(sys.executable, "-m", "venv", "--clear", str(place))
        pip = (str(place / "bin/pip"), "--quiet", "--disable-pip-version-check", "--no-input")
        _run(*pip, "download", "--no-deps", "--dest", str(files), f"{published.name}=={published.version}")
        (wheel,) = files.iterdir()
        _check(wheel, published.sha256)
        _run(*pip, "install", str(wheel))
        (place / "made").touch()
    return place / "bin"


def moby_program(directory: str) -> Path:
    """A program of moby's own tests of plugins, in Go, built by Debian's compiler; it needs Go's library and no more."""
    program = _PLACE / "moby" / directory.replace("/", "-")
    if not program.exists():
        source = _moby_source() / "integration/plugin" / directory
        environment = {
            **os.environ,
            "CGO_ENABLED": "0",
            "GO111MODULE": "off",
            "GOFLAGS": "",
            "GOCACHE": str(_PLACE / "go-cache"),
        }
        subprocess.run(["go", "build", "-o", str(program), "."], cwd=source, env=environment, check=True)
    return program


def _moby_source() -> Path:
    place = _PLACE / "moby-source"
    if not place.exists():
        partial = _PLACE / "moby-source.new"
        shutil.rmtree(partial, ignore_errors=True)
        apt(partial, _SOURCES, "source", "--download-only", "--only-source", MOBY)
        _check(partial / MOBY_FILE, MOBY_SHA256)
        _run("tar", "-C", str(partial), "-xf", str(partial / MOBY_FILE))
        partial.rename(place)
    (source,) = place.glob("moby-*/engine")
    return source


def _check(file: Path, sha256: str) -> None:
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    assert found == sha256, f"{file.name} has the digest {found}"


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-2000:])
