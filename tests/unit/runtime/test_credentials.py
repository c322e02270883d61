import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.runtime.credentials import look_up, mask, number
from sampan.runtime.steps import StepFailed

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
# comment:x:9:9::/:/bin/sh
app:x:1000:1001:App:/home/app:/bin/sh
1000:x:0:0:trap:/trap:/bin/sh
4294967296:x:0:0:trap:/trap:/bin/sh
huge:x:4294967295:0::/:/bin/sh
short:x
"""
GROUP = """\
root:x:0:
app:x:1001:
video:x:44:app,other
audio:x:29:other
wide:x:4294967296:app
"""


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/group").write_text(GROUP)
    descriptor = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize(
    ("text", "extra", "uid", "gid", "groups", "home"),
    [
        ("", [], 0, 0, [0], b"/root"),
        ("root", [], 0, 0, [0], b"/root"),
        ("app", [], 1000, 1001, [44, 1001], b"/home/app"),
        ("1000", [], 1000, 1001, [44, 1001], b"/home/app"),
        ("app:audio", [], 1000, 29, [29], b"/home/app"),
        ("app:7", [], 1000, 7, [7], b"/home/app"),
        ("77", [], 77, 0, [0], b"/"),
        ("77:88", ["video", "5"], 77, 88, [5, 44, 88], b"/"),
        ("2147483647", [], 2147483647, 0, [0], b"/"),
    ],
)
def test_users_are_found_as_docker_finds_them(
    root: int, text: str, extra: list[str], uid: int, gid: int, groups: list[int], home: bytes
) -> None:
    found = look_up(root, text, extra)
    assert (found.uid, found.gid, found.groups, found.home) == (uid, gid, groups, home)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nobody", "unable to find user nobody: no matching entries in passwd file"),
        ("app:nogroup", "unable to find group nogroup: no matching entries in group file"),
        ("4294967295", "uids and gids must be in range 0-2147483647"),
        ("4294967296", "uids and gids must be in range 0-2147483647"),
        ("9" * 5000, "uids and gids must be in range 0-2147483647"),
        ("0:4294967296", "uids and gids must be in range 0-2147483647"),
        ("-1", "uids and gids must be in range 0-2147483647"),
        ("+1", "uids and gids must be in range 0-2147483647"),
        ("huge", "unable to find user huge: no matching entries in passwd file"),
    ],
)
def test_a_bad_user_is_never_root(root: int, text: str, message: str) -> None:
    with pytest.raises(StepFailed) as failed:
        look_up(root, text, [])
    assert (failed.value.fault, failed.value.message) == ("bad-user", message)


def test_digits_of_other_scripts_are_no_number() -> None:
    assert number("١٢".encode()) is None
    assert number(b"12") == 12


@pytest.mark.parametrize("shape", ["fifo", "link outside", "loop", "directory", "missing"])
def test_a_passwd_that_is_no_regular_file_is_as_none(tmp_path: Path, shape: str) -> None:
    etc = tmp_path / "root/etc"
    etc.mkdir(parents=True)
    (tmp_path / "outside").write_text("spy:x:0:0::/:/bin/sh\n")
    passwd = etc / "passwd"
    match shape:
        case "fifo":
            os.mkfifo(passwd)
        case "link outside":
            passwd.symlink_to(tmp_path / "outside")
        case "loop":
            passwd.symlink_to("passwd")
        case "directory":
            passwd.mkdir()
        case _:
            pass
    descriptor = os.open(tmp_path / "root", os.O_PATH | os.O_DIRECTORY)
    assert look_up(descriptor, "5", []).uid == 5
    with pytest.raises(StepFailed):
        look_up(descriptor, "spy", [])
    os.close(descriptor)


def test_masks_have_a_bit_for_each_capability() -> None:
    assert mask(["CAP_CHOWN", "CAP_KILL", "CAP_CHECKPOINT_RESTORE"]) == 1 | 1 << 5 | 1 << 40
    with pytest.raises(KeyError):
        mask(["CAP_NO_SUCH"])
