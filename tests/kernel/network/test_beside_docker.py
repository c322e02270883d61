"""Debian's dockerd and Sampan's networks on one host (a network namespace of the test's own), in either order."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from sampan.network.networks import Networks
from tests.daemons import Docker
from tests.kernel.network.lab import BRIEF, HOST, NEIGHBOUR, Container, Lab, Namespace, listening, tcp_reaches
from tests.requires import requires

pytestmark = requires("root", "netns", "veth", "bridge", "nftables", "dockerd", "docker-client", "busybox", "ip")


class DockerHere(Docker):
    """In the network namespace the test stands in, instead of one of its own."""

    def command(self) -> list[str]:
        words = super().command()
        words.remove("--net")
        return words


@contextmanager
def running_docker() -> Iterator[DockerHere]:
    docker = DockerHere()
    try:
        docker.start()
        docker.load_busybox()
        yield docker
    finally:
        docker.remove()


@contextmanager
def docker_container(docker: DockerHere, *flags: str) -> Iterator[tuple[Namespace, str]]:
    """A container of Docker's: its network namespace and its address."""
    started = docker.docker("run", "-d", "--rm", *flags, "busybox", "sleep", "300")
    assert started.code == 0, started
    name = started.out.decode().strip()
    shown = docker.docker("inspect", "-f", "{{.State.Pid}} {{.NetworkSettings.IPAddress}}", name).out.decode()
    pid, address = shown.split()
    namespace = Namespace(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC))
    try:
        yield namespace, address
    finally:
        os.close(namespace.descriptor)
        docker.docker("rm", "-f", name)


def check_both_work(lab: Lab, networks: Networks, docker: DockerHere) -> None:
    ours = Container(networks)
    ours.publish(tcp80="0.0.0.0:8080")
    with docker_container(docker, "-p", "9090:80") as (theirs, address):
        web, unpublished = listening(ours.namespace, 80), listening(ours.namespace, 81)
        their_web, their_unpublished = listening(theirs, 80), listening(theirs, 81)
        outside = listening(lab.neighbour, 7000)
        # Each reaches the world and is reached.
        assert tcp_reaches(ours.namespace, (NEIGHBOUR, 7000), outside) == HOST
        assert tcp_reaches(theirs, (NEIGHBOUR, 7000), outside) == HOST
        assert tcp_reaches(lab.neighbour, (HOST, 8080), web) == NEIGHBOUR
        assert tcp_reaches(lab.neighbour, (HOST, 9090), their_web) == NEIGHBOUR
        assert tcp_reaches(lab.host, ("127.0.0.1", 8080), web) is not None
        # By the published ports they reach each other, past them they do not.
        assert tcp_reaches(theirs, (HOST, 8080), web) is not None
        assert tcp_reaches(ours.namespace, (HOST, 9090), their_web) is not None
        assert tcp_reaches(theirs, (ours.address, 81), unpublished, patience=BRIEF) is None
        # Docker 20.10 closes its own by the policy DROP, which it sets only where it switched forwarding on.
        policy = subprocess.run(["iptables", "-S", "FORWARD"], check=True, capture_output=True, text=True).stdout
        closed = "-P FORWARD DROP" in policy
        assert (tcp_reaches(ours.namespace, (address, 81), their_unpublished, patience=BRIEF) is None) == closed
        assert tcp_reaches(lab.neighbour, (ours.address, 81), unpublished, patience=BRIEF) is None
    ours.end()


def iptables() -> str:
    return "".join(
        subprocess.run(["iptables-save", "-t", table], check=True, capture_output=True, text=True).stdout
        for table in ("filter", "nat")
    )


def without_counters(saved: str) -> list[str]:
    return [line for line in saved.splitlines() if not line.startswith(("#", ":"))]


def forwarding_off() -> None:
    with open("/proc/sys/net/ipv4/ip_forward", "w") as file:
        file.write("0")


def test_docker_first(lab: Lab) -> None:
    forwarding_off()
    with running_docker() as docker:
        assert ":FORWARD DROP" in iptables()
        before = without_counters(iptables())
        networks = lab.open()
        check_both_work(lab, networks, docker)
        networks.close(remove=True)
        assert without_counters(iptables()) == before
        with docker_container(docker) as (theirs, _):
            assert tcp_reaches(theirs, (NEIGHBOUR, 7001), listening(lab.neighbour, 7001)) == HOST


def test_sampan_first(lab: Lab) -> None:
    networks = lab.open()
    early = Container(networks)
    with running_docker() as docker:
        subprocess.run(["iptables", "-P", "FORWARD", "DROP"], check=True)
        networks.restore()  # the daemon hears of it by an event
        outside = listening(lab.neighbour, 7001)
        assert tcp_reaches(early.namespace, (NEIGHBOUR, 7001), outside) == HOST
        check_both_work(lab, networks, docker)
        early.end()
        networks.close(remove=True)


def test_forwarding_that_we_switched_on_serves_docker_too(lab: Lab) -> None:
    forwarding_off()
    networks = lab.open()
    with running_docker() as docker:
        networks.restore()
        check_both_work(lab, networks, docker)
        networks.close(remove=True)
        with docker_container(docker) as (theirs, _):
            assert tcp_reaches(theirs, (NEIGHBOUR, 7001), listening(lab.neighbour, 7001)) == HOST
