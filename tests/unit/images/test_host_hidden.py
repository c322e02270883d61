import os
from pathlib import Path

import pytest

from sampan.images import host_hidden
from sampan.images.host_hidden import Hidden, survey


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    for directory in (
        "etc/ssh",
        "etc/app",
        "home/user",
        "root",
        "tmp",
        "usr/bin",
        "var/lib",
        "var/log",
        "opt",
        "secret",
    ):
        (tmp_path / directory).mkdir(parents=True)
    for file in (
        "etc/passwd",
        "etc/shadow",
        "etc/shadow.bak",
        "etc/ssh/ssh_host_x_key",
        "etc/ssh/ssh_config",
        "usr/bin/sh",
    ):
        (tmp_path / file).touch(0o644)
    (tmp_path / "etc/app/token").touch(0o600)
    (tmp_path / "opt/private").mkdir(mode=0o700)
    (tmp_path / "secret").chmod(0o750)
    return tmp_path


def test_what_is_hidden(machine: Path) -> None:
    hidden = set(survey(str(machine)).hidden)
    for path in ("home", "root", "tmp", "var/log", "opt/private", "secret"):
        assert Hidden(path, directory=True) in hidden, path
    for path in ("etc/shadow", "etc/shadow.bak", "etc/ssh/ssh_host_x_key", "etc/app/token"):
        assert Hidden(path, directory=False) in hidden, path
    visible = {
        "etc",
        "etc/passwd",
        "etc/ssh",
        "etc/ssh/ssh_config",
        "usr",
        "usr/bin/sh",
        "var",
        "var/lib",
        "opt",
        "etc/app",
    }
    assert visible & {entry.path for entry in hidden} == set()


def test_names_are_taken_before_they_exist(machine: Path) -> None:
    paths = {entry.path: entry.directory for entry in survey(str(machine)).hidden}
    assert paths["etc/gshadow-"] is False
    assert paths["var/lib/docker"] is False
    assert "etc/ppp/chap-secrets" not in paths, "its directory is not there"


def test_own_directories_and_mounts(machine: Path) -> None:
    (machine / "srv/engine").mkdir(parents=True)
    (machine / "usr/share").mkdir()
    paths = {entry.path for entry in survey(str(machine), ["/srv/engine"], ["/usr/share", "/home/user/mount"]).hidden}
    assert {"srv/engine", "usr/share"} <= paths
    assert "home/user/mount" not in paths, "its parent is hidden as a whole"


def test_links_are_not_followed(machine: Path) -> None:
    (machine / "var/run").symlink_to("/usr/bin")
    (machine / "etc/link").symlink_to("app/token")
    paths = {entry.path for entry in survey(str(machine)).hidden}
    assert "var/run" not in paths
    assert "etc/link" not in paths


def test_an_answer_holds_until_a_directory_changes(machine: Path) -> None:
    found = survey(str(machine))
    assert found.holds(str(machine))
    os.utime(machine / "etc/app", ns=(1, 1))
    assert not found.holds(str(machine))
    found = survey(str(machine))
    (machine / "etc/ssh").chmod(0o711)
    assert not found.holds(str(machine))


def test_too_many_entries_hide_what_was_not_looked_at(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_hidden, "_ENTRIES", 0)
    hidden = set(survey(str(machine)).hidden)
    assert Hidden("etc", directory=True) in hidden
    assert Hidden("opt", directory=True) in hidden
