"""The C library's heap, in a process of its own: how many there are, and that free pages go back."""

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[3] / "src"
HOLES = """
import os, threading
from sampan.kernel import allocator

def resident():
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')

print(allocator.limit_arenas(1))
kept = []
def work():
    # Pieces of the heap's size, and between them some that stay: what is freed lies in holes.
    pieces = [bytes(20_000) for _ in range(2_000)]
    kept.extend(pieces[::50])
thread = threading.Thread(target=work)
thread.start()
thread.join()
before = resident()
print(allocator.trim(), (before - resident()) >> 20)
with open('/proc/self/maps') as file:
    print(sum(line.rstrip().endswith('[heap]') for line in file))
"""


def test_one_heap_for_all_threads_and_its_holes_go_back() -> None:
    program = f"import sys; sys.path.insert(0, {str(SOURCE)!r})\n{HOLES}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    limited, trimmed, megabytes, heaps = done.stdout.split()
    assert (limited, trimmed, heaps) == ("True", "True", "1")
    assert int(megabytes) >= 25
