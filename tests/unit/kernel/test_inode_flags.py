import os
import subprocess
from pathlib import Path

from sampan.kernel.files import file_system_type
from sampan.kernel.inode_flags import set_top_directory

_EXT4_SUPER_MAGIC = 0xEF53


def test_a_top_directory_is_one_where_the_file_system_knows_such(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        known = set_top_directory(descriptor)
        assert known == (file_system_type(descriptor) == _EXT4_SUPER_MAGIC)
        assert set_top_directory(descriptor) == known
    finally:
        os.close(descriptor)
    if known:
        (tmp_path / "inside").mkdir()
        listed = subprocess.run(
            ["lsattr", "-d", tmp_path, tmp_path / "inside"], capture_output=True, text=True, check=True
        )
        flags = [line.split()[0] for line in listed.stdout.splitlines()]
        assert ["T" in shown for shown in flags] == [True, False]


def test_a_file_system_without_such_flags_is_no_error() -> None:
    descriptor = os.open("/proc/self", os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert set_top_directory(descriptor) is False
    finally:
        os.close(descriptor)


def test_other_flags_stay(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not set_top_directory(descriptor):
            return
        subprocess.run(["chattr", "+d", tmp_path], check=True)
        subprocess.run(["chattr", "-T", tmp_path], check=True)
        assert set_top_directory(descriptor)
    finally:
        os.close(descriptor)
    listed = subprocess.run(["lsattr", "-d", tmp_path], capture_output=True, text=True, check=True)
    assert {"d", "T"} <= set(listed.stdout.split()[0])
