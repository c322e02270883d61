"""Images that travel: a Debian root of many files, in one layer and in ten; loaded, saved, pulled and pushed by both engines.

Every repetition has an image of its own, so that nothing is there already and nothing has to be removed in between.
"""

import io
import itertools
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from bench.samples import Samples
from sampan.snapshots.overlay import OverlaySnapshotter
from tests.archives import PATH, Layer, docker_archive
from tests.daemons import PROJECT, Daemon, scrubbed_environment
from tests.registries import Registry, running_registry

_ROOT = PROJECT / ".build" / "bench-debian.tar"


@cache
def debian() -> bytes:
    """The tar of a small Debian, made once with mmdebstrap: some 9,000 entries, 160 MB."""
    if not _ROOT.exists():
        partial = _ROOT.with_suffix(".new.tar")
        command = ["mmdebstrap", "--variant=minbase", "--include=perl", "bookworm", str(partial)]
        subprocess.run(command, check=True, capture_output=True, timeout=900)
        partial.rename(_ROOT)
    return _ROOT.read_bytes()


@cache
def ten_layers() -> tuple[bytes, ...]:
    """The same in ten layers of about the same size. A hard link into another layer is left out."""
    with tarfile.open(fileobj=io.BytesIO(debian())) as source:
        members = source.getmembers()
        share = sum(member.size + 1024 for member in members) / 10
        layers: list[bytes] = []
        at = iter(members)
        for number in range(10):
            buffer, size, names = io.BytesIO(), 0.0, set[str]()
            with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as target:
                for member in at:
                    if member.islnk() and member.linkname not in names:
                        continue
                    names.add(member.name)
                    target.addfile(member, source.extractfile(member) if member.isreg() else None)
                    size += member.size + 1024
                    if size > share and number < 9:
                        break
            layers.append(buffer.getvalue())
    return tuple(layers)


KINDS: dict[str, Callable[[], tuple[bytes, ...]]] = {"one layer": lambda: (debian(),), "ten layers": ten_layers}


@dataclass(frozen=True)
class Engines:
    """Both engines, and a registry that each reaches under an address of its own."""

    sampan: Daemon
    docker: Daemon
    registries: dict[str, Registry]
    place: Path
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def both(self) -> tuple[Daemon, Daemon]:
        return self.sampan, self.docker

    def archive(self, kind: str, tag: str) -> Path:
        """A file with an image like no other."""
        layers = []
        for layer in KINDS[kind]():
            own = Layer()
            own.file(f"number-{next(self.numbers)}", os.urandom(16))
            # Its one small file, without the end marker.
            layers.append(own.tar()[:1024] + layer)
        path = self.place / "archive.tar"
        path.write_bytes(docker_archive(tag, layers, {"Cmd": ["sh"], "Env": [PATH]}))
        return path


@contextmanager
def engines(sampan: Daemon, docker: Daemon) -> Iterator[Engines]:
    """With a registry on each engine's loopback; both have the same storage."""
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-images-", dir="/tmp")))
        ours = stack.enter_context(running_registry(place / "ours"))
        assert docker.process is not None
        within = ["nsenter", "--net", "--target", str(docker.process.pid)]
        theirs = stack.enter_context(running_registry(place / "theirs", within=within, shared=ours.storage))
        yield Engines(sampan, docker, {sampan.kind: ours, docker.kind: theirs}, place)


def _timed(engine: Daemon, *command: str) -> float:
    began = time.perf_counter()
    with open(os.devnull, "wb") as nowhere:
        subprocess.run(
            ["docker", *command], check=True, stdout=nowhere, env={**scrubbed_environment(), "DOCKER_HOST": engine.host}
        )
    return time.perf_counter() - began


def load_and_save(at: Engines, kind: str, repetitions: int) -> dict[str, tuple[Samples, Samples]]:
    """For each engine (`docker load`, `docker save`) of images that it has not seen, in turns."""
    taken: dict[str, list[tuple[float, float]]] = {engine.kind: [] for engine in at.both()}
    for number in range(repetitions):
        tag = f"bench:{kind.split(maxsplit=1)[0]}{number}"
        path = at.archive(kind, tag)
        for engine in at.both():
            taken[engine.kind].append((_timed(engine, "load", "-qi", str(path)), _timed(engine, "save", tag)))
    return {
        name: (Samples(tuple(load for load, _ in both)), Samples(tuple(save for _, save in both)))
        for name, both in taken.items()
    }


def push(at: Engines, kind: str, repetitions: int) -> dict[str, Samples]:
    """`docker push` of images that the registry has no layer of."""
    taken: dict[str, list[float]] = {engine.kind: [] for engine in at.both()}
    for number in range(repetitions):
        for engine in at.both():
            tag = f"{at.registries[engine.kind].address}/{engine.kind}{number}:{kind.split(maxsplit=1)[0]}"
            engine_archive = at.archive(kind, tag)
            _timed(engine, "load", "-qi", str(engine_archive))
            taken[engine.kind].append(_timed(engine, "push", "-q", tag))
    return {name: Samples(tuple(seconds)) for name, seconds in taken.items()}


def pull(at: Engines, kind: str, packing: str, repetitions: int) -> dict[str, Samples]:
    """`docker pull` of images whose layers are gzip or zstd. Docker 20.10 knows no zstd: it is left out then."""
    pulling = at.both() if packing == "gzip" else (at.sampan,)
    taken: dict[str, list[float]] = {engine.kind: [] for engine in pulling}
    for number in range(repetitions):
        name = f"pulled-{packing}:{kind.split(maxsplit=1)[0]}{number}"
        path = at.archive(kind, f"localhost/{name}")
        pack = ["--dest-compress-format", packing, "--dest-tls-verify=false", "--insecure-policy"]
        form = ["--format", "oci"] if packing == "zstd" else []
        target = f"docker://{at.registries[at.sampan.kind].address}/{name}"
        copy = ["skopeo", "copy", "-q", *form, *pack, f"docker-archive:{path}", target]
        subprocess.run(copy, check=True, capture_output=True)
        for engine in pulling:
            taken[engine.kind].append(_timed(engine, "pull", "-q", f"{at.registries[engine.kind].address}/{name}"))
    return {name: Samples(tuple(seconds)) for name, seconds in taken.items()}


def unpacking(repetitions: int) -> tuple[Samples, Samples]:
    """(a layer's unpacking in the jail, GNU tar's of the same), in turns on the disk that data roots lie on."""
    ours, theirs = [], []
    with tempfile.TemporaryDirectory(prefix="bench-unpack-", dir="/tmp") as place:
        tar = Path(place) / "layer.tar"
        tar.write_bytes(debian())
        for number in range(repetitions):
            root, tree = Path(place) / f"root{number}", Path(place) / f"tree{number}"
            root.mkdir()
            tree.mkdir()
            snapshots = OverlaySnapshotter(root)
            with tar.open("rb") as stream:
                began = time.perf_counter()
                snapshots.apply(None, stream)
                ours.append(time.perf_counter() - began)
            snapshots.close()
            extract = ["tar", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-C", str(tree), "-xpf", str(tar)]
            began = time.perf_counter()
            subprocess.run(extract, check=True)
            theirs.append(time.perf_counter() - began)
        shutil.rmtree(place, ignore_errors=True)
        os.mkdir(place)
    return Samples(tuple(ours)), Samples(tuple(theirs))


def peak_memory(engine: Daemon) -> int:
    """The most bytes that the daemon itself has held so far."""
    assert engine.process is not None
    for line in Path(f"/proc/{engine.process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel does not say how much memory the daemon has held")
