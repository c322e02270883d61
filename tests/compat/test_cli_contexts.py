"""Contexts by `docker` and by `sampan`, each with a configuration of its own: the same is said, and the same files are left."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.api.certificates import make_certificate
from tests.daemons import Outcome, entry_point, scrubbed_environment
from tests.requires import requires

pytestmark = requires("docker-client:28")

FAR = "host=tcp://192.0.2.1:2376"
LINES = f"""
context ls -q
context show
context inspect -f {{{{.Name}}}}
context create far --docker {FAR},skip-tls-verify=true --description somewhere
context create far --docker {FAR}
context create sure --docker {FAR},ca=ca.pem,cert=cert.pem,key=key.pem
context create half --docker ca=ca.pem
context create x --docker {FAR}
context create a/b --docker {FAR}
context create default --docker {FAR}
context create wrong --docker foo=bar
context create wrong --docker {FAR},skip-tls-verify=maybe
context create wrong --docker host
context create wrong --docker {FAR},ca=/nosuch
context create wrong --docker {FAR},ca=text
context create wrong --docker {FAR},cert=cert.pem,key=text
context create wrong --docker {FAR},cert=cert.pem
context create wrong --docker {FAR} --from far
context create wrong --from nosuch
context create copied --from far
context create retold --from far --description again
context create
-H unix:///x context create here
-H unix:///x context ls
-H unix:///x context ls --format json
-H unix:///x context ls --format {{{{.Name}}}}={{{{.Current}}}}
-H unix:///x context ls --format {{{{.Foo}}}}
context use far
context show
-c copied context show
-c nosuch context show
context use nosuch
context use a/b
-c nosuch context ls -q
context inspect
context inspect far nosuch sure
context inspect half
context inspect nosuch
context inspect -f {{{{.Endpoints.docker.Host}}}} far sure
context inspect -f {{{{.Name far
context update far --description elsewhere
context update far --docker host=unix:///near
context update far
context update nosuch
context update default --description x
context update retold --docker foo=bar
context inspect far
context inspect copied
context rm far
context rm nosuch
context rm default
context rm copied far retold
context export sure
context export sure
context export far far.tar
context export nosuch other.tar
context import again sure.dockercontext
context import again sure.dockercontext
context import default sure.dockercontext
context import more /nosuch
context import more
context inspect again
context import near far.tar
context rm -f far
context show
context rm -f far
context use near
context use default
-H unix:///x context ls
""".strip().splitlines()


class Client:
    """One of the two commands, in a directory that the other does not see."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.directory = directory
        directory.mkdir()
        made = directory.parent / "made"
        for file in ("ca.pem", "cert.pem", "key.pem"):
            (directory / file).write_bytes((made / file).read_bytes())
        (directory / "text").write_text("no such thing\n")

    def say(self, line: str, environment: dict[str, str] | None = None) -> tuple[int, list[str], list[str]]:
        """Code and lines, with what is each client's own taken out."""
        done = self.run(line, environment=environment)
        return done.code, self._plain(done.out), self._plain(done.err)

    def run(self, line: str, stdin: bytes = b"", environment: dict[str, str] | None = None) -> Outcome:
        """The line, run."""
        command = entry_point("sampan") if self.name == "sampan" else ["docker"]
        whole = {**scrubbed_environment(), "DOCKER_CONFIG": f"{self.directory}/config", **(environment or {})}
        done = subprocess.run(
            [*command, *line.split()], input=stdin, capture_output=True, timeout=60, env=whole, cwd=self.directory
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def _plain(self, text: bytes) -> list[str]:
        said = text.decode().replace(str(self.directory), "DIRECTORY").replace("unix:///run/sampan/sampan.sock", "OWN")
        said = said.replace("unix:///var/run/docker.sock", "OWN")
        return re.sub(rf"(^|'|  ){self.name}(?=:| )", r"\1PROGRAM", said, flags=re.MULTILINE).split("\n")

    def files(self) -> dict[str, tuple[int, bytes]]:
        """What is below the configuration, contents and modes."""
        root = self.directory / "config" / "contexts"
        return {
            str(path.relative_to(root)): (path.stat().st_mode & 0o777, b"" if path.is_dir() else path.read_bytes())
            for path in sorted(root.rglob("*"))
        }


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Client, Client]:
    place = tmp_path_factory.mktemp("clients")
    (place / "made").mkdir()
    make_certificate(place / "made")
    return Client("docker", place / "theirs"), Client("sampan", place / "ours")


@pytest.mark.parametrize("number", range(len(LINES)), ids=lambda number: f"{number:02}")
def test_both_say_and_leave_the_same(both: tuple[Client, Client], number: int) -> None:
    """In this order: each line finds what those before it left."""
    theirs, ours = (client.say(LINES[number]) for client in both)
    assert ours == theirs, LINES[number]
    assert both[1].files() == both[0].files(), LINES[number]


def test_what_the_environment_names(both: tuple[Client, Client]) -> None:
    for client in both:
        assert client.run("context create other --docker host=unix:///other").code == 0
    for line in (
        "-H unix:///x context ls",
        "context use other",
        "context use default",
        "context show",
        "context inspect default",
    ):
        for environment in ({"DOCKER_HOST": "unix:///there"}, {"DOCKER_CONTEXT": "other"}):
            theirs, ours = (client.say(line, environment=environment) for client in both)
            assert ours == theirs, (line, environment)


def test_one_reads_what_the_other_exports(both: tuple[Client, Client]) -> None:
    for number, (client, other) in enumerate((both, reversed(both))):
        exported = client.run("context export sure -")
        assert exported.code == 0, exported
        imported = other.run(f"context import brought{number} -", exported.out)
        assert imported.text == f"brought{number}", imported
        shown = (each.run(f"context inspect -f {{{{.TLSMaterial}}}}{{{{.Endpoints.docker.Host}}}} {name}") for each, name in (
            (client, "sure"), (other, f"brought{number}"),
        ))  # fmt: skip
        assert next(shown) == next(shown)
