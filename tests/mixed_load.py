"""Clients that do a bit of everything, note what was acknowledged, and can say whether it is so: for kills and for soaks.

Each client has names of its own. What an answer acknowledged is *here* or *gone*; a request that was cut off may have happened
or not, and its name is left out until the next answer about it.
"""

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Self

from tests.archives import Layer, docker_archive
from tests.daemons import Answer, Sampan

NAMES = 4
"""Names of each kind that one client juggles with."""
SECONDS = 90
"""How long an answer may take while the engine is killed and comes back."""
_AGAIN = 0.05
"""Seconds until a client tries again whose engine was not there."""
REMOVED, KNOWN_WRONG = (204, 200, 404), (409,)
LISTS = {
    "containers": "/containers/{}/json",
    "volumes": "/volumes/{}",
    "networks": "/networks/{}",
    "images": "/images/{}/json",
}


class Client:
    """One client. `known`: (kind, name) → whether it must be there.

    `calm`: nobody kills or exhausts anything, so that an answer of 500, a build that fails or a broken connection is a fault.
    """

    def __init__(self, engine: Sampan, number: int, seed: int, registry: str, *, calm: bool = False) -> None:
        self.engine = engine
        self.calm = calm
        self.number = number
        self.registry = registry
        self.dice = random.Random(seed * 1000 + number)
        self.known: dict[tuple[str, str], bool] = {}
        self.done: Counter[str] = Counter()
        self.cut_off = 0
        self.faults: list[str] = []
        self._acts: dict[str, Callable[[], None]] = {
            "run": self._run,
            "container": self._container,
            "exec": self._exec,
            "volume": self._volume,
            "network": self._network,
            "build": self._build,
            "commit": self._commit,
            "pull": self._pull,
            "load": self._load,
        }

    def act(self) -> None:
        """One thing, chosen at random."""
        name = self.dice.choices(list(self._acts), (6, 4, 4, 3, 2, 1, 1, *((1, 0) if self.registry else (0, 1))))[0]
        try:
            self._acts[name]()
        except (OSError, http.client.HTTPException) as error:
            self.cut_off += 1
            if self.calm:
                self.faults.append(f"{name}: {error!r}")
            time.sleep(_AGAIN)
        else:
            self.done[name] += 1

    def _name(self, kind: str) -> str:
        return f"{kind[0]}-{self.number}-{self.dice.randrange(NAMES)}"

    def _ask(self, method: str, path: str, body: object, wanted: tuple[int, ...]) -> Answer:
        answer = self.engine.api(method, path, body, timeout=SECONDS)
        if answer.status not in wanted or (self.calm and answer.status >= 500):
            self.faults.append(f"{method} {path}: {answer.status} {answer.body[:300]!r}")
        return answer

    def _become(self, kind: str, name: str, here: bool, act: Callable[[], Answer], wanted: tuple[int, ...]) -> bool:
        """Do `act`, after which the thing is there or not where it answers as `wanted`."""
        self.known.pop((kind, name), None)
        answer = act()
        if answer.status in wanted:
            self.known[kind, name] = here
        return answer.status in wanted

    def _create(self, name: str, *command: str, **host: object) -> bool:
        body = {"Image": "busybox", "Cmd": list(command), "HostConfig": {"NetworkMode": "none", **host}}
        path = f"/containers/create?name={name}"
        return self._become("containers", name, True, lambda: self._ask("POST", path, body, (201, 409)), (201,))

    def _remove(self, name: str) -> None:
        path = f"/containers/{name}?force=1&v=1"
        wanted = (*REMOVED, *KNOWN_WRONG)
        self._become("containers", name, False, lambda: self._ask("DELETE", path, None, wanted), REMOVED)

    def _run(self) -> None:
        """A short life; its end is heard."""
        name = f"run-{self.number}-{self.dice.randrange(1 << 30)}"
        network = self.dice.choice(("none", "none", "bridge"))
        if not self._create(name, "sh", "-c", "exit 42", NetworkMode=network):
            return
        # 500 and 404 are what a start says whose monitor was killed under it.
        started = self._ask("POST", f"/containers/{name}/start", None, (204, 404, 409, 500))
        if started.status == 204:
            ended = self._ask("POST", f"/containers/{name}/wait", None, (200, 404))
            if ended.status == 200 and ended.json()["StatusCode"] not in (42, 137):  # type: ignore[index]
                self.faults.append(f"{name} ended with {ended.body!r}")
        self._remove(name)

    def _container(self) -> None:
        """One with a name comes, or goes."""
        name = self._name("containers")
        if self.known.get(("containers", name)):
            if self.dice.random() < 0.5:
                self._ask("POST", f"/containers/{name}/restart?t=0", None, (204, 404, 409, 500))
            else:
                self._remove(name)
            return
        policy = {"RestartPolicy": {"Name": self.dice.choice(("no", "always", "on-failure"))}}
        if self._create(name, "sleep", "100000", **policy):
            self._ask("POST", f"/containers/{name}/start", None, (204, 304, 404, 409, 500))

    def _exec(self) -> None:
        name = self._name("containers")
        if not self.known.get(("containers", name)):
            return
        made = self._ask("POST", f"/containers/{name}/exec", {"Cmd": ["true"], "AttachStdout": True}, (201, 404, 409))
        if made.status == 201:
            self._ask("POST", f"/exec/{made.json()['Id']}/start", {}, (200, 404, 409, 500))  # type: ignore[index]

    def _volume(self) -> None:
        name = self._name("volumes")
        if self.known.get(("volumes", name)):
            path = f"/volumes/{name}"
            self._become("volumes", name, False, lambda: self._ask("DELETE", path, None, REMOVED), REMOVED)
        else:
            body = {"Name": name}
            self._become("volumes", name, True, lambda: self._ask("POST", "/volumes/create", body, (201,)), (201,))

    def _network(self) -> None:
        name = self._name("networks")
        if self.known.get(("networks", name)):
            path = f"/networks/{name}"
            self._become("networks", name, False, lambda: self._ask("DELETE", path, None, REMOVED), REMOVED)
        else:
            # Not from the pools: they are the whole machine's.
            subnet = f"10.{200 + self.number}.{name[-1]}.0/24"
            body = {"Name": name, "IPAM": {"Config": [{"Subnet": subnet}]}}
            wanted = (201, 409)
            self._become(
                "networks", name, True, lambda: self._ask("POST", "/networks/create", body, wanted), (201, 409)
            )

    def _build(self) -> None:
        tag = self._name("images")
        context = Layer()
        context.file("Dockerfile", f"FROM busybox\nRUN echo {self.dice.random()} > /x\nCOPY Dockerfile /\n".encode())
        path = f"/build?t={tag}&rm=1&networkmode=none"
        self.known.pop(("images", tag), None)
        answer = self.engine.api("POST", path, context.tar(), timeout=SECONDS)
        # A build whose step's monitor was killed fails, and says so.
        if answer.status == 200 and b"Successfully tagged" in answer.body:
            self.known["images", tag] = True
        elif self.calm:
            self.faults.append(f"build of {tag}: {answer.status} {answer.body[-300:]!r}")

    def _commit(self) -> None:
        tag, name = self._name("images"), self._name("containers")
        if self.known.get(("images", tag)) and self.dice.random() < 0.6:
            path = f"/images/{tag}?force=1"
            wanted = (*REMOVED, *KNOWN_WRONG)
            self._become("images", tag, False, lambda: self._ask("DELETE", path, None, wanted), REMOVED)
        elif self.known.get(("containers", name)):
            path = f"/commit?container={name}&repo={tag}"
            self._become("images", tag, True, lambda: self._ask("POST", path, {}, (201, 404, 409, 500)), (201,))

    def _pull(self) -> None:
        answer = self.engine.api("POST", f"/images/create?fromImage={self.registry}/there&tag=latest", timeout=SECONDS)
        if answer.status == 200 and b"errorDetail" not in answer.body:
            self.known["images", f"{self.registry}/there:latest"] = True

    def _load(self) -> None:
        """What comes to an image where there is no registry to pull from."""
        tag = self._name("images")
        layer = Layer()
        layer.file("there", self.dice.randbytes(100_000))
        archive = docker_archive(f"{tag}:latest", [layer.tar()], {})
        self.known.pop(("images", tag), None)
        answer = self._ask("POST", "/images/load", archive, (200,))
        # The status comes before the work: what became of it is the stream's last line.
        if b"errorDetail" in answer.body:
            self.faults.append(f"load of {tag}: {answer.body[-300:]!r}")
        elif answer.status == 200:
            self.known["images", tag] = True

    def lost(self) -> list[str]:
        """What is not as it was acknowledged. Nobody may be at work meanwhile."""
        found = []
        for (kind, name), here in sorted(self.known.items()):
            status = self.engine.api("GET", LISTS[kind].format(name)).status
            if (status == 200) is not here:
                found.append(f"{kind} {name}: {'lost' if here else 'still there'} ({status})")
        return found

    def remove_all(self) -> None:
        """All that it may have made, at the end."""
        for kind in ("containers", "networks", "volumes", "images"):
            for number in range(NAMES):
                name = f"{kind[0]}-{self.number}-{number}"
                force = "?force=1" if kind in ("containers", "images") else ""
                self.engine.api("DELETE", f"/{kind}/{name}{force}", timeout=SECONDS)
        self.known.clear()


class Load:
    """Clients at work from entering to leaving; `pause` lets all of them finish what they do."""

    def __init__(self, clients: list[Client], rest: float = 0.0) -> None:
        self.clients = clients
        self.rest = rest
        self._ended, self._open = threading.Event(), threading.Event()
        self._busy = [threading.Lock() for _ in clients]
        self._open.set()
        self.threads = [
            threading.Thread(target=self._work, args=each) for each in zip(clients, self._busy, strict=True)
        ]

    def _work(self, client: Client, busy: threading.Lock) -> None:
        while not self._ended.is_set():
            self._open.wait()
            with busy:
                if self._open.is_set():
                    client.act()
            time.sleep(self.rest)

    def pause(self) -> None:
        """Return when nobody is at work."""
        self._open.clear()
        for busy in self._busy:
            busy.acquire()
            busy.release()

    def end(self) -> None:
        """What each client does is its last; whoever leaves waits for that."""
        self._ended.set()

    def go_on(self) -> None:
        """Let them work again."""
        self._open.set()

    @property
    def faults(self) -> list[str]:
        """Answers that should not have come."""
        return [fault for client in self.clients for fault in client.faults]

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._open.set()
        for thread in self.threads:
            thread.join()
