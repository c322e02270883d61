"""Security corpus, section A: what a container finds of the engine: its executable, descriptors, sockets, environment."""

import ast
import contextlib
import hashlib
import http.client
import os
import re
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.archives import PATH, Layer
from tests.daemons import SOURCE, Sampan
from tests.processes import holding_sockets_below
from tests.requires import requires
from tests.security.hostile import Canary, load, refused, refused_or, run
from tests.waiting import eventually, within

pytestmark = requires("root", "busybox", "docker-client")


def loaded_files() -> dict[str, str]:
    """The interpreter and everything that is mapped into it: digests by path."""
    mapped = {
        line.split(None, 5)[5]
        for line in Path("/proc/self/maps").read_text().splitlines()
        if len(line.split(None, 5)) == 6
    }
    paths = {path for path in mapped if path.startswith("/")} | {os.path.realpath(sys.executable)}
    return {path: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in sorted(paths) if Path(path).is_file()}


# CVE-2019-5736: the executable of what enters a container

# Looks at each process that appears: what its executable is, and whether it can be opened for writing. Nothing is written:
# notrunc opens without truncating, and not a byte is copied.
WATCH = r"""
while [ ! -e /stop ]; do
  for p in /proc/[0-9]*; do
    e=$(readlink $p/exe 2>/dev/null) || continue
    case "$e" in /bin/busybox) continue;; esac
    if dd if=/dev/null of=$p/exe bs=1 count=0 conv=notrunc 2>/dev/null; then echo "OPENED $e"; else echo "closed $e"; fi
  done
done
"""


@pytest.mark.parametrize(
    "more", [(), ("--cap-add", "SYS_PTRACE"), ("--privileged",)], ids=["default", "ptrace", "privileged"]
)
def test_sec_cve_2019_5736_watch(engine: Sampan, more: tuple[str, ...]) -> None:
    before = loaded_files()
    started = engine.docker("run", "-d", "--network", "none", *more, "busybox", "sh", "-c", WATCH)
    assert started.code == 0, started
    for _ in range(40):
        assert engine.inside(started.text, "true").code == 0
    engine.inside(started.text, "touch", "/stop")
    engine.docker("wait", started.text)
    seen = engine.docker("logs", started.text).text.splitlines()
    assert [line for line in seen if line.startswith("OPENED")] == []
    assert loaded_files() == before


@pytest.mark.parametrize("entry", [["/proc/self/exe"], ["/proc/1/exe"], ["/script"], ["/link"], ["/proc/self/fd/3"]])
def test_sec_cve_2019_5736_entrypoint(engine: Sampan, entry: list[str]) -> None:
    """The engine's own interpreter cannot be had as the program of a container."""

    def build(layer: Layer) -> None:
        layer.file("script", b"#!/proc/self/exe -c import os;print('python',os.getpid())\n", 0o755)
        layer.symlink("link", "/proc/self/exe")

    before = loaded_files()
    tag = load(engine, "sec-self", build, {"Entrypoint": [*entry], "Cmd": ["-c", "print('python')"], "Env": [PATH]})
    outcome = run(engine, tag)
    assert outcome.code != 0, outcome
    assert b"python" not in outcome.out
    # The image of the machine itself has all that the interpreter needs.
    hosts = run(engine, "--entrypoint", "/proc/self/exe", "host", "-c", "print('python')")
    assert hosts.code != 0, hosts
    assert b"python\n" not in hosts.out
    sleeper = engine.docker("run", "-d", "--network", "none", "--entrypoint", "sleep", tag, "600").text
    inside = engine.docker("exec", sleeper, *entry, "-c", "print('python')")
    assert inside.code != 0, inside
    assert b"python" not in inside.out
    assert loaded_files() == before


# CVE-2024-21626: working directories and descriptors that lead out


@pytest.fixture(scope="module")
def sleeper(engine: Sampan) -> str:
    started = engine.docker("run", "-d", "--network", "none", "busybox", "sleep", "600")
    assert started.code == 0, started
    return started.text


@pytest.mark.parametrize("number", [*range(3, 24), 31, 63])
def test_sec_cve_2024_21626_run(engine: Sampan, number: int) -> None:
    outcome = run(engine, "-w", f"/proc/self/fd/{number}", "busybox", "sh", "-c", "pwd")
    assert refused(outcome), outcome


@pytest.mark.parametrize(
    "where",
    [f"/proc/self/fd/{number}" for number in (3, 5, 7, 8, 9, 11, 15, 23)]
    + ["/proc/1/cwd/../x", "/proc/1/root/proc/self/fd/7"],
)
def test_sec_cve_2024_21626_exec(engine: Sampan, sleeper: str, where: str) -> None:
    outcome = engine.docker("exec", "-w", where, sleeper, "sh", "-c", "pwd")
    assert refused(outcome), outcome


@pytest.mark.parametrize(
    "path", ["/proc/self/fd/7/../../../bin/sh", "/proc/self/fd/8", "/proc/self/cwd/../../bin/bash"]
)
def test_sec_cve_2024_21626_program(engine: Sampan, sleeper: str, path: str) -> None:
    for outcome in (engine.docker("exec", sleeper, path, "-c", "id"), run(engine, "busybox", path, "-c", "id")):
        assert refused(outcome), outcome


@pytest.mark.parametrize("terminal", [(), ("-t",), ("-i",)])
def test_sec_cve_2024_21626_descriptors(engine: Sampan, sleeper: str, terminal: tuple[str, ...]) -> None:
    """A program starts with its three descriptors and no other; `ls` opens the fourth itself."""
    for outcome in (
        run(engine, *terminal, "busybox", "ls", "/proc/self/fd"),
        engine.docker("exec", *terminal, sleeper, "ls", "/proc/self/fd"),
    ):
        assert outcome.text.split() == ["0", "1", "2", "3"], outcome


def test_sec_cve_2024_21626_the_working_directory_is_inside(engine: Sampan, sleeper: str) -> None:
    script = "[ $(stat -c %d:%i /) = $(stat -c %d:%i $PWD) ] && echo inside"
    assert run(engine, "busybox", "sh", "-c", script).text == "inside"
    assert engine.docker("exec", sleeper, "sh", "-c", script).text == "inside"


# CVE-2016-9962: what enters a running container can be looked into before it runs the user's program

# A process that has reached the user's program by the time it was read is left out: that program stays to the end.
PEEK = r"""
while [ ! -e /stop ]; do
  for p in /proc/[0-9]*; do
    [ "$(readlink $p/exe 2>/dev/null)" = /bin/busybox ] && continue
    seen=$(
      for f in $p/fd/* $p/cwd $p/root; do t=$(readlink $f 2>/dev/null) && echo "$f $t"; done
      tr '\0' '\n' < $p/environ 2>/dev/null | sed 's/^/ENV /'
      dd if=$p/mem bs=1 count=0 2>/dev/null && echo "MEM $p"
    )
    [ "$(readlink $p/exe 2>/dev/null)" = /bin/busybox ] || [ -z "$seen" ] || echo "$seen"
  done
done
"""


def test_sec_cve_2016_9962(engine: Sampan) -> None:
    started = engine.docker("run", "-d", "--network", "none", "busybox", "sh", "-c", PEEK)
    for _ in range(25):
        assert engine.docker("exec", "-d", started.text, "sleep", "600").code == 0
    time.sleep(0.3)
    seen = engine.docker("logs", started.text).text.splitlines()
    # The watcher's own children can be looked into while they end, when they have no executable any more.
    own = re.compile(r"/proc/\d+/(fd/\d+ (/dev/null|pipe:\[\d+\])|cwd /|root /)")
    assert [line for line in seen if not own.fullmatch(line)] == []


def test_sec_cve_2016_9962_with_ptrace_nothing_of_the_host_is_held(engine: Sampan) -> None:
    """With CAP_SYS_PTRACE a process of another program can be read: then it must hold no directory of the host."""
    started = engine.docker("run", "-d", "--network", "none", "--cap-add", "SYS_PTRACE", "busybox", "sh", "-c", PEEK)
    for _ in range(25):
        assert engine.docker("exec", "-d", started.text, "sleep", "600").code == 0
    time.sleep(0.3)
    seen = set(engine.docker("logs", started.text).text.splitlines())
    targets = {line.split(" ", 1)[1] for line in seen if line.startswith("/proc/")}
    held = {
        target for target in targets if target.startswith("/") and not target.startswith(("/dev/", "/memfd:", "/proc"))
    }
    assert held <= {"/"}, held
    assert not [line for line in seen if line.startswith("ENV ") and str(engine.directory) in line]


# Whoever has CAP_SYS_PTRACE may drive any process that he sees: none may have more than he has.

STATUS = r"""
while [ ! -e /stop ]; do
  for p in /proc/[0-9]*; do
    grep -hE '^(Name|CapEff|CapPrm|CapBnd|Seccomp):' $p/status 2>/dev/null | tr '\n\t' '  '
    echo
  done
done
"""


@pytest.mark.parametrize(
    "more", [("--cap-add", "SYS_PTRACE"), ("--cap-add", "SYS_PTRACE", "--init"), ()], ids=["ptrace", "init", "default"]
)
def test_no_process_in_a_container_has_more_than_the_container(engine: Sampan, more: tuple[str, ...]) -> None:
    started = engine.docker("run", "-d", "--network", "none", *more, "busybox", "sh", "-c", STATUS)
    assert started.code == 0, started
    for _ in range(40):
        assert engine.inside(started.text, "true").code == 0
    engine.inside(started.text, "touch", "/stop")
    engine.docker("wait", started.text)
    seen = set(engine.docker("logs", started.text).text.splitlines())
    allowed = 0xA80425FB | (1 << 19 if more else 0)
    too_much = []
    for line in seen:
        fields = dict(re.findall(r"(\w+): +(\S+)", line))
        if not fields:
            continue
        if int(fields["CapEff"], 16) & ~allowed or int(fields["CapPrm"], 16) & ~allowed or fields.get("Seccomp") == "0":
            too_much.append(line)
    assert too_much == []


# CVE-2015-3627: pid 1 opens nothing by a path of the host


@pytest.mark.parametrize("name", ["etc", "dev", "proc", "sys", "tmp", "root", "var", "bin"])
def test_sec_cve_2015_3627(engine: Sampan, canary: Canary, name: str) -> None:
    tag = load(engine, f"sec-root-{name}", lambda layer: layer.symlink(name, canary.path))
    outcome = run(engine, tag, "sh", "-c", f"ls -la /{name}/; cat /{name}/secret /{name}/hosts")
    assert canary.secret.encode() not in outcome.out + outcome.err
    assert refused_or(outcome, lambda ran: ran.code != 0), outcome


# CVE-2020-15257, CVE-2022-42919: control sockets


def engine_inodes(engine: Sampan) -> set[str]:
    found = set()
    for process in holding_sockets_below(str(engine.directory)):
        for name in os.listdir(f"/proc/{process.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):  # closed since the names were read
                target = os.readlink(f"/proc/{process.pid}/fd/{name}")
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found


def test_sec_cve_2020_15257(engine: Sampan, sleeper: str) -> None:
    inodes = engine_inodes(engine)
    assert inodes
    outcome = engine.docker("run", "--rm", "--network", "host", "busybox", "cat", "/proc/net/unix")
    assert outcome.code == 0, outcome
    ours = [line.split(None, 7) for line in outcome.text.splitlines()[1:] if line.split(None, 7)[6] in inodes]
    assert ours, "the container does not see the host's sockets: nothing was tested"
    assert [line for line in ours if len(line) == 8 and line[7].startswith("@")] == []


def test_sec_cve_2020_15257_modes(engine: Sampan, sleeper: str) -> None:
    eventually(engine.has_no_trash, "the trash is not emptied")
    sockets = [path for root in (engine.exec_root, engine.data_root) for path in root.rglob("*") if path.is_socket()]
    assert sockets
    for path in sockets:
        # The directory that the test made is closed; those of the engine have to be so by themselves.
        ours = (
            parent for parent in path.parents if parent.is_relative_to(engine.directory) and parent != engine.directory
        )
        reachable = all(parent.stat().st_mode & 0o001 for parent in ours)
        assert not reachable or not path.stat().st_mode & 0o006, path


def test_sec_cve_2022_42919_no_module_that_runs_what_it_reads() -> None:
    banned = {"multiprocessing", "pickle", "marshal", "shelve", "_pickle", "dbm"}
    found = []
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            found += [f"{file.name}: {name}" for name in names if name.split(".")[0] in banned]
    assert found == []


# CVE-2025-9074, CVE-2021-4024: the API from inside a container


def listening_ports() -> set[int]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                found.add(int(fields[1].rsplit(":", 1)[1], 16))
    return found


@requires("bridge", "veth", "nftables")
def test_sec_cve_2025_9074(engine: Sampan) -> None:
    ports = " ".join(str(port) for port in sorted(listening_ports() | {2375, 2376, 80, 443, 8080}))
    script = f"""
    g=$(ip route | awk '/default/ {{print $3}}'); echo "gateway $g"
    for p in {ports}; do for a in $g 127.0.0.1; do
      printf 'GET /_ping HTTP/1.0\r\nHost: localhost\r\n\r\n' | nc -w 1 $a $p 2>/dev/null | grep -q ^OK && echo "ANSWERED $a:$p"
    done; done; true
    """
    outcome = engine.docker("run", "--rm", "busybox", "sh", "-c", script, timeout=120)
    assert outcome.code == 0, outcome
    assert re.search(r"gateway \d", outcome.text), outcome
    assert "ANSWERED" not in outcome.text


# CVE-2022-1227: `top` runs nothing of the image


def test_sec_cve_2022_1227(engine: Sampan) -> None:
    def build(layer: Layer) -> None:
        for name in ("ps", "nsenter", "id"):
            layer.symlink(f"bin/{name}", "/evil")
            layer.file(f"usr/bin/{name}", b"#!/bin/sh\ntouch /marker\n", 0o755)
        layer.file("evil", b"#!/bin/sh\ntouch /marker\n", 0o755)
        layer.file("etc/ld.so.preload", b"/evil.so\n")

    tag = load(engine, "sec-top", build)
    started = engine.docker("run", "-d", "--network", "none", tag, "sleep", "600").text
    answer = engine.api("GET", f"/containers/{started}/top")
    assert answer.status in (200, 501), answer
    if answer.status == 200:
        assert b"sleep" in answer.body
    assert engine.docker("exec", started, "ls", "/marker").code != 0


# CVE-2025-23266, CVE-2024-0132: the image's environment reaches no process of the engine's

MARK = "sampan-hostile-environment"


@pytest.fixture
def hostile(engine: Sampan, canary: Canary) -> str:
    environment = {
        "LD_PRELOAD": "/evil.so",
        "LD_LIBRARY_PATH": "/evil",
        "LD_AUDIT": "/evil.so",
        "PYTHONPATH": "/evil",
        "PYTHONHOME": "/evil",
        "PYTHONSTARTUP": "/evil.py",
        "PYTHONINSPECT": "1",
        "BASH_ENV": "/evil.sh",
        "ENV": "/evil.sh",
        "GCONV_PATH": "/evil",
        "NLSPATH": "/evil",
        "HOSTALIASES": f"{canary.path}/secret",
        "SAMPAN_CRASH_AT": "everything",
        "NOTIFY_SOCKET": f"{canary.path}/socket",
        "LISTEN_FDS": "9",
        "MARK": MARK,
    }
    payload = f"touch {canary.path}/escaped /escaped\n".encode()

    def build(layer: Layer) -> None:
        layer.file("evil.so", b"not a library", 0o755)
        layer.file("evil.sh", b"", 0o755)
        for name in ("evil/encodings/__init__.py", "evil/sitecustomize.py", "evil/os.py", "evil.py"):
            layer.file(name, b"import os; os.system(" + repr(payload.decode()).encode() + b")\n")
        layer.file("usr/lib/python3/sitecustomize.py", b"raise SystemExit(3)\n")

    return load(engine, "sec-env", build, {"Env": [PATH, *(f"{key}={value}" for key, value in environment.items())]})


def test_sec_cve_2025_23266(engine: Sampan, hostile: str) -> None:
    started = engine.docker("run", "-d", "--network", "none", "--init", hostile, "sleep", "600")
    assert started.code == 0, started
    assert engine.docker("exec", started.text, "sh", "-c", "echo $MARK").text == MARK
    seen: list[str] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for process in holding_sockets_below(str(engine.directory)):
                try:
                    if MARK.encode() in Path(f"/proc/{process.pid}/environ").read_bytes():
                        seen.append(process.title)
                except OSError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(10):
            assert engine.docker("exec", started.text, "true").code == 0
            assert run(engine, hostile, "true").code == 0
    finally:
        done.set()
        watcher.join()
    assert seen == []
    assert engine.docker("exec", started.text, "ls", "/escaped").code != 0


# The engine's processes are not to be looked into


def test_a_container_cannot_signal_or_see_the_engine(engine: Sampan, sleeper: str) -> None:
    outcome = engine.docker(
        "exec", sleeper, "sh", "-c", "ls -d /proc/[0-9]* | wc -l; cat /proc/1/cmdline | tr '\\0' ' '"
    )
    count, command = outcome.text.splitlines()
    assert int(count) <= 4
    assert command.strip() == "sleep 600"


def test_the_session_keyring_is_not_the_engines(engine: Sampan) -> None:
    """CVE-2016 and later: keys of the host's session must not be inherited (two containers have two keyrings)."""
    script = "cat /proc/keys | wc -l"
    assert run(engine, "busybox", "sh", "-c", script).text == "0"


def test_the_daemon_still_answers(engine: Sampan) -> None:
    with within(2):
        assert engine.api("GET", "/_ping").status == http.client.OK
