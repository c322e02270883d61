"""Kills of the daemon at random moments of builds, prunes and removals: cache and store stay clean.

Each client has names and steps of its own, some of which others have too. After every restart `system check` finds nothing, no
half-made layer, mount or context is left, and every image that was acknowledged is there by its name and id. What the cache
says it has is there: a rebuild that finds all of its steps gives the very image.
"""

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Self

from tests.api.building import build, half_made
from tests.daemons import Sampan, running_sampan

CLIENTS = 2
NAMES = 3
LONGEST = 0.9
"""Seconds that a daemon lives at most after it was found clean."""
_CUT = (OSError, http.client.HTTPException, ValueError, AssertionError)
"""What a client sees of a kill: no answer, half a line, or a stream that ends before its end."""


class Client:
    """One client. `known`: what each of its names must mean now; a name that is missing may mean either."""

    def __init__(self, engine: Sampan, number: int, seed: int) -> None:
        self.engine = engine
        self.number = number
        self.dice = random.Random(seed * 100 + number)
        self.known: dict[str, str] = {}
        self.lock = threading.Lock()
        self.acknowledged: Counter[str] = Counter()
        self.cut: Counter[str] = Counter()

    def step(self) -> None:
        """One operation, and what came of it."""
        act: Callable[[], None] = self.dice.choices([self.build, self.prune, self.remove], [6, 1, 1])[0]
        try:
            with self.lock:
                act()
            self.acknowledged[act.__name__] += 1
        except _CUT:
            self.cut[act.__name__] += 1
            time.sleep(0.02)

    def name(self) -> str:
        return f"client{self.number}:{self.dice.randrange(NAMES)}"

    def build(self) -> None:
        """Two steps of a few that all clients have, and one of its own; a cache mount, a context."""
        shared, own = self.dice.randrange(3), self.dice.randrange(4)
        text = (
            f"FROM busybox\nRUN echo {shared} > /shared\nCOPY file /file\n"
            f"RUN --mount=type=cache,target=/cache echo {own} >> /cache/x && echo {self.number}-{own} > /own\n"
        )
        name = self.name()
        self.known.pop(name, None)
        built = build(self.engine, text, {"file": str(shared)}, t=name)
        assert built.status == 200, built
        assert not built.error, built.lines[-1]
        self.known[name] = built.image

    def prune(self) -> None:
        """All that is not in use, or the half of it."""
        query = self.dice.choice(("all=1", "reserved-space=1&all=1", "filters=%7B%22type%22:%5B%22regular%22%5D%7D"))
        assert self.engine.api("POST", f"/build/prune?{query}").status == 200

    def remove(self) -> None:
        """Take a name away."""
        name = self.name()
        self.known.pop(name, None)
        assert self.engine.api("DELETE", f"/images/{name}?force=1").status in (200, 404)
        self.known[name] = ""

    def verify(self, why: str) -> None:
        """What was acknowledged is so."""
        with self.lock:
            for name, image in self.known.items():
                answer = self.engine.api("GET", f"/images/{name}/json")
                document = answer.json()
                assert isinstance(document, dict)
                found = document["Id"] if answer.status == 200 else ""
                assert found == image, f"{why}: {name} is {found or 'gone'}, {image or 'nothing'} was acknowledged"


class Load:
    """All clients, each in a thread."""

    def __init__(self, engine: Sampan, seed: int) -> None:
        self.clients = [Client(engine, number, seed) for number in range(CLIENTS)]
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(client,)) for client in self.clients]

    def _run(self, client: Client) -> None:
        while not self.stop.is_set():
            client.step()
            time.sleep(0.002)  # whoever verifies waits for the lock, and locks are not fair

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()


def random_build_kills(kills: int, seed: int) -> dict[str, tuple[int, int]]:
    """The whole run: how often each operation was acknowledged and cut off. Raises AssertionError naming the seed."""
    dice = random.Random(seed)
    with running_sampan() as engine:
        engine.load_busybox()
        with Load(engine, seed) as load:
            for number in range(kills):
                time.sleep(dice.uniform(0, LONGEST))
                engine.kill()
                why = f"seed {seed}, kill {number}"
                engine.start()
                _judge(engine, load, why)
        for client in load.clients:
            client.verify(f"seed {seed}, at the end")
        _rebuilt(engine, f"seed {seed}")
        _all_goes(engine, f"seed {seed}")
        counts = sum((client.acknowledged for client in load.clients), Counter[str]())
        cut = sum((client.cut for client in load.clients), Counter[str]())
    return {name: (counts[name], cut[name]) for name in sorted({*counts, *cut})}


def _judge(engine: Sampan, load: Load, why: str) -> None:
    for client in load.clients:
        client.lock.acquire()
    try:
        checked = engine.sampan("system", "check")
        assert checked.code == 0, f"{why}: {checked.text}"
        assert half_made(engine) == [], why
    finally:
        for client in load.clients:
            client.lock.release()
    for client in load.clients:
        client.verify(why)


def _rebuilt(engine: Sampan, why: str) -> None:
    """What is found in the cache is what was made: the program sees its files."""
    text = "FROM busybox\nRUN echo 1 > /shared\nCOPY file /file\n"
    for _ in range(2):
        built = build(engine, text, {"file": "1"}, t="last")
        assert not built.error, (why, built.lines[-1])
    seen = engine.docker("run", "--rm", "--net", "none", "last", "cat", "/shared", "/file")
    assert seen.text == "1\n1", (why, seen)


def _all_goes(engine: Sampan, why: str) -> None:
    """With every image and record gone the disk holds nothing."""
    assert engine.api("POST", "/build/prune?all=1").status == 200
    assert engine.api("POST", "/images/prune?filters=%7B%22dangling%22:%5B%22false%22%5D%7D").status == 200
    checked = engine.sampan("system", "check")
    assert checked.code == 0, (why, checked.text)
    usage = engine.api("GET", "/system/df").json()
    assert isinstance(usage, dict)
    assert (usage["LayersSize"], usage["BuildCache"]) == (0, []), why
    left = [path.name for path in (engine.data_root / "build" / "mounts").iterdir()]
    assert left == [], why
