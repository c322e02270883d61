"""Volumes with `type`, `device` and `o`: mounted for those who use them, once for all, and seen nowhere else."""

import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "docker-client", "busybox")


@pytest.fixture(autouse=True)
def clean(engine: Sampan) -> Iterator[None]:
    yield
    engine.remove_containers()
    names = engine.docker("volume", "ls", "-q").text.split()
    if names:
        assert engine.docker("volume", "rm", *names).code == 0


def make(engine: Sampan, name: str, **options: str) -> None:
    words = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
    done = engine.docker("volume", "create", *words, name)
    assert done.code == 0, done.err


def run(engine: Sampan, *words: str) -> str:
    done = engine.docker("run", "--rm", "--network", "none", *words)
    assert done.code == 0, (done.out, done.err)
    return done.text


def mounted_on_host(name: str) -> bool:
    return any(f"/volumes/{name}/" in line for line in Path("/proc/self/mountinfo").read_text().splitlines())


def daemon(engine: Sampan) -> int:
    assert engine.process is not None
    return engine.process.pid


def stages(pid: int | str) -> set[str]:
    """Mount namespaces that only descriptors keep."""
    own = os.readlink("/proc/self/ns/mnt")
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(entry)
        except OSError:
            continue
        if target.startswith("mnt:") and target != own:
            found.add(target)
    return found


def test_a_tmpfs_is_one_for_all_that_use_it_and_gone_after_the_last(engine: Sampan) -> None:
    make(engine, "scratch", type="tmpfs", device="tmpfs", o="size=3m,uid=1000,nosuid")
    shown = json.loads(engine.docker("volume", "inspect", "scratch").text)[0]
    assert shown["Options"] == {"type": "tmpfs", "device": "tmpfs", "o": "size=3m,uid=1000,nosuid"}
    first = run(engine, "-d", "-v", "scratch:/s", "busybox", "sh", "-c", "echo one > /s/f; exec sleep 600")
    text = run(
        engine, "-v", "scratch:/s", "busybox", "sh", "-c", "cat /s/f; stat -c %u /s; grep ' /s ' /proc/mounts; df -k /s"
    )
    assert text.splitlines()[:2] == ["one", "1000"]
    assert "size=3072k" in text
    assert "nosuid" in text
    assert not mounted_on_host("scratch")
    assert engine.docker("kill", first).code == 0
    eventually(lambda: engine.docker("ps", "-q").text == "")
    assert run(engine, "-v", "scratch:/s", "busybox", "ls", "/s") == ""
    assert stages(daemon(engine)) == set()


def test_a_part_of_it_and_read_only(engine: Sampan) -> None:
    make(engine, "parted", type="tmpfs", device="tmpfs")
    run(
        engine,
        "-d",
        "-v",
        "parted:/s",
        "busybox",
        "sh",
        "-c",
        "mkdir -p /s/a/b; echo deep > /s/a/b/f; ln -s /etc /s/out; exec sleep 600",
    )
    mount = "type=volume,source=parted,target=/x,readonly,volume-subpath=a/b"
    assert run(engine, "--mount", mount, "busybox", "sh", "-c", "cat /x/f; touch /x/g 2>&1 || true") == (
        "deep\ntouch: /x/g: Read-only file system"
    )
    refused = engine.docker(
        "run", "--rm", "--mount", "type=volume,source=parted,target=/x,volume-subpath=out", "busybox", "true"
    )
    assert refused.code in (125, 127)


def test_a_directory_of_the_host(engine: Sampan, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("host")
    make(engine, "bound", type="none", device=str(tmp_path), o="bind,ro")
    text = run(engine, "-v", "bound:/b", "busybox", "sh", "-c", "cat /b/there; touch /b/x 2>&1 || true")
    assert text == "hosttouch: /b/x: Read-only file system"


def test_what_the_image_has_is_copied_in(engine: Sampan, tmp_path: Path) -> None:
    make(engine, "filled", type="none", device=str(tmp_path), o="bind")
    assert run(engine, "-v", "filled:/bin", "busybox", "/bin/busybox", "echo", "runs") == "runs"
    assert (tmp_path / "busybox").exists()


@requires("losetup")
def test_a_file_system_on_a_device(engine: Sampan, tmp_path: Path) -> None:
    image = tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    device = subprocess.run(
        ["losetup", "-f", "--show", image], check=True, capture_output=True, text=True
    ).stdout.strip()
    try:
        make(engine, "disk", type="ext4", device=device)
        run(engine, "-v", "disk:/d", "busybox", "sh", "-c", "echo kept > /d/f")
        assert (
            run(engine, "-v", "disk:/d", "busybox", "sh", "-c", "cat /d/f; grep -o ' /d ext4 ' /proc/mounts")
            == "kept\n /d ext4"
        )
    finally:
        subprocess.run(["losetup", "-d", device], check=True)


def test_it_is_found_again_by_the_next_daemon(engine: Sampan) -> None:
    make(engine, "again", type="tmpfs", device="tmpfs")
    first = run(engine, "-d", "-v", "again:/s", "busybox", "sh", "-c", "echo survives > /s/f; exec sleep 600")
    engine.kill()
    engine.start()
    assert run(engine, "-v", "again:/s", "busybox", "cat", "/s/f") == "survives"
    assert engine.docker("kill", first).code == 0
    eventually(lambda: stages(daemon(engine)) == set())


def test_nothing_is_left_where_daemon_and_container_die(engine: Sampan) -> None:
    make(engine, "left", type="tmpfs", device="tmpfs")
    first = run(engine, "-d", "-v", "left:/s", "busybox", "sleep", "600")
    program = json.loads(engine.docker("inspect", first).text)[0]["State"]["Pid"]
    monitor = Path(f"/proc/{program}/stat").read_text().rsplit(") ", 1)[1].split()[1]
    engine.kill()
    os.kill(program, 9)
    eventually(lambda: not Path(f"/proc/{monitor}").exists())
    assert not mounted_on_host("left")
    engine.start()
    assert stages(daemon(engine)) == set()


def test_files_are_copied_from_and_into_it(engine: Sampan, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "f").write_text("text")
    make(engine, "copied", type="none", device=str(inside), o="bind")
    made = engine.docker("create", "-v", "copied:/c", "busybox", "true").text
    assert engine.docker("cp", f"{made}:/c/f", str(tmp_path / "out")).code == 0
    assert (tmp_path / "out").read_text() == "text"
    assert engine.docker("cp", str(tmp_path / "out"), f"{made}:/c/new").code == 0
    assert (inside / "new").read_text() == "text"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"nosuch": "1"}, 'create bad: invalid option: "nosuch"'),
        ({"type": "tmpfs"}, 'create bad: missing required option: "device"'),
        ({"device": "tmpfs"}, 'create bad: missing required option: "type"'),
        ({"o": "ro", "type": "none"}, 'create bad: missing required option: "device"'),
        ({"size": "1x"}, "create bad: invalid suffix: 'x'"),
        ({"type": "cifs", "device": "//host:445/share"}, "port not allowed in CIFS device URL, include 'port' in 'o='"),
    ],
)
def test_refused(engine: Sampan, options: dict[str, str], words: str) -> None:
    answer = engine.api("POST", "/volumes/create", {"Name": "bad", "DriverOpts": options})
    assert answer.status == 400
    assert words in str(json.loads(answer.body)["message"])
    assert engine.api("GET", "/volumes/bad").status == 404


def test_what_cannot_be_mounted_is_told_at_the_start(engine: Sampan) -> None:
    make(engine, "bad", type="none", device="/nosuch/place", o="bind")
    place = engine.data_root / "volumes" / "bad" / "_data"
    done = engine.docker("run", "--rm", "-v", "bad:/b", "busybox", "true")
    assert done.code == 127  # "no such file" of a command line's run
    assert (
        f"failed to mount local volume: mount /nosuch/place:{place}, flags: 0x1000: no such file or directory"
        in done.err.decode()
    )
    make(engine, "secret", type="nosuchfs", device="x", o="password=tell,username=me")
    done = engine.docker("run", "--rm", "-v", "secret:/b", "busybox", "true")
    assert "password=********,username=me: no such device" in done.err.decode()
    assert "tell" not in engine.log.read_text()


@pytest.mark.parametrize("mounted", [False, True])
def test_export_and_import(engine: Sampan, tmp_path: Path, mounted: bool) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "to").mkdir()
    for name in ("from", "to"):
        options = {"type": "none", "device": str(tmp_path / name), "o": "bind"} if mounted else {}
        make(engine, f"vol-{name}", **options)
    program = (
        "mkdir -m 750 /v/d; echo text > /v/d/f; ln /v/d/f /v/hard; ln -s d/f /v/soft; chown 5:6 /v/d/f; mknod /v/pipe p"
    )
    run(engine, "-v", "vol-from:/v", "busybox", "sh", "-c", program)
    archive = tmp_path / "archive.tar"
    assert engine.sampan("volume", "export", "vol-from", "-o", str(archive)).code == 0
    subprocess.run(["gzip", archive], check=True)
    done = engine.sampan("volume", "import", "vol-to", f"{archive}.gz")
    assert done.code == 0, done.err
    look = "cd /v; find . | sort; stat -c '%a %u:%g %h %F' d d/f pipe; readlink soft; cat hard"
    assert run(engine, "-v", "vol-to:/v", "busybox", "sh", "-c", look) == run(
        engine, "-v", "vol-from:/v", "busybox", "sh", "-c", look
    )
    assert b"no such volume" in engine.sampan("volume", "export", "nosuch", "-o", str(archive)).err
    (tmp_path / "bad.tar").write_bytes(b"x" * 1024)
    assert engine.sampan("volume", "import", "vol-to", str(tmp_path / "bad.tar")).code == 1


def test_an_archive_does_not_lead_out_of_the_volume(engine: Sampan, tmp_path: Path) -> None:
    make(engine, "kept")
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        link = tarfile.TarInfo("out")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        tar.addfile(link)
        entry = tarfile.TarInfo("out/written")
        tar.addfile(entry)
        entry = tarfile.TarInfo("../../../../written")
        tar.addfile(entry)
    engine.sampan("volume", "import", "kept", str(tmp_path / "evil.tar"))
    assert not (tmp_path / "written").exists()
    assert not any(path.name == "written" for path in engine.data_root.glob("volumes/*"))


@pytest.mark.parametrize(
    ("options", "mounted"),
    [
        ({"type": "nfs", "device": ":/export", "o": "addr=localhost,nolock,ro"}, ":/export", ),
        ({"type": "cifs", "device": "//localhost/share", "o": "username=me,password=geheim,ro"}, "//127.0.0.1/share"),
    ],
)  # fmt: skip
def test_a_server_by_its_name(engine: Sampan, options: dict[str, str], mounted: str) -> None:
    """What mount(2) is given, in Docker's words: here no server answers, or the kernel knows no such file system."""
    make(engine, "far", **options)
    place = f"{engine.data_root}/volumes/far/_data"
    refused = engine.docker("run", "--rm", "--network", "none", "-v", "far:/v", "busybox", "true")
    data = "addr=127.0.0.1,nolock" if options["type"] == "nfs" else "username=me,password=********"
    words = f"mount local volume: mount {mounted}:{place}, flags: 0x1, data: {data}: "
    assert f"error while mounting volume '{place}': failed to {words}" in refused.err.decode()
    assert b"geheim" not in refused.err
    assert "geheim" not in engine.log_tail()
    assert refused.code == 125


def test_a_server_that_nobody_knows(engine: Sampan) -> None:
    make(engine, "far", type="nfs", device=":/export", o=f"addr={'a' * 70}.invalid")
    refused = engine.docker("run", "--rm", "--network", "none", "-v", "far:/v", "busybox", "true")
    assert b"error resolving passed in network volume address: lookup aaa" in refused.err
    assert b": no such host" in refused.err
