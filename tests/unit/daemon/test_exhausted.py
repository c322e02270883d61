"""A lack of memory at each edge ends the process, and nothing else does: each in a process of its own."""

import subprocess
import sys

import pytest

BEGIN = """
import asyncio, concurrent.futures, gc, logging, threading, time
from sampan.daemon import exhausted, journal
from sampan.daemon.threads import Threads

journal.set_up(LEVEL, "text", debug=False)
exhausted.watch()
log = logging.getLogger("sampan.daemon")

def fail(*_):
    raise FAULT

async def wait():
    await asyncio.sleep(30)

def alone(work):
    async def served():
        work()
        await wait()
    exhausted.run(served())

class Dies:
    __del__ = fail

class Boundary:
    @staticmethod
    def cross():
        try:
            fail()
        except Exception:
            log.exception("a request failed")

class Lost(concurrent.futures.Future):
    "What waits for it hears by a callback, which fails."

def callback_of_a_future():
    future = Lost()
    future.add_done_callback(fail)
    threading.Thread(target=future.set_result, args=(None,)).start()

def loop_itself():
    loop = asyncio.get_running_loop()
    loop._process_events = fail
    loop.call_soon(int)

def pool():
    Threads(1).submit(fail)

def converted():
    try:
        try:
            fail()
        except Exception as error:
            raise OSError("it failed") from error
    except OSError:
        log.exception("a request failed")

def forgotten_task():
    async def failing():
        fail()
    asyncio.get_running_loop().create_task(failing())
"""
EDGES = {
    "a thread": "threading.Thread(target=fail).start(); time.sleep(30)",
    "a finalizer": "Dies(); time.sleep(30)",
    "a thread that has not begun": "threading.Thread._bootstrap_inner = fail; threading.Thread(target=fail).start()",
    "a callback": "alone(lambda: asyncio.get_running_loop().call_soon(fail))",
    "a task that nobody waits for": "alone(forgotten_task)",
    "the loop": "alone(loop_itself)",
    "what a future tells": "callback_of_a_future(); time.sleep(30)",
    "a call in a pool": "pool(); time.sleep(30)",
    "a boundary": "Boundary.cross(); time.sleep(30)",
    "a fault that came of it": "converted(); time.sleep(30)",
}
SECONDS = 20


@pytest.mark.parametrize("level", ["info", "fatal"])
@pytest.mark.parametrize("edge", EDGES)
def test_no_memory_ends_the_process(edge: str, level: str) -> None:
    begin = BEGIN.replace("FAULT", "MemoryError").replace("LEVEL", repr(level))
    done = subprocess.run(
        [sys.executable, "-c", f"{begin}\n{EDGES[edge]}"], capture_output=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 1, done
    assert b"the daemon has no memory left and ends" in done.stderr


@pytest.mark.parametrize("edge", ["a thread", "a finalizer", "a callback", "what a future tells", "a boundary"])
def test_another_fault_ends_nothing(edge: str) -> None:
    begin = BEGIN.replace("FAULT", "ValueError").replace("LEVEL", "'info'").replace("sleep(30)", "sleep(0.2)")
    line = EDGES[edge].replace("sleep(30)", "sleep(0.2)")
    done = subprocess.run([sys.executable, "-c", f"{begin}\n{line}"], capture_output=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done
    assert b"ValueError" in done.stderr
