"""What a command loads: the modules of the interpreter that the fast commands may bring in are a closed list.

Run with nobody at the socket: everything that the command needs before and after its first request is loaded by then.
"""

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[3] / "src"
FAST = set(
    "__future__ _json _socket _signal _sha2 _sha256 _string errno select termios fcntl time itertools unicodedata".split()
)
LINES = [
    "run --rm -i -e A=b -v /a:/b -p 80:80 -m 1g --network none -w / x true",
    "run -d --name n x",
    "exec -i c ls",
    "ps -a",
    "logs -f c",
    "start -a c",
    "stop c",
    "rm -f c",
]
PROGRAM = """
import sys
sys.path.insert(0, {source!r})
before = set(sys.modules)
from sampan.cli.main import run_command
run_command({words!r}, {{"HOME": "/nowhere", "DOCKER_HOST": "unix:///nowhere/x.sock"}})
print("\\n".join(set(sys.modules) - before))
"""


def loaded(words: list[str]) -> set[str]:
    program = PROGRAM.format(source=str(SOURCE), words=words)
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert "Cannot connect" in done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("line", LINES)
def test_closed_list(line: str) -> None:
    foreign = {name for name in loaded(line.split()) if not name.startswith("sampan")}
    assert foreign - FAST == set()


@pytest.mark.parametrize(("line", "count"), [("run --rm x true", 32), ("exec c true", 28), ("ps", 28)])
def test_few_modules_of_our_own(line: str, count: int) -> None:
    """Each costs about 0.3 ms; `run` has the most, and 45 ms for everything."""
    assert len({name for name in loaded(line.split()) if name.startswith("sampan")}) <= count


def test_other_rooms_stay_out() -> None:
    rooms = {name.split(".")[1] for name in loaded(["run", "x"]) if name.count(".") >= 1}
    assert rooms <= {"cli", "client", "errors"}
