import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.errors import Conflict, InvalidParameter, NotFound
from sampan.spec.ids import ContainerId
from sampan.state.store import Store
from sampan.volumes.local import ANONYMOUS, Volumes
from sampan.volumes.selection import prune, select


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "db")
    yield made
    made.close()


@pytest.fixture
def volumes(store: Store, tmp_path: Path) -> Volumes:
    return Volumes(store, tmp_path / "volumes")


def nobody(name: str) -> list[ContainerId]:
    return []


def test_named_and_anonymous(volumes: Volumes, tmp_path: Path) -> None:
    named = volumes.create("data", {"a": "b"})
    assert (named.name, named.driver, named.scope, named.anonymous) == ("data", "local", "local", False)
    assert named.mountpoint == str(tmp_path / "volumes/data/_data")
    assert oct(os.stat(named.mountpoint).st_mode) == "0o40755"
    assert volumes.create("data", {"other": "ignored"}) == named
    anonymous = volumes.create()
    assert len(anonymous.name) == 64
    assert anonymous.anonymous
    assert anonymous.labels == {ANONYMOUS: ""}
    assert volumes.list() == tuple(sorted((named, anonymous), key=lambda volume: volume.name))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x", "create x: volume name is too short, names should be at least two alphanumeric characters"),
        ("../x", ('create ../x: "../x" includes invalid characters for a local volume name, only '
         '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path')),
    ],
)  # fmt: skip
def test_names_in_dockers_words(volumes: Volumes, name: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        volumes.create(name)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["..", ".hidden", "a/b", "/abs", "a\0b", "ä", "-x", "a" * 300, "a b", "a\n"])
def test_no_name_is_a_path(volumes: Volumes, name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter):
        volumes.create(name)
    assert os.listdir(tmp_path / "volumes") == []


def test_what_is_not_here(volumes: Volumes) -> None:
    with pytest.raises(NotFound, match='plugin "other" not found'):
        volumes.create("data", driver="other")
    with pytest.raises(InvalidParameter, match='invalid option: "colour"'):
        volumes.create("data", options={"colour": "red"})
    with pytest.raises(InvalidParameter, match="quota size requested but no quota support"):
        volumes.create("data", options={"size": "1g"})
    with pytest.raises(NotFound, match="get nothing: no such volume"):
        volumes.get("nothing")


def test_options_are_kept(volumes: Volumes, store: Store, tmp_path: Path) -> None:
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
    made = volumes.create("data", options=options)
    assert (made.options, made.mounted) == (options, True)
    assert not volumes.create("plain").mounted
    assert Volumes(store, tmp_path / "volumes").get("data") == made
    assert prune(volumes, {"all": ["1"]}, nobody) == (["plain"], 0)


def test_removal(volumes: Volumes, tmp_path: Path) -> None:
    volumes.create("data")
    (tmp_path / "volumes/data/_data/file").write_text("x")
    with pytest.raises(Conflict, match=r"^remove data: volume is in use - \[cc\]$"):
        volumes.remove("data", lambda name: [ContainerId("cc")])
    volumes.remove("data", nobody)
    assert os.listdir(tmp_path / "volumes") == []
    with pytest.raises(NotFound):
        volumes.remove("data", nobody)


def test_a_restart(volumes: Volumes, store: Store, tmp_path: Path) -> None:
    made = volumes.create("data", {"a": "b"})
    (tmp_path / "volumes/orphan/_data").mkdir(parents=True)
    (tmp_path / "volumes/data/.copy-123").mkdir()
    again = Volumes(store, tmp_path / "volumes")
    assert again.list() == (made,)
    assert os.listdir(tmp_path / "volumes") == ["data"]
    assert os.listdir(tmp_path / "volumes/data") == ["_data"]


def test_filters_and_prune(volumes: Volumes) -> None:
    volumes.create("one", {"k": "v"})
    volumes.create("two")
    anonymous = volumes.create().name

    def users(name: str) -> list[ContainerId]:
        return [ContainerId("c")] if name == "two" else []

    def found(**filters: list[str]) -> list[str]:
        return [volume.name for volume in select(volumes.list(), filters, users)]

    assert found(name=["w"]) == (["two", anonymous] if "w" in anonymous else ["two"])
    assert found(label=["k=v"]) == ["one"]
    assert sorted(found(dangling=["true"])) == sorted(["one", anonymous])
    assert found(dangling=["false"]) == ["two"]
    assert found(driver=["other"]) == []
    with pytest.raises(InvalidParameter, match="invalid filter 'x'"):
        found(x=["y"])
    Path(volumes.get(anonymous).mountpoint, "file").write_text("12345")
    assert prune(volumes, {}, users) == ([anonymous], 5)
    assert prune(volumes, {"all": ["true"], "label!": ["k"]}, users) == ([], 0)
    assert prune(volumes, {"all": ["true"]}, users) == (["one"], 0)


@pytest.fixture
def image(tmp_path: Path) -> Iterator[int]:
    root = tmp_path / "image"
    (root / "data/sub").mkdir(parents=True)
    (root / "data/sub/file").write_text("from the image")
    (root / "data").chmod(0o750)
    (root / "link").symlink_to("/data")
    (root / "out").symlink_to("../../../secret")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/file").write_text("secret")
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("path", ["/data", "data", "/link", "/../../data"])
@pytest.mark.parametrize("in_use", [False, True])
def test_the_image_s_content_comes_into_an_empty_volume(volumes: Volumes, image: int, path: str, in_use: bool) -> None:
    data = Path(volumes.create("data").mountpoint)
    before = data.stat().st_ino
    assert volumes.populate("data", image, path, in_use)
    assert (data / "sub/file").read_text() == "from the image"
    assert oct(data.stat().st_mode) == "0o40750"
    assert (data.stat().st_ino == before) == in_use
    assert os.listdir(data.parent) == ["_data"]
    assert volumes.size("data") == len("from the image")


@pytest.mark.parametrize("path", ["/nothing", "/data/sub/file", "/out", "/../../../secret"])
def test_nothing_comes_from_elsewhere(volumes: Volumes, image: int, path: str) -> None:
    data = Path(volumes.create("data").mountpoint)
    assert not volumes.populate("data", image, path)
    assert os.listdir(data) == []


def test_a_volume_that_holds_something_is_left_alone(volumes: Volumes, image: int) -> None:
    data = Path(volumes.create("data").mountpoint)
    (data / "mine").write_text("mine")
    assert not volumes.populate("data", image, "/data")
    assert os.listdir(data) == ["mine"]
