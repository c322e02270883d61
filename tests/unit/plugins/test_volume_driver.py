"""What is believed of a mount point that a plugin tells."""

import os
from pathlib import Path

import pytest

from sampan.plugins.faults import PluginBroke
from sampan.plugins.places import Address
from sampan.plugins.volume_driver import open_mountpoint


@pytest.fixture
def secret(tmp_path: Path) -> str:
    (tmp_path / "engine" / "inner").mkdir(parents=True)
    (tmp_path / "engine" / "state.db").touch()
    (tmp_path / "plugin").mkdir()
    return str(tmp_path / "engine")


def test_a_directory_is_opened(tmp_path: Path, secret: str) -> None:
    descriptor = open_mountpoint(str(tmp_path / "plugin"), (secret,), Address())
    try:
        assert os.path.samestat(os.fstat(descriptor), os.stat(tmp_path / "plugin"))
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("path", ["", "plugin", "../x", "/a\0b"])
def test_only_absolute_paths(secret: str, path: str) -> None:
    with pytest.raises(PluginBroke, match="no absolute path"):
        open_mountpoint(path, (secret,), Address())


@pytest.mark.parametrize("below", ["", "/inner", "/inner/..", "/../engine", "/..", "/../.."])
def test_neither_in_the_engines_files_nor_around_them(secret: str, below: str) -> None:
    with pytest.raises(PluginBroke, match="engine's own files"):
        open_mountpoint(secret + below, (secret,), Address())


def test_a_link_into_the_engines_files(tmp_path: Path, secret: str) -> None:
    (tmp_path / "plugin" / "link").symlink_to(secret + "/inner")
    with pytest.raises(PluginBroke, match="engine's own files"):
        open_mountpoint(str(tmp_path / "plugin" / "link"), (secret,), Address())


def test_a_file_is_no_volume(secret: str) -> None:
    with pytest.raises(NotADirectoryError):
        open_mountpoint(secret + "/state.db", (secret,), Address())


def test_a_path_within_the_plugins_root_stays_there(tmp_path: Path, secret: str) -> None:
    root = tmp_path / "plugin"
    (root / "data").mkdir()
    (root / "out").symlink_to(secret)
    descriptor = open_mountpoint("/data", (secret,), Address(root=str(root)))
    os.close(descriptor)
    with pytest.raises(FileNotFoundError):
        open_mountpoint("/out", (secret,), Address(root=str(root)))


def test_its_own_home_is_no_secret_to_it(tmp_path: Path, secret: str) -> None:
    home = Path(secret, "drivers", "mine")
    (home / "volume").mkdir(parents=True)
    (home / "link").symlink_to(secret)
    mine = Address(home=str(home))
    os.close(open_mountpoint(str(home / "volume"), (secret,), mine))
    for path in (secret, str(home.parent), str(home / "link")):
        with pytest.raises(PluginBroke, match="the engine's own files"):
            open_mountpoint(path, (secret,), mine)
