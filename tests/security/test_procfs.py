"""Security corpus, section B: procfs, masked paths and mount targets led astray by an image, a volume or a running program."""

import json
import time
import urllib.parse
from pathlib import Path

import pytest

from sampan.runtime.profile_files import ALSO_MASKED, MASKED, READ_ONLY
from tests.archives import Layer
from tests.daemons import EMULATED, Sampan
from tests.requires import requires
from tests.security.hostile import REFUSED, Canary, load, refused, refused_or, run

pytestmark = requires("root", "busybox", "docker-client")

# What each masked path is, or that it is not there: "path kind device entries".
LOOK = r"""
for p in %s; do
  if [ ! -e $p ]; then echo "$p absent"
  elif [ -d $p ]; then echo "$p directory $(ls -A $p | wc -l) $(touch $p/x 2>/dev/null && echo writable)"
  else echo "$p $(stat -c '%%F %%t:%%T' $p | tr ' ' _)"; fi
done
"""


def masks_hold(text: str) -> bool:
    """Every path of `look` that is there shows nothing; whether at least one of them is a masked file."""
    files = 0
    for line in text.replace("\r", "").splitlines():
        path, *what = line.split()
        if path not in MASKED or what == ["absent"]:
            continue
        if what[0] == "directory":
            assert what[1:] == ["0"], line
        else:
            assert what == ["character_special_file_1:3"], line
            files += 1
    return files > 0


def look(paths: tuple[str, ...] = MASKED) -> str:
    return LOOK % " ".join(paths)


# The lists themselves (CVE-2015-3630, CVE-2017-16539, CVE-2018-10892, GHSA-jq35-85cj-fj4p, GHSA-6fw5-f8r9-fgfm)


def test_sec_cve_2017_16539_masked(engine: Sampan) -> None:
    outcome = run(engine, "busybox", "sh", "-c", look())
    assert outcome.code == 0
    assert masks_hold(outcome.text)


def test_what_is_hidden_beyond_dockers_list(engine: Sampan) -> None:
    script = f"for p in {' '.join(ALSO_MASKED)}; do [ -e $p ] && stat -c '%n %t:%T' $p; done; true"
    shown = run(engine, "busybox", "sh", "-c", script).text.splitlines()
    assert shown
    assert [line for line in shown if not line.endswith(" 1:3")] == []
    bare = run(engine, "--security-opt", "systempaths=unconfined", "busybox", "sh", "-c", script).text.splitlines()
    assert [line for line in bare if line.endswith(" 1:3")] == []


def test_sec_cve_2015_3630_read_only(engine: Sampan) -> None:
    script = "for p in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/irq/default_smp_affinity; do "
    script += (
        "( : >> $p ) 2>/dev/null && echo $p; done; touch /proc/sys/x /proc/fs/x /proc/bus/x /sys/x /sys/fs/cgroup/x"
    )
    outcome = run(engine, "busybox", "sh", "-c", f"{script} 2>/dev/null && echo wrote; true")
    assert outcome.code == 0, outcome
    assert outcome.text == ""


def test_sec_ghsa_6fw5_inspect_shows_at_least_dockers_lists(engine: Sampan) -> None:
    created = engine.docker("create", "--network", "none", "busybox", "true")
    (shown,) = json.loads(engine.docker("inspect", created.text).out)
    engine.docker("rm", created.text)
    assert set(shown["HostConfig"]["MaskedPaths"]) >= set(MASKED)
    assert set(shown["HostConfig"]["ReadonlyPaths"]) >= set(READ_ONLY)
    thermal = {str(path) for path in Path("/sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle")}
    assert set(shown["HostConfig"]["MaskedPaths"]) >= thermal


def test_the_lists_can_be_lifted_on_request(engine: Sampan) -> None:
    """The control: without masks the same look sees the real files."""
    outcome = run(engine, "--security-opt", "systempaths=unconfined", "busybox", "sh", "-c", look(("/proc/keys",)))
    assert outcome.text.startswith("/proc/keys regular_")


# CVE-2019-16884: something is mounted over /proc


@pytest.mark.parametrize(
    "where", ["/proc", "/proc/self", "/proc/self/attr", "/proc/sys/kernel", "/proc/./sys", "//proc", "/x/../proc"]
)
@pytest.mark.parametrize("how", ["image", "volume", "bind", "tmpfs"])
def test_sec_cve_2019_16884(engine: Sampan, canary: Canary, where: str, how: str) -> None:
    arguments: tuple[str, ...]
    if how == "image":
        tag = load(engine, "sec-volume-proc", None, {"Volumes": {where: {}}})
        arguments = (tag,)
    elif how == "tmpfs":
        arguments = ("--tmpfs", where, "busybox")
    else:
        source = f"{canary.path}/directory" if how == "bind" else "sec-proc"
        arguments = ("-v", f"{source}:{where}", "busybox")
    outcome = run(engine, *arguments, "sh", "-c", "echo ran; cat /proc/self/attr/current")
    assert refused(outcome), outcome
    assert b"ran" not in outcome.out
    engine.docker("volume", "rm", "-f", "sec-proc")


# CVE-2019-19921, CVE-2023-27561, CVE-2023-28642: /proc or /sys of the image is a link


@pytest.mark.parametrize("name", ["proc", "sys", "dev"])
@pytest.mark.parametrize("target", ["/x", "x", "../../../x", "canary", "/proc", "loop", "file"])
def test_sec_cve_2019_19921(engine: Sampan, canary: Canary, name: str, target: str) -> None:
    def build(layer: Layer) -> None:
        layer.directory("x")
        layer.directory("x/self")
        match target:
            case "canary":
                layer.symlink(name, f"{canary.path}/directory")
            case "loop":
                layer.symlink(name, name)
            case "file":
                layer.file(name, b"a file")
            case _:
                layer.symlink(name, target)

    tag = load(engine, f"sec-link-{name}", build)
    outcome = run(engine, tag, "sh", "-c", "grep -c . /proc/1/status > /dev/null && " + look())
    assert refused_or(outcome, lambda ran: ran.code == 0 and masks_hold(ran.text)), outcome
    if outcome.code == 0:
        assert masks_hold(outcome.text)
    else:
        assert name.encode() in outcome.err or b"canary" in outcome.err


# CVE-2025-31133, CVE-2025-52565: /dev/null and /dev/console as an image or a volume would have them


def hostile_dev(layer: Layer, prefix: str, canary: Canary, kind: str) -> None:
    layer.directory(prefix)
    layer.directory(f"{prefix}/pts")
    for name in ("null", "console", "ptmx", "tty", "zero", "fd", "stdin", "pts/0", "shm", "mqueue"):
        match kind:
            case "link":
                layer.symlink(f"{prefix}/{name}", "/proc/sys/kernel/core_pattern")
            case "canary":
                layer.symlink(f"{prefix}/{name}", f"{canary.path}/secret")
            case _:
                layer.file(f"{prefix}/{name}", b"a file", 0o666)


@pytest.mark.parametrize("kind", ["link", "canary", "file"])
@pytest.mark.parametrize("terminal", [(), ("-t",)])
def test_sec_cve_2025_31133_image(engine: Sampan, canary: Canary, kind: str, terminal: tuple[str, ...]) -> None:
    tag = load(engine, f"sec-dev-{kind}", lambda layer: hostile_dev(layer, "dev", canary, kind))
    script = "stat -c '%n %t:%T' /dev/null /dev/zero; stat -L -c '%n %t' /dev/console;"
    script += "(: >> /proc/sys/kernel/core_pattern) && echo open;"
    outcome = run(engine, *terminal, tag, "sh", "-c", f"{script} {look()}")
    lines = outcome.text.replace("\r", "").splitlines()
    assert "/dev/null 1:3" in lines
    assert "/dev/zero 1:5" in lines
    assert "open" not in lines
    assert ("/dev/console 88" in lines) is bool(terminal)
    assert masks_hold(outcome.text)


@pytest.mark.parametrize("kind", ["link", "canary", "file"])
@pytest.mark.parametrize("terminal", [(), ("-t",)])
def test_sec_cve_2025_52565_volume(engine: Sampan, canary: Canary, kind: str, terminal: tuple[str, ...]) -> None:
    """A volume over /dev, filled beforehand with hostile entries."""
    tag = load(engine, f"sec-devvol-{kind}", lambda layer: hostile_dev(layer, "hostile", canary, kind))
    volume = f"sec-dev-{kind}"
    try:
        filled = run(engine, "-v", f"{volume}:/hostile", tag, "true")
        assert filled.code == 0, filled
        script = "(: >> /proc/sys/kernel/core_pattern) 2>/dev/null && echo open; cat /dev/console 2>/dev/null;"
        outcome = run(
            engine,
            *terminal,
            "-v",
            f"{volume}:/dev",
            "busybox",
            "sh",
            "-c",
            f"{script} {look(('/proc/timer_list', '/proc/keys'))}",
        )
        assert canary.secret.encode() not in outcome.out
        assert refused_or(outcome, lambda ran: masks_hold(ran.text) and "open" not in ran.text.split()), outcome
    finally:
        engine.docker("volume", "rm", "-f", volume)


# CVE-2026-41579, CVE-2026-47766: /dev of the image leads to the host


@pytest.mark.parametrize("shape", ["absolute", "relative", "chain"])
def test_sec_cve_2026_41579(engine: Sampan, canary: Canary, shape: str) -> None:
    def build(layer: Layer) -> None:
        match shape:
            case "absolute":
                layer.symlink("dev", canary.path)
            case "relative":
                layer.symlink("dev", "../../../../../.." + canary.path)
            case _:
                layer.symlink("one", "/two")
                layer.symlink("two", "../.." + canary.path)
                layer.symlink("dev", "one")

    tag = load(engine, f"sec-devlink-{shape}", build)
    for terminal in ((), ("-t",)):
        outcome = run(engine, *terminal, tag, "sh", "-c", "echo x > /dev/null; ls /dev")
        assert refused_or(outcome, lambda ran: "secret" not in ran.text.split()), outcome


# CVE-2021-30465, CVE-2024-45310, CVE-2019-18837, CVE-2015-3629: mount targets


@pytest.mark.parametrize("shape", ["absolute", "relative", "dangling", "above", "inner"])
@pytest.mark.parametrize("how", ["volume", "bind", "tmpfs"])
def test_sec_cve_2019_18837(engine: Sampan, canary: Canary, tmp_path: Path, shape: str, how: str) -> None:
    """A target behind a link of the image lands inside the root file system, whatever the link says."""

    def build(layer: Layer) -> None:
        target = {
            "absolute": canary.path,
            "relative": "../../../.." + canary.path,
            "dangling": f"{canary.path}/missing/deep",
            "above": "../../../../../../../..",
            "inner": "/home",
        }[shape]
        layer.symlink("link", target)

    tag = load(engine, f"sec-target-{shape}", build)
    (tmp_path / "mine").write_text("mine")
    option = {
        "volume": ("-v", "sec-target:/link/made/here"),
        "bind": ("-v", f"{tmp_path}:/link/made/here"),
        "tmpfs": ("--tmpfs", "/link/made/here"),
    }[how]
    outcome = run(
        engine, *option, tag, "sh", "-c", "touch /link/made/here/touched && grep -c made/here /proc/self/mountinfo"
    )
    assert refused_or(outcome, lambda ran: ran.text == "1"), outcome
    engine.docker("volume", "rm", "-f", "sec-target")


def test_sec_cve_2015_3629_restart(engine: Sampan, canary: Canary) -> None:
    """A program replaces the mount points of its own next start by links."""
    script = f"""
    if [ -e /replaced ]; then cat /proc/self/mountinfo; exit 0; fi
    touch /replaced
    for p in /proc /sys /dev /data /etc/hosts /etc/hostname /etc/resolv.conf; do
      umount $p 2>/dev/null; rm -rf $p 2>/dev/null; ln -s {canary.path} $p 2>/dev/null
    done
    mv /etc /was 2>/dev/null; ln -s {canary.path}/directory /etc 2>/dev/null
    mv /deep /moved && ln -s {canary.path} /deep
    exit 0
    """
    created = engine.docker("create", "-v", "/data", "-v", "/deep/data", "busybox", "sh", "-c", script)
    assert created.code == 0, created
    assert engine.docker("start", "-a", created.text).code == 0, "the links were not made"
    for _ in range(2):
        engine.docker("start", "-a", created.text)
    with_links = engine.docker("export", created.text)
    assert canary.secret.encode() not in with_links.out
    assert canary.secret.encode() not in engine.docker("logs", created.text).out
    assert engine.docker("rm", "-f", "-v", created.text).code == 0


RACE_SECONDS = 90 if EMULATED else 4


def test_sec_cve_2021_30465_race(engine: Sampan, canary: Canary) -> None:
    """While one container swaps a directory of a shared volume for a link, others mount below it."""
    swap = f"ln -s ../../../../..{canary.path} a; rm -f a; mv b a 2>/dev/null; rm -rf a b"
    swap = f"cd /shared; while :; do mkdir -p a b/c; rm -rf a; {swap}; done"
    swapper = engine.docker("run", "-d", "--network", "none", "-v", "sec-race:/shared", "busybox", "sh", "-c", swap)
    assert swapper.code == 0, swapper
    runs, ends = 0, time.monotonic() + RACE_SECONDS
    try:
        while time.monotonic() < ends:
            outcome = run(
                engine, "-v", "sec-race:/shared", "--tmpfs", "/shared/a/c", "-v", "sec-other:/shared/a/d", "busybox", "sh", "-c",
                "cat /proc/self/mountinfo; ls -R /shared",
            )  # fmt: skip
            assert canary.secret.encode() not in outcome.out
            assert b"secret" not in outcome.out
            runs += 1
    finally:
        engine.docker("rm", "-f", swapper.text)
        engine.docker("volume", "rm", "-f", "sec-race", "sec-other")
    assert runs > 5


@pytest.mark.parametrize("swap", ["still", "swapping"])
def test_sec_cve_2025_52881_race(engine: Sampan, canary: Canary, swap: str) -> None:
    """Writes of the engine (sysctls, oom score) land in its own procfs while a neighbour swaps what is mounted below a volume.

    `still` is the form without chance: the link stands from the beginning.
    """
    script = "cd /shared; ln -s /proc/sys/net p"
    if swap == "swapping":
        script = "cd /shared; while :; do rm -rf p; ln -s /proc/sys/net p; rm -f p; mkdir p; done"
    swapper = engine.docker("run", "-d", "--network", "none", "-v", "sec-race2:/shared", "busybox", "sh", "-c", script)
    assert swapper.code == 0, swapper
    if swap == "still":
        assert engine.docker("wait", swapper.text).text == "0"
    ends = time.monotonic() + RACE_SECONDS
    try:
        while time.monotonic() < ends:
            outcome = run(
                engine, "-v", "sec-race2:/shared", "--tmpfs", "/shared/p", "--sysctl", "net.core.somaxconn=77",
                "busybox", "sh", "-c", "cat /proc/sys/net/core/somaxconn /proc/self/oom_score_adj",
            )  # fmt: skip
            assert refused_or(outcome, lambda ran: ran.code == 0 and ran.text.split() == ["77", "0"]), outcome
    finally:
        engine.docker("rm", "-f", swapper.text)
        engine.docker("volume", "rm", "-f", "sec-race2")


# CVE-2022-0492: control groups as a way out


@pytest.mark.parametrize(
    "script",
    [
        "unshare -UrmC true",
        "unshare -Ur true",
        "unshare -C true",
        "mkdir /tmp/c && mount -t cgroup -o memory none /tmp/c",
        "mkdir /tmp/c && mount -t cgroup2 none /tmp/c",
        "mount -t proc proc /proc",
        "mount -o remount,rw /sys/fs/cgroup",
        "mount -o remount,bind,rw /proc/sys",
        "umount /proc/kcore",
        "umount /sys",
        "echo x > /sys/fs/cgroup/release_agent",
        "echo x > /sys/fs/cgroup/memory/release_agent",
        "echo 1 > /sys/fs/cgroup/memory/notify_on_release",
        "mkdir /sys/fs/cgroup/memory/x",
        "mkdir /sys/fs/cgroup/x",
    ],
)
def test_sec_cve_2022_0492(engine: Sampan, script: str) -> None:
    outcome = run(engine, "busybox", "sh", "-c", script)
    assert outcome.code != 0, outcome
    assert outcome.code not in REFUSED, outcome


@pytest.mark.parametrize("mode", ["host", "private"])
@pytest.mark.parametrize("user", ["0", "1000"])
def test_sec_cve_2023_25809(engine: Sampan, mode: str, user: str) -> None:
    """Nothing below /sys/fs/cgroup can be written, whichever control groups are shown."""
    script = """
    find /sys/fs/cgroup -type f 2>/dev/null | head -300 | while read f; do ( : >> $f ) 2>/dev/null && echo "opened $f"; done
    find /sys/fs/cgroup -type d 2>/dev/null | head -60 | while read d; do mkdir $d/x 2>/dev/null && echo "made $d"; done
    """
    outcome = run(engine, "--cgroupns", mode, "-u", user, "busybox", "sh", "-c", script)
    assert outcome.text == "", outcome


# CVE-2022-23648, CVE-2020-1726: what is copied into a new volume


@pytest.mark.parametrize("where", ["/../../../etc", "/link", "/link/directory", "/x/../../..", "relative", "/"])
def test_sec_cve_2022_23648(engine: Sampan, canary: Canary, where: str) -> None:
    def build(layer: Layer) -> None:
        layer.symlink("link", canary.path)
        # Without it the start would fail for want of a place, and nothing would be shown.
        layer.directory(f"{canary.path[1:]}/directory")
        layer.directory("x")

    tag = load(engine, "sec-copyup", build, {"Volumes": {where: {}}})
    outcome = run(engine, tag, "sh", "-c", f"find {where}/ -xdev -type f 2>/dev/null | xargs cat 2>/dev/null")
    assert canary.secret.encode() not in outcome.out
    if where != "/":
        assert Path("/etc/os-release").read_bytes().strip() not in outcome.out
    assert outcome.code == 0 or outcome.err


def test_sec_cve_2020_1726(engine: Sampan) -> None:
    tag = load(engine, "sec-prefilled", lambda layer: layer.file("data/from-image", b"image"))
    try:
        assert run(engine, "-v", "sec-filled:/data", "busybox", "sh", "-c", "echo mine > /data/mine").code == 0
        outcome = run(engine, "-v", "sec-filled:/data", tag, "ls", "/data")
        assert outcome.text == "mine"
    finally:
        engine.docker("volume", "rm", "-f", "sec-filled")


# CVE-2026-55686, CVE-2025-9566, CVE-2024-9341: what the engine makes itself


@pytest.mark.parametrize("where", ["/link/new", "/link", "/relative/new/deep", "/loop/x", "/file/x"])
def test_sec_cve_2026_55686(engine: Sampan, canary: Canary, where: str) -> None:
    def build(layer: Layer) -> None:
        layer.symlink("link", f"{canary.path}/directory")
        layer.symlink("relative", f"../../..{canary.path}")
        layer.symlink("loop", "loop")
        layer.file("file", b"")

    tag = load(engine, "sec-workdir", build, {"WorkingDir": where})
    outcome = run(engine, tag, "sh", "-c", "pwd; ls")
    assert refused_or(outcome, lambda ran: "file" not in ran.text.split() and "secret" not in ran.text.split()), outcome


@pytest.mark.parametrize("target", ["secret", "hosts", "missing", "directory/file"])
def test_sec_cve_2025_9566(engine: Sampan, canary: Canary, target: str) -> None:
    """Files that the engine writes or mounts are links in the image."""

    def build(layer: Layer) -> None:
        for name in ("etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab", ".dockerenv"):
            layer.symlink(name, f"{canary.path}/{target}")

    tag = load(engine, f"sec-etc-{target.replace('/', '-')}", build)
    outcome = run(engine, tag, "sh", "-c", "cat /etc/hosts /etc/hostname /etc/resolv.conf")
    assert canary.secret.encode() not in outcome.out + outcome.err
    assert refused_or(outcome, lambda ran: True)


@pytest.mark.parametrize("shape", ["link", "file", "loop"])
def test_sec_cve_2024_9341(engine: Sampan, canary: Canary, shape: str) -> None:
    def build(layer: Layer) -> None:
        match shape:
            case "link":
                layer.symlink("etc", f"{canary.path}/directory")
            case "loop":
                layer.symlink("etc", "etc")
            case _:
                layer.file("etc", b"a file")

    tag = load(engine, f"sec-etc-{shape}", build)
    outcome = run(engine, tag, "sh", "-c", "ls -la /etc/; cat /etc/hosts")
    assert canary.secret.encode() not in outcome.out + outcome.err
    assert outcome.code != 0 or b"localhost" in outcome.out


# CVE-2025-0750: names that become paths


@pytest.mark.parametrize(
    "name", ["..", "../../etc", "%2e%2e%2f%2e%2e%2fetc", "a/b", "a%00b", "%2fetc", "．．", "a" * 5000, "-x", "a\\b"]
)
@pytest.mark.parametrize(
    "method_path",
    [
        "GET /containers/{}/json",
        "POST /containers/{}/start",
        "DELETE /containers/{}",
        "POST /exec/{}/start",
        "GET /images/{}/json",
        "DELETE /volumes/{}",
        "POST /containers/create?name={}",
    ],
)
def test_sec_cve_2025_0750(engine: Sampan, canary: Canary, name: str, method_path: str) -> None:
    method, path = method_path.split(" ")
    quoted = name if "%" in name else urllib.parse.quote(name, safe="./")
    body = {"Image": "busybox"} if "create" in path else {} if method == "POST" else None
    answer = engine.api(method, path.format(quoted), body)
    if "create" in path and answer.status == 201:
        # A leading slash is part of Docker's syntax of names, and their length has no bound of its own.
        assert quoted in ("%2fetc", "a" * 5000)
        engine.api("DELETE", f"/containers/{json.loads(answer.body)['Id']}")
        return
    assert answer.status in (301, 400, 404, 405, 414, 431), answer
    if answer.status in (400, 404):
        assert "message" in json.loads(answer.body)
    assert engine.api("GET", "/_ping").status == 200
