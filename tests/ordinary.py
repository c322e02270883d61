"""An ordinary user made for a test, with subordinate ids, and that user's own engine (docs/rootless.md).

Everything of the user's runs in a mount namespace in which /dev/net/tun and /dev/fuse are open to all, as udev has them on a
whole machine. At
the end the user goes, and with it every process, file and mount.
"""

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from tests.daemons import PROJECT, SOURCE, Daemon, Outcome, entry_point
from tests.waiting import eventually

SUBORDINATE = 65536
_END_SECONDS = 20.0
_TUN = os.makedev(10, 200)
_FUSE = os.makedev(10, 229)


class Person:
    """A user of the machine. `run` directory and home are below `directory`."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.directory = directory
        found = pwd.getpwnam(name)
        self.uid, self.gid, self.home = found.pw_uid, found.pw_gid, Path(found.pw_dir)
        self.run_directory = directory / "run"
        self.run_directory.mkdir(mode=0o700)
        os.chown(self.run_directory, self.uid, self.gid)
        self._tun = directory / "tun"
        self._fuse = directory / "fuse"
        for node, number in ((self._tun, _TUN), (self._fuse, _FUSE)):
            os.mknod(node, stat.S_IFCHR | 0o666, number)
            node.chmod(0o666)
        self._source = SOURCE
        if SOURCE != PROJECT / "src":
            # A weakened copy lies in a directory of root's.
            self._source = directory / "src"
            shutil.copytree(SOURCE, self._source)
        self.group: Path | None = None
        """a control group that is delegated to this user, in which its commands begin"""

    def subordinate(self) -> range:
        """The first of this user's ranges."""
        for line in Path("/etc/subuid").read_text().splitlines():
            name, start, count = line.split(":")
            if name == self.name:
                return range(int(start), int(start) + int(count))
        raise AssertionError(f"{self.name} has no subordinate ids")

    def command(self, *words: str, env: dict[str, str] | None = None) -> list[str]:
        """`words` as a command line that root starts, and that runs as this user."""
        own = {
            "HOME": str(self.home),
            "USER": self.name,
            "XDG_RUNTIME_DIR": str(self.run_directory),
            "PYTHONPATH": str(self._source),
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        }
        settings = [f"{key}={value}" for key, value in {**own, **(env or {})}.items()]
        become = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups", "env", "-i", *settings]
        enter = f"echo 0 > {self.group}/cgroup.procs; " if self.group else ""
        fuse = f"mount --bind {self._fuse} /dev/fuse; " if os.path.exists("/dev/fuse") else ""
        inside = f'{enter}mount --bind {self._tun} /dev/net/tun; {fuse}cd /; exec "$@"'
        return ["unshare", "--mount", "--propagation", "slave", "sh", "-c", inside, "sh", *become, *words]

    def execute(
        self, *words: str, env: dict[str, str] | None = None, stdin: bytes = b"", timeout: float = 60
    ) -> Outcome:
        """Run something to its end."""
        done = subprocess.run(
            self.command(*words, env=env), input=stdin, capture_output=True, timeout=timeout, check=False
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def sampan(
        self, *words: str, env: dict[str, str] | None = None, stdin: bytes = b"", timeout: float = 60
    ) -> Outcome:
        """Sampan's command, which finds this user's daemon by itself."""
        return self.execute(*entry_point("sampan"), *words, env=env, stdin=stdin, timeout=timeout)

    def processes(self) -> list[str]:
        """What runs under this user's ids, subordinate ones too; not what has ended and waits for the machine's init."""
        own = {self.uid, *self.subordinate()}
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                lines = (entry / "status").read_text()
                uid = int(lines.partition("\nUid:\t")[2].split()[0])
            except (OSError, IndexError):
                continue
            if uid in own and "\nState:\tZ" not in lines:
                found.append(f"{entry.name} {lines.partition(chr(10))[0]}")
        return sorted(found)


class Lodging(Daemon):
    """A user's own engine, as root's tests look at it: what `Daemon` does by the socket, root may do too."""

    kind = "lodging"

    def __init__(self, person: Person) -> None:
        super().__init__()
        shutil.rmtree(self.directory)
        self.person = person
        self.directory = person.directory
        self.exec_root = person.run_directory / "sampan"
        self.data_root = person.home / ".local/share/sampan"
        self.socket = self.exec_root / "sampan.sock"
        self.log = self.data_root / "sampand.log"

    def sampan(self, *words: str, stdin: bytes = b"", timeout: float = 60) -> Outcome:
        """The user's own command."""
        return self.person.sampan(*words, stdin=stdin, timeout=timeout)

    def ok(self, *words: str, stdin: bytes = b"", timeout: float = 60) -> str:
        """What the user's command wrote; it has to succeed."""
        done = self.sampan(*words, stdin=stdin, timeout=timeout)
        assert done.code == 0, (words, done, self.log_tail())
        return done.text

    def daemon_pid(self) -> int:
        return int((self.exec_root / "sampand.pid").read_text())


@contextmanager
def ordinary_user() -> Iterator[Person]:
    """A new user; whatever still runs under its ids at the end is named, and killed."""
    directory = Path(tempfile.mkdtemp(prefix="sampan-user-", dir="/tmp"))
    directory.chmod(0o711)
    name = f"sampan-{directory.name.rpartition('-')[2].replace('_', '-').lower()}"
    home = directory / "home"
    subprocess.run(["useradd", "--create-home", "--home-dir", home, "--shell", "/bin/sh", name], check=True)
    person = None
    try:
        person = Person(name, directory)
        yield person
        ends = time.monotonic() + _END_SECONDS
        while (left := person.processes()) and time.monotonic() < ends:
            time.sleep(0.05)
        assert left == [], f"processes of {name} are left: {left}"
        mounts = Path("/proc/self/mountinfo").read_text()
        assert str(directory) not in mounts, "a mount of the user's is left"
    finally:
        for process in person.processes() if person is not None else ():
            try:
                os.kill(int(process.split()[0]), 9)
            except ProcessLookupError:
                continue
        subprocess.run(["userdel", name], check=True, capture_output=True)
        if not os.environ.get("SAMPAN_TEST_KEEP"):
            shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def delegated(person: Person) -> Iterator[None]:
    """A control group of the v2 tree given to the user, as systemd does (Delegate=): the directory and its doors."""
    tree = next(
        line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup2 " in line
    )
    group = Path(tree, person.name)
    group.mkdir()
    try:
        for path in (group, *(group / f"cgroup.{door}" for door in ("procs", "threads", "subtree_control"))):
            os.chown(path, person.uid, person.gid)
        person.group = group
        yield
    finally:
        person.group = None
        eventually(lambda: "populated 0" in (group / "cgroup.events").read_text(), "the user's group is not empty")
        for below in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
            below.rmdir()
        group.rmdir()


@contextmanager
def lodging(*flags: str, delegates: bool = False) -> Iterator[Lodging]:
    """A user with a running engine, busybox loaded, all of it ended by `sampan rootless stop`."""
    with ordinary_user() as person, delegated(person) if delegates else nullcontext():
        engine = Lodging(person)
        started = person.sampan("rootless", "setup", "--quiet", *flags)
        try:
            assert started.code == 0, (started, engine.log_tail())
            engine.load_busybox()
            yield engine
            engine.remove_containers()
        finally:
            stopped = person.sampan("rootless", "stop")
        assert stopped.code == 0, stopped
