"""Where an ordinary user's files are."""

import os
from pathlib import Path

import pytest

from sampan.rootless.places import of_user

NOBODY = 987654


def test_by_the_base_directories(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    environ = {"HOME": "/h", "XDG_RUNTIME_DIR": str(tmp_path), "XDG_DATA_HOME": "/d", "XDG_CONFIG_HOME": "/c"}
    places = of_user(environ, os.geteuid())
    assert places.run == f"{tmp_path}/sampan"
    assert places.socket == f"{tmp_path}/sampan/sampan.sock"
    assert (places.data, places.daemon_json) == ("/d/sampan", "/c/sampan/daemon.json")


@pytest.mark.parametrize("value", ["", "relative", "/does/not/exist"])
def test_without_a_run_directory_the_home_has_one(value: str) -> None:
    places = of_user({"HOME": "/h", "XDG_RUNTIME_DIR": value, "XDG_DATA_HOME": "relative"}, NOBODY)
    assert places.run == "/h/.local/state/sampan/sampan"
    assert places.data == "/h/.local/share/sampan"
    assert places.choices == "/h/.config/sampan/rootless.json"


@pytest.mark.parametrize(("mode", "uid"), [(0o755, os.geteuid()), (0o701, os.geteuid()), (0o700, NOBODY)])
def test_one_that_is_open_or_anothers_does_not_count(tmp_path: Path, mode: int, uid: int) -> None:
    """Of `su` without a session the variable is another user's."""
    tmp_path.chmod(mode)
    assert of_user({"HOME": "/h", "XDG_RUNTIME_DIR": str(tmp_path)}, uid).run.startswith("/h/")
