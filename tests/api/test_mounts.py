"""Parts of volumes and images as mounts: what is seen, what cannot be written, and links that would lead outside."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "docker-client", "busybox")


@pytest.fixture(autouse=True)
def clean(engine: Sampan) -> Iterator[None]:
    yield
    engine.remove_containers()
    engine.docker("volume", "rm", "-f", "parts")


@pytest.fixture
def volume(engine: Sampan) -> Path:
    assert engine.docker("volume", "create", "parts").code == 0
    place = engine.data_root / "volumes" / "parts" / "_data"
    (place / "sub" / "deep").mkdir(parents=True)
    (place / "sub" / "deep" / "file").write_text("inside")
    return place


def run(engine: Sampan, mount: str, program: str) -> tuple[int, str]:
    done = engine.docker("run", "--rm", "--network", "none", "--mount", mount, "busybox", "sh", "-c", program)
    return done.code, (done.out + done.err).decode()


@pytest.mark.parametrize(
    ("subpath", "program", "said"),
    [
        ("sub", "cat /x/deep/file", "inside"),
        ("sub/deep", "ls /x", "file\n"),
        ("sub/deep/file", "cat /x; echo more >> /x; wc -l < /x", "inside1\n"),
        ("./sub//deep/", "echo new > /x/other && ls /x", "file\nother\n"),
    ],
)
def test_a_part_of_a_volume(engine: Sampan, volume: Path, subpath: str, program: str, said: str) -> None:
    mount = f"type=volume,source=parts,target=/x,volume-subpath={subpath}"
    assert run(engine, mount, program) == (0, said)


@pytest.mark.parametrize("subpath", ["absolute", "climbing", "absolute/etc", "magic/root/etc", "nosuch"])
def test_links_of_a_volume_do_not_lead_out_of_it(engine: Sampan, volume: Path, subpath: str) -> None:
    """CVE-2021-30465, CVE-2023-… : who writes in the volume decides what is mounted, but only of the volume."""
    (volume / "absolute").symlink_to("/etc")
    (volume / "climbing").symlink_to("../../../../../../../../etc")
    (volume / "magic").symlink_to("/proc/self")
    code, text = run(engine, f"type=volume,source=parts,target=/x,volume-subpath={subpath}", "ls /x")
    assert code in (125, 127)
    assert "no such file or directory" in text
    assert "passwd" not in text


def test_a_link_inside_a_volume_is_followed_inside(engine: Sampan, volume: Path) -> None:
    (volume / "here").symlink_to("/sub/deep")
    assert run(engine, "type=volume,source=parts,target=/x,volume-subpath=here", "cat /x/file") == (0, "inside")


def test_a_link_that_is_swapped_in_meanwhile(engine: Sampan, volume: Path) -> None:
    """A program in the volume changes a directory into a link to the host's /etc and back, as fast as it can."""
    ending = threading.Event()
    (volume / "turn").mkdir()
    (volume / "out").symlink_to("/etc")

    def swap() -> None:
        while not ending.is_set():
            os.rename(volume / "turn", volume / "aside")
            os.rename(volume / "out", volume / "turn")
            os.rename(volume / "turn", volume / "out")
            os.rename(volume / "aside", volume / "turn")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(20):
            _, text = run(engine, "type=volume,source=parts,target=/x,volume-subpath=turn", "ls /x")
            assert "passwd" not in text
    finally:
        ending.set()
        thread.join()


@pytest.mark.parametrize(
    ("mount", "words"),
    [
        ({"Type": "volume", "Source": "parts", "VolumeOptions": {"Subpath": "/sub"}}, "must be a relative path within"),
        (
            {"Type": "volume", "Source": "parts", "VolumeOptions": {"Subpath": "a/../b"}},
            "must be a relative path within",
        ),
        ({"Type": "volume", "VolumeOptions": {"Subpath": "sub"}}, "must not set Subpath when using anonymous volumes"),
        ({"Type": "image", "Source": "busybox", "ImageOptions": {"Subpath": "../x"}}, "must be a relative path within"),
        ({"Type": "image"}, "field Source must not be empty"),
        ({"Type": "image", "Source": "busybox", "TmpfsOptions": {}}, "TmpfsOptions must not be specified"),
    ],
)
def test_refused(engine: Sampan, mount: dict[str, object], words: str) -> None:
    body = {"Image": "busybox", "HostConfig": {"Mounts": [{"Target": "/x", **mount}]}}
    answer = engine.api("POST", "/containers/create", body)
    assert answer.status == 400
    assert words in answer.body.decode()


def test_an_image_is_mounted_read_only(engine: Sampan) -> None:
    program = "ls /x/bin/busybox; touch /x/new; /x/bin/busybox echo runs; grep ' /x ' /proc/mounts | cut -d' ' -f4"
    code, text = run(engine, "type=image,source=busybox,target=/x", program)
    assert code == 0, text
    lines = text.splitlines()
    assert lines[0] == "/x/bin/busybox"
    assert "Read-only file system" in text
    assert "runs" in lines
    assert {"ro", "nosuid", "nodev"} <= set(next(line for line in lines if line.startswith("ro,")).split(","))


def test_a_part_of_an_image(engine: Sampan) -> None:
    code, text = run(
        engine, "type=image,source=busybox,target=/x,image-subpath=bin", "test -x /x/busybox && echo there"
    )
    assert (code, text) == (0, "there\n")
    code, text = run(engine, "type=image,source=busybox,target=/x,image-subpath=nosuch", "true")
    assert code in (125, 127)
    assert "no such file or directory" in text


def test_an_image_that_is_mounted_is_in_use(engine: Sampan) -> None:
    imported = engine.api("GET", "/images/busybox/json").json()
    assert isinstance(imported, dict)
    made = engine.docker("commit", engine.docker("create", "busybox", "true").text, "mounted:1")
    assert made.code == 0
    mount = ("--mount", "type=image,source=mounted:1,target=/x")
    assert engine.docker("create", "--name", "holder", *mount, "busybox", "ls", "/x").code == 0
    inspected = engine.api("GET", "/containers/holder/json").json()
    assert isinstance(inspected, dict)
    shown = inspected["Mounts"][0]
    assert (shown["Type"], shown["Name"], shown["Destination"], shown["RW"]) == ("image", "mounted:1", "/x", False)
    assert engine.docker("rmi", "mounted:1").code == 1, "a container has it"
    assert engine.docker("start", "-a", "holder").code == 0
    copied = engine.docker("cp", "holder:/x/bin/busybox", "/dev/null")
    assert copied.code == 0 or b"/dev/null" in copied.err
    assert engine.docker("rmi", "-f", "mounted:1").code == 0, "nothing runs with it"
    assert b"No such image" in engine.docker("start", "holder").err
    assert b"No such image" in engine.docker("cp", "holder:/etc/hostname", "-").err
    missing = engine.docker("create", "--mount", "type=image,source=nosuch:1,target=/x", "busybox", "true")
    assert missing.code == 1


@pytest.fixture
def peers(tmp_path: Path) -> Iterator[Path]:
    """A directory of the host in which mounts travel."""
    place = tmp_path / "peers"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
    subprocess.run(["mount", "--make-shared", place], check=True)
    (place / "below").mkdir()
    yield place
    subprocess.run(["umount", "-R", place], check=True)


@pytest.mark.parametrize(
    ("mode", "down", "up"), [("rprivate", 0, 0), ("rslave", 1, 0), ("rshared", 1, 1), ("shared", 1, 1)]
)
def test_mounts_travel_as_the_mode_says(engine: Sampan, peers: Path, mode: str, down: int, up: int) -> None:
    words = ("run", "-d", "--privileged", "--net", "none", "-v", f"{peers}:/x:{mode}", "busybox", "sleep", "600")
    container = engine.docker(*words).text
    subprocess.run(["mount", "-t", "tmpfs", "from-host", peers / "below"], check=True)
    seen = engine.docker("exec", container, "grep", "-c", "from-host", "/proc/self/mountinfo")
    assert seen.text == str(down)
    made = engine.docker("exec", container, "sh", "-c", "mkdir -p /x/in && mount -t tmpfs from-container /x/in")
    assert made.code == 0, made
    assert Path("/proc/self/mountinfo").read_text().count("from-container") == up
    if up:
        subprocess.run(["umount", peers / "in"], check=True)


@pytest.mark.parametrize(
    ("mode", "what"), [("rshared", "a shared"), ("shared", "a shared"), ("rslave", "a shared or slave")]
)
def test_modes_that_promise_what_the_host_cannot_keep(engine: Sampan, tmp_path: Path, mode: str, what: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path], check=True)
    subprocess.run(["mount", "--make-private", tmp_path], check=True)
    try:
        done = engine.docker("run", "--rm", "-v", f"{tmp_path}:/x:{mode}", "busybox", "true")
        assert done.code == 125
        assert f"path {tmp_path} is mounted on {tmp_path} but it is not {what} mount" in done.err.decode()
    finally:
        subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "top ro, below ro"),
        ({"ReadOnlyForceRecursive": True, "Propagation": "rprivate"}, "top ro, below ro"),
        ({"ReadOnlyNonRecursive": True}, "top ro, below rw"),
        ({"NonRecursive": True}, "top ro, below not mounted"),
    ],
)
def test_read_only_down_to_what_is_mounted_below(
    engine: Sampan, peers: Path, options: dict[str, object], said: str
) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", peers / "below"], check=True)
    look = (
        "touch /x/f 2>/dev/null && printf 'top rw, ' || printf 'top ro, '; "
        "grep -q ' /x/below ' /proc/self/mountinfo || { printf 'below not mounted'; exit; }; "
        "touch /x/below/f 2>/dev/null && printf 'below rw' || printf 'below ro'"
    )
    mount = {"Type": "bind", "Source": str(peers), "Target": "/x", "ReadOnly": True, "BindOptions": options}
    host = {"Mounts": [mount], "NetworkMode": "none"}
    made = engine.api("POST", "/containers/create", {"Image": "busybox", "Cmd": ["sh", "-c", look], "HostConfig": host})
    assert made.status == 201, made.body
    assert engine.docker("start", "-a", json.loads(made.body)["Id"]).text == said


def test_the_mounts_of_another_container(engine: Sampan, volume: Path, tmp_path: Path) -> None:
    """A part of a volume is that part, what was read-only stays so, and of two that give one place the later counts."""
    (tmp_path / "file").write_text("of the host")
    donor = ("--mount", "type=volume,source=parts,target=/part,volume-subpath=sub/deep", "-v", f"{tmp_path}:/bind:ro")
    assert engine.docker("create", "--name", "donor", *donor, "--tmpfs", "/scratch", "busybox").code == 0
    assert engine.docker("create", "--name", "other", "-v", "parts:/part", "busybox").code == 0
    look = "cat /part/file; touch /part/new 2>/dev/null && echo ' rw' || echo ' ro'; cat /bind/file; touch /bind/x; ls -d /scratch"

    def run_with(*words: str) -> str:
        done = engine.docker("run", "--rm", "--net", "none", *words, "busybox", "sh", "-c", f"{{ {look}; }} 2>&1")
        return done.out.decode()

    expected = "of the host" + "touch: /bind/x: Read-only file system\nls: /scratch: No such file or directory\n"
    assert run_with("--volumes-from", "donor") == f"inside rw\n{expected}"
    assert run_with("--volumes-from", "donor:ro") == f"inside ro\n{expected}"
    last = engine.docker(
        "run",
        "--rm",
        "--net",
        "none",
        "--volumes-from",
        "donor",
        "--volumes-from",
        "other:ro",
        "busybox",
        "ls",
        "/part",
    )
    assert last.text == "sub"
    assert (volume / "sub/deep/new").exists()


def test_a_bind_of_the_data_root_follows_the_host(engine: Sampan) -> None:
    """As in Docker: what the engine unmounts must not stay mounted in a container."""

    def shown(*words: str) -> str:
        made = engine.docker("create", *words, "busybox", "true")
        assert made.code == 0, made
        return engine.docker("inspect", "-f", "{{(index .Mounts 0).Propagation}}", made.text).text

    assert shown("-v", "/:/x") == "rslave"
    assert shown("-v", f"{engine.data_root}/volumes:/x:ro") == "rslave"
    assert shown("--mount", f"type=bind,src={engine.data_root},dst=/x") == "rslave"
    assert shown("-v", "/usr:/x") == "rprivate"
    assert shown("-v", "/:/x:rshared") == "rshared"
    refused = engine.docker("create", "-v", "/:/x:private", "busybox")
    assert 'must use either propagation mode "rslave" or "rshared"' in refused.err.decode()
    done = engine.docker("run", "--rm", "--net", "none", "-v", "/:/x", "busybox", "ls", "-d", "/x/proc")
    assert (done.code, done.text) == (0, "/x/proc"), done
