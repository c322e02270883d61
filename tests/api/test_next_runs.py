"""A run's record is there for as long as it runs, whatever became of the run before it."""

import threading
import time

from tests.api.scenes import FOREVER, Box
from tests.daemons import Sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "busybox")

RESTARTS = 20


def test_the_end_of_a_run_takes_nothing_of_the_next(engine: Sampan) -> None:
    """The end of the one is recorded while the other starts: on a busy disk it is done when that has begun."""
    box = Box(engine, *FOREVER, host={"NetworkMode": "none"}).start()
    record = engine.exec_root / "containers" / box.id / "record.json"
    over = threading.Event()

    def keep_busy(number: int) -> None:
        while not over.is_set():
            name = f"busy-{number}-{time.monotonic_ns()}"
            engine.api("POST", "/volumes/create", {"Name": name})
            engine.api("DELETE", f"/volumes/{name}")

    threads = [threading.Thread(target=keep_busy, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(RESTARTS):
            answer = engine.api("POST", f"/containers/{box.id}/restart?t=0")
            assert answer.status == 204, answer
            time.sleep(0.02)
            assert record.exists()
    finally:
        over.set()
        for thread in threads:
            thread.join()
    engine.kill()
    engine.start()
    eventually(lambda: box.inspect()["State"]["Running"], "the next daemon did not find it")
    box.remove()
