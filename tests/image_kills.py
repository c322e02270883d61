"""Kills of the daemon at random moments of pull, push, load, import, commit, save, tag, remove and prune: the store stays clean.

Each client has names of its own and notes what was acknowledged. After every restart `system check` finds nothing, every
acknowledged image is there by its name and id, and whole; what was acknowledged as removed is not there. What was
acknowledged as pushed is what a pull brings.
"""

import gzip
import hashlib
import http.client
import io
import json
import os
import random
import tarfile
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Self
from urllib.parse import quote

from tests.archives import Layer, docker_archive
from tests.daemons import Answer, Sampan, running_sampan
from tests.registries import running_registry

CLIENTS = 3
REMOTE = 3
"""Repositories of one client in the registry."""
NAMES = 6
"""Names that one client juggles with."""
LONGEST = 0.35
"""Seconds that a daemon lives at most after it was found clean."""


def _layer(dice: random.Random, largest: int) -> bytes:
    layer = Layer()
    layer.directory("d")
    for index in range(dice.randint(1, 5)):
        layer.file(f"d/{index}", dice.randbytes(dice.randint(1, largest)))
    return layer.tar()


class Client:
    """One client. `known`: what each name must mean now: an image's id, "" for nothing; a name that is missing may be either."""

    def __init__(self, engine: Sampan, registry: str, number: int, seed: int) -> None:
        self.engine = engine
        self.remote = [f"{registry}/client{number}/image{index}" for index in range(REMOTE)]
        self.pushed: dict[str, str] = {}
        self.number = number
        self.dice = random.Random(seed * 100 + number)
        # Layers that its images share among each other, and with those of other clients.
        self.layers = [_layer(random.Random(seed * 100 + 99), 300_000), *(_layer(self.dice, 300_000) for _ in range(3))]
        self.known: dict[str, str] = {}
        self.lock = threading.Lock()
        self.faults: list[str] = []
        self.acknowledged: Counter[str] = Counter()
        self.cut: Counter[str] = Counter()
        self.container = ""

    def prepare(self) -> None:
        """A container with a file of its own, for commit."""
        body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}
        made = self.engine.api("POST", "/containers/create", body).json()
        assert isinstance(made, dict)
        self.container = made["Id"]
        answer = self.engine.api("PUT", f"/containers/{self.container}/archive?path=/", _layer(self.dice, 100_000))
        assert answer.status == 200, answer
        for remote in self.remote:
            name = f"{remote}:latest"
            layers = [*self.layers[:2], _layer(self.dice, 600_000)]
            self.engine.api("POST", "/images/load?quiet=1", docker_archive(name, layers, {"Cmd": [name]}))
            self._note(name)
            self._send(remote)

    def step(self) -> None:
        """One operation, chosen by the dice, on one name."""
        action = self.dice.choice(
            (
                *(self._load, self._load, self._import, self._commit, self._save, self._remove, self._prune, self._tag),
                *(self._pull, self._pull, self._push, self._forget),
            )
        )
        name = f"client{self.number}/image{self.dice.randrange(NAMES)}:latest"
        if action in (self._pull, self._push, self._forget):
            name = f"{self.dice.choice(self.remote)}:latest"
        with self.lock:
            before = dict(self.known)
            try:
                action(name)
                self.acknowledged[action.__name__] += 1
            except (OSError, http.client.HTTPException):
                # Nobody answered, or the answer was cut: what it was about may be done or not.
                self.cut[action.__name__] += 1
                for changed in self._touched(name, before, action):
                    self.known.pop(changed, None)
                if action == self._push:
                    self.pushed.pop(name, None)
                time.sleep(0.02)

    def _touched(self, name: str, before: dict[str, str], action: Callable[[str], None]) -> list[str]:
        if action == self._prune:
            return list(before)
        return [] if action == self._save else [name]

    def _ask(self, method: str, path: str, body: object = None) -> Answer:
        answer = self.engine.api(method, path, body)
        if b'"errorDetail"' in answer.body or answer.status >= 500:
            self.faults.append(f"{method} {path}: {answer.status} {answer.body[-300:]!r}")
        return answer

    def _note(self, name: str) -> None:
        """What the name means, as the daemon that acknowledged it says at once."""
        answer = self.engine.api("GET", f"/images/{name}/json")
        document = answer.json()
        assert isinstance(document, dict)
        self.known[name] = document["Id"] if answer.status == 200 else ""

    def _load(self, name: str) -> None:
        layers = self.dice.sample(self.layers, self.dice.randint(1, 3))
        packed = {index: gzip.compress(layer, 1) for index, layer in enumerate(layers) if self.dice.random() < 0.4}
        labels = {"victim": str(self.number)} if self.dice.random() < 0.3 else {}
        archive = docker_archive(name, layers, {"Cmd": [str(self.dice.random())], "Labels": labels}, packed)
        self._ask("POST", "/images/load?quiet=1", archive)
        self._note(name)

    def _import(self, name: str) -> None:
        self._ask("POST", f"/images/create?fromSrc=-&repo={name.removesuffix(':latest')}&tag=latest", self.layers[-1])
        self._note(name)

    def _commit(self, name: str) -> None:
        repository = name.removesuffix(":latest")
        self._ask("POST", f"/commit?container={self.container}&repo={repository}&tag=latest", {})
        self._note(name)

    def _tag(self, name: str) -> None:
        source = next((one for one, image in self.known.items() if image), "")
        if source and source != name:
            self._ask("POST", f"/images/{source}/tag?repo={name.removesuffix(':latest')}&tag=latest")
            self._note(name)

    def _pull(self, name: str) -> None:
        self._ask("POST", f"/images/create?fromImage={quote(name.removesuffix(':latest'), safe='')}&tag=latest")
        self._note(name)
        wanted = self.pushed.get(name, self.known[name])
        if self.known[name] != wanted:
            self.faults.append(f"{name} was pushed as {wanted} and pulled as {self.known[name]}")

    def _push(self, name: str) -> None:
        """An image of this client's goes under the name to the registry."""
        source = next((one for one, image in self.known.items() if image and one not in self.pushed), "")
        if source:
            remote = name.removesuffix(":latest")
            self._ask("POST", f"/images/{source}/tag?repo={remote}&tag=latest")
            self._note(name)
            self._send(remote)

    def _send(self, remote: str) -> None:
        answer = self.engine.api("POST", f"/images/{remote}/push?tag=latest", headers={"X-Registry-Auth": "e30="})
        if b'"errorDetail"' in answer.body or answer.status != 200:
            self.faults.append(f"push {remote}: {answer.status} {answer.body[-300:]!r}")
        elif b'"aux"' not in answer.body:
            raise OSError("the answer was cut off")
        self.pushed[f"{remote}:latest"] = self.known[f"{remote}:latest"]

    def _forget(self, name: str) -> None:
        """Removed here, so that the next pull has something to bring."""
        self._remove(name)

    def _save(self, name: str) -> None:
        answer = self._ask("GET", f"/images/{name}/get")
        if answer.status == 200:
            whole = archive_is_whole(answer.body)
            if not whole and b'"errorDetail"' not in answer.body:
                raise OSError("the archive was cut off")

    def _remove(self, name: str) -> None:
        answer = self._ask("DELETE", f"/images/{name}?force=1")
        if answer.status in (200, 404):
            self.known[name] = ""

    def _prune(self, name: str) -> None:
        filters = json.dumps({"dangling": ["false"], "label": [f"victim={self.number}"]}).replace('"', "%22")
        self._ask("POST", f"/images/prune?filters={filters.replace(' ', '')}")
        for one in list(self.known):
            self._note(one)

    def verify(self, why: str) -> None:
        """Everything that was acknowledged is as it was; raises AssertionError."""
        with self.lock:
            assert not self.faults, f"{why}: {self.faults}"
            for name, image in self.known.items():
                answer = self.engine.api("GET", f"/images/{name}/json")
                document = answer.json()
                assert isinstance(document, dict)
                found = document["Id"] if answer.status == 200 else ""
                assert found == image, f"{why}: {name} is {found or 'gone'}, {image or 'nothing'} was acknowledged"


def archive_is_whole(data: bytes) -> bool:
    """Whether every blob of an image archive is what its name says; False where the archive is cut."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            names = tar.getnames()
            for member in tar.getmembers():
                if member.name.startswith("blobs/sha256/") and member.isfile():
                    file = tar.extractfile(member)
                    assert file is not None
                    if hashlib.sha256(file.read()).hexdigest() != member.name.rpartition("/")[2]:
                        return False
            return "manifest.json" in names
    except (tarfile.TarError, EOFError):
        return False


class Load:
    """All clients, each in a thread."""

    def __init__(self, engine: Sampan, registry: str, seed: int) -> None:
        self.clients = [Client(engine, registry, number, seed) for number in range(CLIENTS)]
        self.stop = threading.Event()
        self.failures: list[BaseException] = []
        self.threads = [threading.Thread(target=self._run, args=(client,)) for client in self.clients]

    def _run(self, client: Client) -> None:
        try:
            while not self.stop.is_set():
                client.step()
        except BaseException as error:  # noqa: BLE001 - raised in the main thread
            self.failures.append(error)

    def __enter__(self) -> Self:
        for client in self.clients:
            client.prepare()
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()


def _clean(engine: Sampan, why: str) -> None:
    checked = engine.sampan("system", "check")
    assert checked.code == 0, f"{why}: {checked.text}"


def random_image_kills(kills: int, seed: int) -> dict[str, tuple[int, int]]:
    """The whole run: how often each operation was acknowledged and cut off. Raises AssertionError naming the seed."""
    dice = random.Random(seed)
    with (
        tempfile.TemporaryDirectory(prefix="sampan-registry-") as files,
        running_registry(Path(files)) as registry,
        running_sampan() as engine,
    ):
        engine.load_busybox()
        with Load(engine, registry.address, seed) as load:
            for number in range(kills):
                time.sleep(dice.uniform(0, LONGEST))
                engine.kill()
                engine.start()
                why = f"seed {seed}, kill {number}"
                _clean(engine, why)
                for client in load.clients:
                    client.verify(why)
                assert not load.failures, f"{why}: {load.failures}"
        for client in load.clients:
            client.verify(f"seed {seed}, at the end")
        _all_goes(engine, seed)
        counts = sum((client.acknowledged for client in load.clients), Counter[str]())
        cut = sum((client.cut for client in load.clients), Counter[str]())
    return {name.removeprefix("_"): (counts[name], cut[name]) for name in sorted({*counts, *cut})}


def _all_goes(engine: Sampan, seed: int) -> None:
    """With every image and container removed the disk holds nothing."""
    engine.remove_containers()
    engine.api("POST", "/images/prune?filters=%7B%22dangling%22:%5B%22false%22%5D%7D")
    _clean(engine, f"seed {seed}, emptied")
    root = engine.data_root
    deadline = time.monotonic() + 60
    while left := [
        str(path)
        for place in ("content/blobs/sha256", "content/ingest", "content/trash", "trash", "layers/overlay/l")
        for path in (root / place).iterdir()
        if not path.name.startswith("partial-")
    ]:
        assert time.monotonic() < deadline, f"seed {seed}: left on the disk: {left}"
        time.sleep(0.05)
    assert os.listdir(root / "layers/overlay") == ["l"], f"seed {seed}"
