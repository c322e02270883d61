"""The real ufw and firewalld in a test's network namespace, each with configuration and run-time files of its own."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from sampan.network.networks import Networks
from tests.kernel.network.lab import (
    BRIEF,
    HOST,
    HOST6,
    NEIGHBOUR,
    NEIGHBOUR6,
    Container,
    Lab,
    Namespace,
    listening,
    tcp_reaches,
    udp_reaches,
)
from tests.waiting import eventually

COPY = "sampan-0123456789ab-host"
"""The copy of the host's input rules."""

_ETC_UFW, _DEFAULT_UFW, _ETC_FIREWALLD = Path("/etc/ufw"), Path("/etc/default/ufw"), Path("/etc/firewalld")
_UFW = 'mount --bind "$1/etc" /etc/ufw; mount --bind "$1/default" /etc/default/ufw; mount -t tmpfs none /run; shift; exec ufw "$@"'
_FIREWALLD = """
mount --bind "$1/etc" /etc/firewalld
mount --bind "$1/run" /run
dbus-daemon --system --nofork --nopidfile --nosyslog &
until [ -S /run/dbus/system_bus_socket ]; do sleep 0.02; done
exec firewalld --nofork --nopid
"""


class Ufw:
    """`ufw`, as Debian and Ubuntu set it up: nothing comes in that is not allowed, nothing is forwarded."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="sampan-ufw-"))
        shutil.copytree(_ETC_UFW, self._directory / "etc", symlinks=True)
        shutil.copy(_DEFAULT_UFW, self._directory / "default")
        # The host's, which may be in use.
        for pristine in Path("/usr/share/ufw/iptables").iterdir():
            shutil.copy(pristine, self._directory / "etc" / pristine.name)

    def __call__(self, *words: str) -> str:
        """One command; the thread's network namespace is the host."""
        done = subprocess.run(
            ["unshare", "-m", "sh", "-e", "-c", _UFW, "sh", str(self._directory), *words],
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        assert done.returncode == 0, done
        return done.stdout

    def close(self) -> None:
        shutil.rmtree(self._directory)


class Firewalld:
    """The daemon with a system bus of its own."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="sampan-firewalld-"))
        shutil.copytree(_ETC_FIREWALLD, self._directory / "etc")
        (self._directory / "run" / "dbus").mkdir(parents=True)
        (self._directory / "run" / "firewalld").mkdir()
        self._environment = {
            **os.environ,
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self._directory}/run/dbus/system_bus_socket",
        }
        self._log = (self._directory / "log").open("wb")
        # A process namespace: with its first process the bus goes as well.
        self._process = subprocess.Popen(
            [
                "unshare",
                "-m",
                "-p",
                "--fork",
                "--kill-child",
                "--mount-proc",
                "sh",
                "-e",
                "-c",
                _FIREWALLD,
                "sh",
                str(self._directory),
            ],
            stdout=self._log,
            stderr=self._log,
            env={**self._environment, "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/run/dbus/system_bus_socket"},
        )
        eventually(lambda: self._run("--state").returncode == 0, seconds=60)

    def _run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(["firewall-cmd", *words], capture_output=True, text=True, env=self._environment)

    def __call__(self, *words: str) -> str:
        done = self._run(*words)
        assert done.returncode == 0, (done, (self._directory / "log").read_text())
        return done.stdout

    def close(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._log.close()
        shutil.rmtree(self._directory)


class Web:
    """A container with a server on 80, published on 8080."""

    def __init__(self, lab: Lab, networks: Networks) -> None:
        self.lab = lab
        self.container = Container(networks)
        self.namespace = self.container.namespace
        self.server, self.server6 = listening(self.namespace, 80), listening(self.namespace, 80, "::")
        self.container.publish(tcp80=":8080")

    def reached(self, address: str = HOST) -> str | None:
        """Who the container sees when the neighbour calls the published port."""
        return self._reached(address, 4)

    def is_closed(self, address: str = HOST) -> bool:
        """Whether the neighbour does not come through."""
        return self._reached(address, BRIEF) is None

    def _reached(self, address: str, patience: float) -> str | None:
        server = self.server6 if ":" in address else self.server
        return tcp_reaches(self.lab.neighbour, (address, 8080), server, patience=patience)


class Outside:
    """The neighbour's servers, which containers call."""

    def __init__(self, lab: Lab) -> None:
        self.server, self.server6 = listening(lab.neighbour, 7000), listening(lab.neighbour, 7000, "::")
        self.names = lab.neighbour.socket(socket.SOCK_DGRAM, "", 7053)

    def reached(self, inside: Namespace) -> bool:
        """By TCP and by datagrams, in both families."""
        return (
            tcp_reaches(inside, (NEIGHBOUR, 7000), self.server) == HOST
            and tcp_reaches(inside, (NEIGHBOUR6, 7000), self.server6) == HOST6
            and udp_reaches(inside, (NEIGHBOUR, 7053), self.names) == HOST
        )


def nft(*words: str, text: str | None = None) -> str:
    """What `nft` says."""
    done = subprocess.run(["nft", *words], check=True, capture_output=True, text=True, input=text)
    return done.stdout
