"""`sampan-oci` under Debian's dockerd with `userns-remap`, beside runc: user namespaces as Docker writes them in bundles."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.test_oci_docker import LIVES
from tests.daemons import Docker, entry_point
from tests.requires import requires
from tests.user_namespaces import FIRST, uid_map, within

pytestmark = requires("root", "docker-client", "dockerd", "runc", "busybox", "userns")

REFUSED = "--pid"
"""Docker itself refuses the host's pid namespace then."""
ONLY_HERE = "--device"
"""runc 1.1 makes no node that it has to bind, because the place is not there; here it is made by the host's root."""


class RemappedDocker(Docker):
    """dockerd that sees subordinate ranges of this test's."""

    def command(self) -> list[str]:
        return [*within(self.directory, f"daemon:{FIRST}:65536\n"), *super().command()]


@pytest.fixture(scope="module")
def docker() -> Iterator[Docker]:
    made = RemappedDocker()
    # The mapped root walks there.
    made.directory.chmod(0o711)
    try:
        made.start("--add-runtime", f"sampan={entry_point('sampan-oci')[0]}", "--userns-remap", "daemon:daemon")
        made.load_busybox()
        yield made
    finally:
        made.remove()


@pytest.mark.parametrize("words", LIVES, ids=lambda words: " ".join(words[2:])[:60])
def test_lives_end_as_with_runc(docker: Docker, words: list[str]) -> None:
    ours = docker.docker(words[0], "--runtime", "sampan", *words[1:])
    theirs = docker.docker(*words)
    if REFUSED in words or ONLY_HERE in words:
        assert ours.code == (125 if REFUSED in words else 0), ours
        return
    assert (ours.code, ours.out) == (theirs.code, theirs.out), (ours, theirs)


def test_who_it_is_on_the_host(docker: Docker) -> None:
    made = docker.docker("run", "-d", "--runtime", "sampan", "--name", "long", "busybox", "sleep", "1000")
    assert made.code == 0, made
    try:
        pid = int(docker.docker("inspect", "-f", "{{.State.Pid}}", "long").out)
        assert uid_map(pid) == [(0, FIRST, 65536)]
        assert Path(f"/proc/{pid}").stat().st_uid == FIRST
        assert docker.docker("exec", "-u", "5", "long", "id", "-u").out == b"5\n"
        assert docker.docker("exec", "-t", "long", "tty").out == b"/dev/pts/0\r\n"
        assert docker.docker("exec", "long", "sh", "-c", "echo x > /made && stat -c %u /made").out == b"0\n"
        for words in (["pause"], ["unpause"], ["restart", "-t", "0"], ["stop", "-t", "0"]):
            done = docker.docker(*words, "long")
            assert done.code == 0, (words, done)
    finally:
        assert docker.docker("rm", "-f", "long").code == 0
