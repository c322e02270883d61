import os
import time
from pathlib import Path

from sampan.snapshots.spares import PREFIX, Spares, make_pair


def wait_for(spares: Spares) -> Path:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        found = spares.take()
        if found is not None:
            return found
        time.sleep(0.01)
    raise AssertionError("no spare was made")


def test_spares_are_ready_and_go_with_the_end(tmp_path: Path) -> None:
    spares = Spares(tmp_path)
    taken = wait_for(spares)
    assert taken.name.startswith(PREFIX)
    assert {path.name: oct(path.stat().st_mode) for path in taken.iterdir()} == {"upper": "0o40755", "work": "0o40700"}
    assert wait_for(spares) != taken
    spares.close()
    assert len(os.listdir(tmp_path)) == 2


def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        made = make_pair(tmp_path / "pair")
    finally:
        os.umask(before)
    assert [oct(path.stat().st_mode) for path in (made, made / "upper")] == ["0o40710", "0o40755"]
    (made / "upper/kept").touch()
    make_pair(made)
    assert (made / "upper/kept").exists()
