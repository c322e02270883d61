"""Directories of checkpoints: names that lead nowhere, links that are not followed, what was never finished."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from sampan.daemon.checkpoint_store import CheckpointDirectory, check_name
from sampan.errors import InvalidParameter, System


def directory(tmp_path: Path, chosen: str = "") -> CheckpointDirectory:
    return CheckpointDirectory(str(tmp_path / "own"), chosen, "web")


def make(tmp_path: Path, name: str, content: str = "image") -> Path:
    """A whole checkpoint, as the checkpointer leaves one."""
    with directory(tmp_path).staged(name) as staging:
        (tmp_path / "own" / staging.name / "pages.img").write_text(content)
        os.rename(staging.name, name, src_dir_fd=staging.parent, dst_dir_fd=staging.parent)
    return tmp_path / "own" / name


@pytest.mark.parametrize("name", ["noon", "a1", "A_.-9", "1" * 255])
def test_names(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name", ["", "a", ".", "..", "../x", "a/b", "/etc", ".hidden", "-x", "a b", "a\0b", "a\n", "é1", "x" * 256]
)
def test_other_names(name: str, tmp_path: Path) -> None:
    with pytest.raises(System) as refused:
        check_name(name)
    assert str(refused.value) == f"Invalid checkpoint ID ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    for call in (directory(tmp_path).remove, directory(tmp_path).images):
        with pytest.raises(System, match="Invalid checkpoint ID"):
            call(name)


def test_a_checkpoint_is_there_when_it_has_its_name(tmp_path: Path) -> None:
    own = directory(tmp_path)
    assert own.names() == []
    with own.staged("noon") as staging:
        assert own.names() == []
        assert os.fstat(staging.images).st_mode & 0o777 == 0o700
    assert own.names() == []
    assert os.listdir(tmp_path / "own") == [], "what was not finished is gone"
    make(tmp_path, "noon")
    make(tmp_path, "dawn")
    assert own.names() == ["dawn", "noon"]
    images = own.images("noon")
    assert os.listdir(images) == ["pages.img"]
    os.close(images)
    own.remove("noon")
    assert own.names() == ["dawn"]


def test_dockers_words(tmp_path: Path) -> None:
    own = directory(tmp_path)
    make(tmp_path, "noon")
    with pytest.raises(
        System, match=r"^cannot checkpoint container web: checkpoint with name noon already exists for container web$"
    ):
        own.staged("noon").__enter__()
    for call in (own.remove, own.images):
        with pytest.raises(System, match=r"^checkpoint dusk does not exist for container web$"):
            call("dusk")
    (tmp_path / "own/file").write_text("")
    with pytest.raises(System, match=r"own/file exists and is not a directory$"):
        own.staged("file").__enter__()
    with pytest.raises(System, match=r"^checkpoint  does not exist for container web$"):
        directory(tmp_path, str(tmp_path / "nowhere")).names()


def test_links_lead_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("here")
    own = directory(tmp_path)
    make(tmp_path, "real")
    (tmp_path / "own/link").symlink_to(outside)
    assert own.names() == ["real"]
    for call in (own.remove, own.images):
        with pytest.raises(System, match="exists and is not a directory"):
            call("link")
    with pytest.raises(System, match="exists and is not a directory"):
        own.staged("link").__enter__()
    (tmp_path / "own/real/below").symlink_to(outside)
    with pytest.raises(System, match="below in it is no regular file"):
        own.images("real")
    own.remove("real")
    assert (outside / "precious").read_text() == "here"


def test_a_container_without_a_directory_of_its_own_but_a_link(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "own").symlink_to(tmp_path / "outside")
    with pytest.raises(System):
        directory(tmp_path).names()
    with pytest.raises(System):
        directory(tmp_path).staged("noon").__enter__()


@pytest.mark.parametrize("kind", ["fifo", "directory", "socket"])
def test_images_are_regular_files(tmp_path: Path, kind: str) -> None:
    strange = make(tmp_path, "noon") / "strange"
    if kind == "fifo":
        os.mkfifo(strange)
    elif kind == "directory":
        strange.mkdir()
    else:
        os.mknod(strange, 0o140600)
    with pytest.raises(System, match="strange in it is no regular file"):
        directory(tmp_path).images("noon")


def test_what_was_never_finished_goes_unless_somebody_is_at_it(tmp_path: Path) -> None:
    make(tmp_path, "noon")
    left, busy = tmp_path / "own" / f".{'a' * 24}", tmp_path / "own" / f".{'b' * 24}"
    left.mkdir()
    (left / "pages.img").write_text("half")
    busy.mkdir()
    holder = os.open(busy, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    with directory(tmp_path).staged("dusk"):
        assert not left.exists()
        assert busy.exists()
    os.close(holder)
    with directory(tmp_path).staged("dusk"):
        assert not busy.exists()
    assert directory(tmp_path).names() == ["noon"]


def test_a_directory_of_the_clients_own(tmp_path: Path) -> None:
    chosen = tmp_path / "far/away"
    with directory(tmp_path, str(chosen)).staged("noon") as staging:
        os.rename(staging.name, "noon", src_dir_fd=staging.parent, dst_dir_fd=staging.parent)
    assert directory(tmp_path, str(chosen)).names() == ["noon"]
    assert directory(tmp_path).names() == []
    for path in ("relative", "./x", "a\0b"):
        with pytest.raises(InvalidParameter):
            directory(tmp_path, path)


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_more: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "there").mkdir()
    monkeypatch.setattr(os, "mkdir", full)
    with pytest.raises(System, match=r"^cannot checkpoint container web: no space left on device"):
        directory(tmp_path, str(tmp_path / "there")).staged("noon").__enter__()
