"""Archives of contexts, which may come from anywhere: what is taken from them, and what is not."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from sampan.cli.contexts import store
from sampan.cli.contexts.archive import packed, unpacked
from sampan.cli.contexts.store import Context
from sampan.cli.failures import Exit

META: dict[str, Any] = {
    "Name": "far",
    "Metadata": {},
    "Endpoints": {"docker": {"Host": "tcp://far:1", "SkipTLSVerify": False}},
}
KEYS = {"docker": {"ca.pem": b"authority", "key.pem": b"key"}}


def tarred(*entries: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, data in (("meta.json", json.dumps(META).encode()), *entries):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            if name != "meta.json":
                entry.type = kind
                entry.linkname = "/etc/passwd"
            archive.addfile(entry, io.BytesIO(data))
    return file.getvalue()


def zipped(*entries: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (("meta.json", json.dumps(META).encode()), *entries):
            archive.writestr(name, data)
    return file.getvalue()


def test_what_is_packed_comes_back_under_another_name() -> None:
    found = unpacked(packed(Context(dict(META), KEYS)), "near")
    assert (found.name, found.meta["Endpoints"], found.material) == ("near", META["Endpoints"], KEYS)


def test_a_zip_archive_is_one_too() -> None:
    found = unpacked(zipped(("tls/docker/ca.pem", b"authority"), ("tls/docker/key.pem", b"key")), "near")
    assert (found.name, found.material) == ("near", KEYS)


@pytest.mark.parametrize("make", [tarred, zipped])
@pytest.mark.parametrize(
    "name",
    [
        "../out", "/etc/x", "tls/../x", "tls/../../x", "tls/a/../x", "tls/a/b/c", "tls/x", "tls//x", "tls/a/..", "other",
        "tls/a/x\ny",
    ],
)  # fmt: skip
def test_other_paths_are_refused(make: Callable[..., bytes], name: str) -> None:
    with pytest.raises(Exit, match="invalid context file"):
        unpacked(make((name, b"x")), "near")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_nothing_but_files(kind: bytes) -> None:
    with pytest.raises(Exit, match=r"tls/docker/ca\.pem: invalid context file"):
        unpacked(tarred(("tls/docker/ca.pem", b""), kind=kind), "near")


def test_what_grows_when_it_is_unpacked_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sampan.cli.contexts.archive.MAX_FILE", 100_000)
    bomb = zipped(("tls/docker/ca.pem", b"\0" * 50_000), ("tls/docker/key.pem", b"\0" * 60_000))
    assert len(bomb) < 5000
    with pytest.raises(Exit, match=r"tls/docker/key\.pem: invalid context file"):
        unpacked(bomb, "near")


def test_an_archive_may_stop_where_its_last_file_does() -> None:
    """As Docker's do; not within it."""
    whole = tarred(("tls/docker/ca.pem", b"authority"))
    end = whole.index(b"authority") + len(b"authority")
    assert unpacked(whole[:end], "near").material == {"docker": {"ca.pem": b"authority"}}
    with pytest.raises(Exit, match="unexpected EOF"):
        unpacked(whole[: end - 1], "near")


@pytest.mark.parametrize("data", [b"", b"x" * 600, b"PK\3\4" + b"x" * 600, tarred()[:550], packed(Context({}, {}))])
def test_what_is_no_archive_of_a_context(data: bytes) -> None:
    with pytest.raises(Exit):
        unpacked(data, "near")


def test_longer_than_any_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sampan.cli.contexts.archive.MAX_FILE", 1000)
    with pytest.raises(Exit, match="1000 bytes at most"):
        unpacked(tarred(), "near")
    assert store.MAX_FILE == 10 << 20
