"""What an ordinary user's engine needs of the machine, each tried: does it hold, why not, what to do. For `sampan rootless check`.

`needed` findings are those without which no daemon starts; the others say with what less it runs.
"""

import json
import os
import shutil
import socket
from collections.abc import Callable

from sampan.files.remove import remove_tree
from sampan.host.finding import Finding
from sampan.kernel.mount import MNT, MS, mount, umount2
from sampan.kernel.namespaces import Clone, unshare
from sampan.rootless import mapping, subordinate, uplink
from sampan.rootless.places import Places

AREA = "rootless"
_CLONE = "/proc/sys/kernel/unprivileged_userns_clone"
_MOST = "/proc/sys/user/max_user_namespaces"
_APPARMOR = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
_LOW_PORTS = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
_SYSTEMD = "/run/systemd/system"
_SECONDS = 15.0
_LIMIT = 1 << 16


def check(places: Places, uid: int, gid: int) -> tuple[Finding, ...]:
    """All findings, in the order in which they are to be mended."""
    whose = mapping.owner(uid, gid)
    standing = [_user(uid), _namespaces(), *_programs(), *_ranges(whose)]
    tried: tuple[Finding, ...] = ()
    if all(finding.ok for finding in standing):
        tried = _inside(places, whose)
    return (*standing, *tried, _network(), _tun(), _groups(), _run(places, uid), _low_ports(), _linger(whose.name))


def _finding(name: str, ok: bool, why: str = "", hint: str = "", *, needed: bool = False) -> Finding:
    return Finding(name=name, area=AREA, ok=ok, why=why, hint="" if ok else hint, needed=needed)


def _user(uid: int) -> Finding:
    return _finding("ordinary user", uid != 0, "" if uid else "this is root", "root runs sampand itself", needed=True)


def _namespaces() -> Finding:
    name = "user namespaces"
    if mapping.read(_CLONE).strip() == "0":
        hint = "as root: sysctl -w kernel.unprivileged_userns_clone=1 (and a line in /etc/sysctl.d/)"
        return _finding(name, False, f"{_CLONE} is 0", hint, needed=True)
    if mapping.read(_MOST).strip() == "0":
        return _finding(name, False, f"{_MOST} is 0", "as root: sysctl -w user.max_user_namespaces=28633", needed=True)
    why = _in_child(_make_namespace)
    if why and mapping.read(_APPARMOR).strip() == "1":
        hint = (
            "as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile with `userns,`"
        )
        return _finding(name, False, f"AppArmor restricts them ({why})", hint, needed=True)
    hint = "a security module or a filter of system calls (a container?) forbids them"
    return _finding(name, not why, why, hint, needed=True)


def _make_namespace() -> str:
    unshare(Clone.NEWUSER | Clone.NEWNS)
    # Where AppArmor restricts them the namespace is made, and has no rights: a mount shows that.
    mount(None, b"/", None, MS.REC | MS.PRIVATE)
    return ""


def _programs() -> list[Finding]:
    found = []
    for name in ("newuidmap", "newgidmap"):
        path = shutil.which(name, path=mapping.ENVIRONMENT["PATH"])
        hint = f"as root: apt install {mapping.PACKAGE}"
        found.append(_finding(name, bool(path), path or "not installed", hint, needed=True))
    return found


def _ranges(whose: mapping.Owner) -> list[Finding]:
    found = []
    for path, ranges in (("/etc/subuid", whose.uids), ("/etc/subgid", whose.gids)):
        count = sum(each[1] for each in ranges)
        first = subordinate.next_free(mapping.read(path))
        hint = f"as root, add to {path}: {whose.name}:{first}:{subordinate.LEAST}"
        why = f"{count} ids" if count else f"no line for {whose.name}"
        found.append(_finding(path, count >= subordinate.LEAST, why, hint, needed=True))
    return found


def _in_child(attempt: Callable[[], str]) -> str:
    """Why `attempt` fails in a forked child; empty where it does not."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said = attempt()
        except OSError as error:
            said = str(error)
        finally:
            os.write(writer, said.encode()[:1000])
            os._exit(0)
    os.close(writer)
    said = os.read(reader, 1000).decode()
    os.close(reader)
    os.waitpid(pid, 0)
    return said


def _inside(places: Places, whose: mapping.Owner) -> tuple[Finding, ...]:
    """What only shows once ids are mapped: tried in a world like the daemon's, which goes again."""
    data = places.data
    while not os.path.isdir(data):
        data = os.path.dirname(data)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        ours.close()
        try:
            theirs.settimeout(_SECONDS)
            _try_all(theirs, data)
        finally:
            os._exit(0)
    theirs.close()
    ours.settimeout(_SECONDS)
    try:
        ours.recv(1)
        mapping.map_ids(pid, whose)
        ours.send(b"+")
        answers = json.loads(ours.recv(_LIMIT))
        mapped = _finding("id map", True, "newuidmap and newgidmap wrote it", needed=True)
    except (OSError, ValueError, mapping.CannotMap) as error:
        answers = {}
        hint = "are newuidmap and newgidmap setuid root (ls -l), and is there no nosuid mount or no_new_privs?"
        mapped = _finding("id map", False, str(error), hint, needed=True)
    finally:
        ours.close()
        os.waitpid(pid, 0)
    return (mapped, *(_of_inside(name, answers[name]) for name in answers))


_INSIDE = {
    "network namespace": ("the kernel or a security module forbids it", True),
    "own /proc": (
        "a container's /proc has covered parts: run its engine without masks (--security-opt systempaths=unconfined)",
        True,
    ),
    "own /sys": ("a container's /sys has covered parts; see /proc", True),
    "overlay": (
        "Linux 5.11 or later and a local file system; else, as root: apt install fuse-overlayfs; chmod 0666 /dev/fuse",
        False,
    ),
    "nftables": ("as root: modprobe nf_tables; without it no networks but none and host", True),
}
"""What is tried, what to do about it, and whether it is needed."""


def _of_inside(name: str, why: str) -> Finding:
    hint, needed = _INSIDE[name]
    return _finding(name, not why, why, hint, needed=needed)


def _try_all(channel: socket.socket, data: str) -> None:
    unshare(Clone.NEWUSER | Clone.NEWNS)
    channel.send(b"+")
    channel.recv(1)
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    mount(None, b"/", None, MS.REC | MS.PRIVATE)
    attempts = {
        "network namespace": lambda: unshare(Clone.NEWNET),
        "own /proc": _own_proc,
        "own /sys": lambda: mount(b"sysfs", b"/sys", b"sysfs", MS.NOSUID | MS.NODEV | MS.NOEXEC),
        "overlay": lambda: _overlay(data),
        "nftables": _nftables,
    }
    answers = {}
    for name, attempt in attempts.items():
        try:
            attempt()
            answers[name] = ""
        except OSError as error:
            answers[name] = str(error)
    channel.send(json.dumps(answers).encode())


def _own_proc() -> None:
    unshare(Clone.NEWPID)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = ""
        try:
            unshare(Clone.NEWNS)
            mount(b"proc", b"/proc", b"proc", MS.NOSUID | MS.NODEV | MS.NOEXEC)
        except OSError as error:
            said = str(error)
        finally:
            os.write(writer, said.encode())
            os._exit(0)
    os.close(writer)
    said = os.read(reader, 1000).decode()
    os.close(reader)
    os.waitpid(pid, 0)
    if said:
        raise OSError(said)


def _overlay(data: str) -> None:
    """An overlay of the data root's file system, as layers are mounted."""
    base = os.path.join(data, f".sampan-probe-{os.getpid()}")
    parts = [os.path.join(base, name) for name in ("lower", "upper", "work", "merged")]
    os.mkdir(base, 0o700)
    try:
        for part in parts:
            os.mkdir(part)
        lower, upper, work, merged = (os.fsencode(part) for part in parts)
        mount(
            b"overlay",
            merged,
            b"overlay",
            MS(0),
            b"lowerdir=%s,upperdir=%s,workdir=%s,userxattr" % (lower, upper, work),
        )
    finally:
        try:
            umount2(os.fsencode(parts[3]), MNT.DETACH)
        except OSError:
            pass  # it was not mounted
        parent = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        remove_tree(parent, os.fsencode(os.path.basename(base)))
        os.close(parent)


def _nftables() -> None:
    from sampan.kernel.netlink import NETLINK_NETFILTER, Netlink
    from sampan.kernel.nftables import generation

    with Netlink(NETLINK_NETFILTER) as netfilter:
        generation(netfilter)


def _network() -> Finding:
    program = uplink.choose("", lambda name: shutil.which(name, path=mapping.ENVIRONMENT["PATH"]))
    if program == "pasta" and not uplink.is_whole(
        uplink.version_of(shutil.which("pasta", path=mapping.ENVIRONMENT["PATH"]) or "")
    ):
        why = "pasta, an old one, under load loses the end of connections"
        return _finding("way out", False, why, "as root: apt install slirp4netns")
    why = "" if program != uplink.NONE else "neither pasta nor slirp4netns is installed: containers have no way out"
    return _finding("way out", program != uplink.NONE, why or program, "as root: apt install passt (or slirp4netns)")


def _tun() -> Finding:
    ok = os.access(uplink.TUN, os.R_OK | os.W_OK)
    why = "" if ok else f"{uplink.TUN} is missing or not open to you: no way out of containers"
    return _finding("tun device", ok, why, f"as root: modprobe tun; chmod 0666 {uplink.TUN} (udev does so)")


def _groups() -> Finding:
    """Delegation is tried where the daemon would stand; under systemd that is the user's own manager's business."""
    from sampan.cgroups.hierarchy import delegated_here

    place = delegated_here()
    manager = os.path.exists(f"/run/user/{os.getuid()}/systemd/private")
    if place or manager:
        return _finding(
            "control groups", True, place or "delegated by the user's systemd: sampan rootless setup --systemd"
        )
    hint = "limits, pause and statistics are missing; with systemd and cgroup v2: sampan rootless setup --systemd"
    return _finding("control groups", False, "none are delegated to you", hint)


def _run(places: Places, uid: int) -> Finding:
    ok = not places.run.startswith(places.home)
    why = places.run if ok else f"no private XDG_RUNTIME_DIR: {places.run} is used"
    return _finding(
        "run directory", ok, why, f"log in by a session of systemd's, or have /run/user/{uid} made (0700, yours)"
    )


def _low_ports() -> Finding:
    first = mapping.read(_LOW_PORTS).strip()
    ok = first.isdecimal() and int(first) <= 80
    hint = f"as root: sysctl -w {_LOW_PORTS.removeprefix('/proc/sys/').replace('/', '.')}=80"
    return _finding("low ports", ok, f"ports from {first} on can be published", hint)


def _linger(name: str) -> Finding:
    if not os.path.isdir(_SYSTEMD):
        return _finding("linger", True, "no systemd here: nothing ends with the session")
    ok = os.path.exists(f"/var/lib/systemd/linger/{name}")
    return _finding(
        "linger", ok, "" if ok else "containers end with the last session", f"loginctl enable-linger {name}"
    )
