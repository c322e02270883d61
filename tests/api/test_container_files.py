"""Files out of and into real containers by the archive routes: running, and at rest."""

import base64
import gzip
import io
import json
import lzma
import socket
import stat
import tarfile
import threading
import time
import urllib.parse
from pathlib import Path

import pytest

from tests.api.deaths_of_copies import HeldCopy, porters
from tests.daemons import Answer, Sampan, running_sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox", "docker-client")

SCRIPT = (
    "mkdir -p /d/sub /w && echo file > /d/file && ln -s /d /link && ln -s nosuch /dangling && ln /d/file /d/hard"
    " && mknod /d/null c 1 3 && mkfifo /d/pipe && chmod 4755 /d/file && chown 12:34 /d/sub && touch -d @1000000000 /d/sub"
)


def create(engine: Sampan, name: str, *options: str, start: bool = True, script: str = SCRIPT) -> str:
    command = ["sh", "-c", f"{script}; touch /ready; exec sleep 1000"]
    made = engine.docker("create", "--name", name, "--net", "none", *options, "busybox", *command)
    assert made.code == 0, made
    assert engine.docker("start", name).code == 0
    ready = engine.docker("exec", name, "sh", "-c", "until [ -e /ready ]; do sleep 0.05; done")
    assert ready.code == 0, ready
    if not start:
        assert engine.docker("stop", "-t", "0", name).code == 0
    return name


@pytest.fixture(scope="module", params=["running", "paused", "at-rest"])
def box(request: pytest.FixtureRequest, engine: Sampan) -> str:
    name = create(engine, f"box-{request.param}", start=request.param != "at-rest")
    if request.param == "paused":
        assert engine.docker("pause", name).code == 0
    return name


def get(engine: Sampan, name: str, path: str, method: str = "GET") -> Answer:
    return engine.api(method, f"/containers/{name}/archive?path={urllib.parse.quote(path)}")


def put(engine: Sampan, name: str, path: str, body: bytes, **options: str) -> Answer:
    query = urllib.parse.urlencode({"path": path, **options})
    return engine.api("PUT", f"/containers/{name}/archive?{query}", body)


def told(answer: Answer) -> dict[str, object]:
    assert answer.status == 200, answer
    found = json.loads(base64.b64decode(answer.headers["x-docker-container-path-stat"]))
    assert isinstance(found, dict)
    return found


def entries(answer: Answer) -> dict[str, tarfile.TarInfo]:
    assert answer.status == 200, answer
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
        return {member.name: member for member in archive.getmembers()}


def tar(*members: tuple[str, bytes | None], uid: int = 0, mode: int = 0o644) -> bytes:
    """Files (bytes) and directories (None)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.uid, info.gid, info.mode, info.mtime = uid, uid, mode, 1_000_000_000
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def read(engine: Sampan, name: str, path: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(get(engine, name, path).body)) as archive:
        file = archive.extractfile(archive.getmembers()[0])
        assert file is not None
        return file.read()


def test_stat(engine: Sampan, box: str) -> None:
    found = told(get(engine, box, "/d/file", "HEAD"))
    assert found | {"mtime": ""} == {"name": "file", "size": 5, "mode": 0o755 | 1 << 23, "mtime": "", "linkTarget": ""}
    assert told(get(engine, box, "/d/sub/", "HEAD"))["mtime"] == "2001-09-09T01:46:40Z"
    link = told(get(engine, box, "/link", "HEAD"))
    assert (link["name"], link["linkTarget"], link["mode"]) == ("link", "/d", 0o777 | 1 << 27)
    assert told(get(engine, box, "/dangling", "HEAD"))["linkTarget"] == "/nosuch"
    assert told(get(engine, box, "/", "HEAD"))["name"] == "/"


def test_a_directory_is_packed_with_all_kinds(engine: Sampan, box: str) -> None:
    found = entries(get(engine, box, "/d"))
    assert set(found) == {"d", "d/file", "d/hard", "d/null", "d/pipe", "d/sub"}
    assert (found["d/file"].mode, found["d/file"].size) == (0o4755, 5)
    assert (found["d/hard"].type, found["d/hard"].linkname) == (tarfile.LNKTYPE, "d/file")
    assert (found["d/null"].type, found["d/null"].devmajor, found["d/null"].devminor) == (tarfile.CHRTYPE, 1, 3)
    assert found["d/pipe"].type == tarfile.FIFOTYPE
    sub = found["d/sub"]
    assert (sub.uid, sub.gid, sub.mtime) == (12, 34, 1_000_000_000)


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/d/file", {"file"}),
        ("/link", {"link"}),
        ("/link/sub", {"sub"}),
        ("/d/sub/", {"sub"}),
        ("/d/sub/.", {"."}),
        ("d/sub", {"sub"}),
        ("/w/../d/sub", {"sub"}),
        ("/../../d/sub", {"sub"}),
    ],
)
def test_names_in_the_archive(engine: Sampan, box: str, path: str, names: set[str]) -> None:
    assert set(entries(get(engine, box, path))) == names


def test_a_link_with_a_slash_is_followed(engine: Sampan, box: str) -> None:
    assert "link/file" in entries(get(engine, box, "/link/"))
    assert entries(get(engine, box, "/link"))["link"].issym()


def test_the_engines_own_mounts_are_empty_directories(engine: Sampan, box: str) -> None:
    found = entries(get(engine, box, "/"))
    assert not [name for name in found if name.startswith(("/proc/", "/sys/"))]
    assert {"/proc", "/sys", "/etc/passwd"} <= {f"/{name.lstrip('/')}" for name in found}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_what_is_missing(engine: Sampan, box: str, method: str) -> None:
    answer = put(engine, box, "/no/such", tar()) if method == "PUT" else get(engine, box, "/no/such", method)
    assert answer.status == 404
    if method != "HEAD":
        assert answer.json() == {"message": f"Could not find the file /no/such in container {box}"}


def test_a_file_with_a_slash_is_no_directory(engine: Sampan, box: str) -> None:
    answer = get(engine, box, "/d/file/")
    assert answer.status == 500
    assert "not a directory" in str(answer.json())


def test_an_unknown_container(engine: Sampan) -> None:
    answer = get(engine, "nosuch", "/")
    assert (answer.status, answer.json()) == (404, {"message": "No such container: nosuch"})


def test_put_and_get_back(engine: Sampan, box: str) -> None:
    answer = put(engine, box, "/w", tar(("in/deep", b"deep"), ("top", b"top"), uid=77))
    assert (answer.status, answer.body) == (200, b"")
    found = entries(get(engine, box, "/w"))
    assert (found["w/top"].uid, found["w/top"].mtime, found["w/in"].mode) == (77, 1_000_000_000, 0o755)
    assert read(engine, box, "/w/in/deep") == b"deep"


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress], ids=["gzip", "xz"])
def test_put_takes_compressed_archives(engine: Sampan, box: str, pack: object) -> None:
    assert callable(pack)
    assert put(engine, box, "/w", pack(tar(("packed", b"packed")))).status == 200
    assert read(engine, box, "/w/packed") == b"packed"


def test_put_through_a_link(engine: Sampan, box: str) -> None:
    assert put(engine, box, "/link", tar(("by-link", b"x"))).status == 200
    assert read(engine, box, "/d/by-link") == b"x"


def test_put_into_what_is_no_directory(engine: Sampan, box: str) -> None:
    answer = put(engine, box, "/d/file", tar(("x", b"x")))
    assert (answer.status, answer.json()) == (400, {"message": "extraction point is not a directory"})


def test_kinds_are_kept_where_asked(engine: Sampan, box: str) -> None:
    assert put(engine, box, "/w", tar(("k", None), ("k/f", b"f"))).status == 200
    refused = put(engine, box, "/w", tar(("k", b"file")), noOverwriteDirNonDir="1")
    assert refused.status == 400
    assert "cannot overwrite directory" in str(refused.json())
    refused = put(engine, box, "/w", tar(("k/f", None)), noOverwriteDirNonDir="1")
    assert "cannot overwrite non-directory" in str(refused.json())
    assert put(engine, box, "/w", tar(("k", b"file"))).status == 200
    assert read(engine, box, "/w/k") == b"file"


def test_a_truncated_archive_is_refused(engine: Sampan, box: str) -> None:
    answer = put(engine, box, "/w", tar(("cut", b"x" * 5000))[:3000])
    assert (answer.status, answer.json()) == (400, {"message": "unexpected EOF"})
    answer = put(engine, box, "/w", b"no tar at all" * 100)
    assert (answer.status, answer.json()) == (400, {"message": "archive/tar: invalid tar header"})


def test_no_name_leads_out(engine: Sampan, box: str) -> None:
    assert put(engine, box, "/w", tar(("../../../escaped", b"x"))).status == 400
    assert get(engine, box, "/escaped", "HEAD").status == 404


def test_events(engine: Sampan, box: str) -> None:
    get(engine, box, "/d/file")
    put(engine, box, "/w", tar(("e", b"e")))
    filters = urllib.parse.quote(json.dumps({"container": [box]}))
    lines = engine.api("GET", f"/events?since=1&until={int(time.time()) + 1}&filters={filters}").body
    actions = {json.loads(line)["Action"] for line in lines.splitlines()}
    assert {"archive-path", "extract-to-dir"} <= actions


@pytest.mark.parametrize("start", [True, False], ids=["running", "at-rest"])
def test_volumes_and_read_only_places(engine: Sampan, start: bool, tmp_path: Path) -> None:
    (tmp_path / "seen").write_text("host")
    binds = ["-v", f"{tmp_path}:/rw", "-v", f"{tmp_path}:/ro:ro", "--read-only", "--tmpfs", "/run"]
    made = engine.docker("create", "--name", f"vol-{start}", "--net", "none", *binds, "busybox", "sleep", "1000")
    assert made.code == 0, made
    if start:
        assert engine.docker("start", f"vol-{start}").code == 0
    name = f"vol-{start}"
    assert read(engine, name, "/ro/seen") == b"host"
    assert "rw/seen" in entries(get(engine, name, "/rw"))
    assert put(engine, name, "/rw", tar(("new", b"new"))).status == 200
    assert (tmp_path / "new").read_bytes() == b"new"
    refused = put(engine, name, "/ro", tar(("new", b"evil")))
    assert (refused.status, refused.json()) == (400, {"message": "mounted volume is marked read-only"})
    refused = put(engine, name, "/tmp", tar(("new", b"evil")))
    assert (refused.status, refused.json()) == (400, {"message": "container rootfs is marked read-only"})


def test_the_containers_user_owns_what_is_copied_with_ids(engine: Sampan) -> None:
    made = engine.docker("create", "--name", "owned", "--net", "none", "-u", "www-data", "busybox", "true")
    assert made.code == 0
    assert put(engine, "owned", "/tmp", tar(("mine", b"x"), uid=5), copyUIDGID="1").status == 200
    assert put(engine, "owned", "/tmp", tar(("theirs", b"x"), uid=5)).status == 200
    found = entries(get(engine, "owned", "/tmp"))
    assert (found["tmp/mine"].uid, found["tmp/mine"].gid, found["tmp/theirs"].uid) == (33, 33, 5)


def test_what_is_copied_at_rest_is_there_after_the_start(engine: Sampan) -> None:
    engine.docker("create", "--name", "later", "--net", "none", "busybox", "cat", "/tmp/late")
    assert put(engine, "later", "/tmp", tar(("late", b"late"))).status == 200
    assert engine.docker("start", "-a", "later").out == b"late"


def test_a_start_waits_for_the_copy(engine: Sampan) -> None:
    """One owner for each upper directory: the container starts when its files have been written."""
    engine.docker("create", "--name", "waits", "--net", "none", "busybox", "cat", "/tmp/copied")
    copy = HeldCopy(engine, "waits")
    outcome: list[int] = []
    starting = threading.Thread(target=lambda: outcome.append(len(engine.docker("start", "-a", "waits").out)))
    starting.start()
    time.sleep(0.3)
    assert outcome == []
    assert copy.finish() == b"HTTP/1.1 200 OK"
    starting.join(60)
    assert outcome == [100_000]


def test_a_client_that_leaves_ends_the_porter(engine: Sampan, box: str) -> None:
    with socket.socket(socket.AF_UNIX) as leaving:
        leaving.connect(str(engine.socket))
        leaving.sendall(f"GET /containers/{box}/archive?path=/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert leaving.recv(100).startswith(b"HTTP/1.1 200")
    eventually(lambda: not porters(engine), "the porter stays")
    HeldCopy(engine, box).close()
    eventually(lambda: not porters(engine), "the porter stays")


def test_a_removal_ends_the_copy(engine: Sampan) -> None:
    create(engine, "removed", script="true")
    copy = HeldCopy(engine, "removed")
    assert engine.api("DELETE", "/containers/removed?force=1").status == 204
    assert porters(engine) == []
    copy.close()


def test_export_is_the_root_without_its_mounts(engine: Sampan, box: str) -> None:
    answer = engine.api("GET", f"/containers/{box}/export")
    found = entries(answer)
    assert {"bin/busybox", "d/file", "proc", "sys", "dev", "etc/passwd"} <= set(found)
    assert not [name for name in found if name.startswith(("proc/", "sys/"))]
    assert stat.S_IMODE(found["tmp"].mode) == 0o1777


def test_with_the_vfs_driver() -> None:
    with running_sampan("--storage-driver", "vfs") as engine:
        engine.load_busybox()
        for start in (True, False):
            name = create(engine, f"vfs-{start}", start=start)
            assert put(engine, name, "/w", tar(("in/deep", b"deep"))).status == 200
            assert read(engine, name, "/w/in/deep") == b"deep"
            assert "A /w/in/deep" in engine.docker("diff", name).text.splitlines()
            assert "bin/busybox" in entries(engine.api("GET", f"/containers/{name}/export"))
        made = engine.docker("commit", "vfs-False", "made")
        assert made.code == 0, made
        assert engine.docker("run", "--rm", "--net", "none", "made", "cat", "/w/in/deep").out == b"deep"
