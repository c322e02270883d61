"""The whole command against a daemon that follows a script: what is sent, what is written, how it ends."""

import io
import json
import os
import re
import socket
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.build.progress import Line, LogEvent, Number, OutputEvent, ResultEvent, VertexEvent, wire
from sampan.cli.main import run_command

IDENTIFIER = "sha256:" + "a" * 64
ONE = Number(1)


class Scripted:
    """Answers `_ping`, then one build with `lines` (or `status`). `path`, `headers` and `body` are what was asked."""

    def __init__(self, directory: Path) -> None:
        self.path = ""
        self.headers: dict[str, str] = {}
        self.body = b""
        self.lines: list[bytes] = []
        self.status = "200 OK"
        self.server = "Sampan/1.0"
        self.address = directory / "daemon.sock"
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.address))
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listening.accept()
            with connection, connection.makefile("rb") as file:
                line = file.readline()
                if line == b"end\r\n":
                    return
                self._answer(line, file, connection)

    def _answer(self, line: bytes, file: io.BufferedReader, connection: socket.socket) -> None:
        headers = {}
        while (one := file.readline().strip()) != b"":
            name, _, value = one.decode().partition(": ")
            headers[name.lower()] = value
        if line.startswith(b"HEAD"):
            more = f"Api-Version: 1.51\r\nServer: {self.server}\r\nConnection: close"
            connection.sendall(f"HTTP/1.1 200 OK\r\n{more}\r\n\r\n".encode())
            return
        self.path, self.headers = line.decode().split()[1], headers
        while size := int(file.readline(), 16):
            self.body += file.read(size)
            file.readline()
        file.readline()
        content = b"".join(self.lines)
        more = f"Content-Type: application/json\r\nConnection: close\r\nContent-Length: {len(content)}"
        head = f"HTTP/1.1 {self.status}\r\n{more}\r\n\r\n"
        connection.sendall(head.encode() + content)

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX) as end:
            end.connect(str(self.address))
            end.sendall(b"end\r\n")
            self._thread.join()
        self._listening.close()

    def tells(self, *events: Line) -> None:
        self.lines += [wire(event) for event in events]

    def made(self) -> None:
        self.lines.append(json.dumps({"aux": {"ID": IDENTIFIER}}).encode() + b"\r\n")

    @property
    def names(self) -> list[str]:
        with tarfile.open(fileobj=io.BytesIO(self.body)) as archive:
            return archive.getnames()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Scripted]:
    scripted = Scripted(tmp_path)
    yield scripted
    scripted.close()


@pytest.fixture
def context(tmp_path: Path) -> Path:
    directory = tmp_path / "context"
    directory.mkdir()
    (directory / "Dockerfile").write_text("FROM busybox\nRUN false\n")
    return directory


def run(daemon: Scripted, *words: str) -> int:
    environ = {"HOME": "/nowhere", "DOCKER_HOST": f"unix://{daemon.address}", "TERM": "dumb"}
    return run_command(["build", *words], environ)


def test_a_build(daemon: Scripted, context: Path, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.tells(
        VertexEvent(vertex=ONE, name="[1/2] FROM busybox", started=1, completed=1, cached=True),
    )
    daemon.made()
    assert run(daemon, "-t", "web", str(context)) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert re.sub(r"\d\.\ds", "T", err) == (
        "#1 [internal] transferring context\n#1 transferring context: 2.05kB T done\n#1 DONE T\n"
        "\n#2 [1/2] FROM busybox\n#2 CACHED\n"
    )
    assert daemon.path.startswith("/v1.51/build?t=web&")
    assert daemon.headers["content-type"] == "application/x-tar"
    assert daemon.names == ["Dockerfile"]


def test_quiet_prints_the_id(daemon: Scripted, context: Path, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.made()
    assert run(daemon, "-q", str(context)) == 0
    assert capsys.readouterr() == (f"{IDENTIFIER}\n", "")


def test_a_step_fails(daemon: Scripted, context: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = 'process "/bin/sh -c false" did not complete successfully: exit code: 1'
    step = VertexEvent(vertex=ONE, name="[2/2] RUN false", started=10**9, line=2, end=2)
    daemon.tells(
        step,
        LogEvent(vertex=ONE, at=2 * 10**9, data=b"last words\n"),
        VertexEvent(vertex=ONE, name="[2/2] RUN false", started=10**9, completed=2 * 10**9, error=error, line=2, end=2),
    )
    daemon.lines.append(json.dumps({"errorDetail": {"message": error}, "error": error}).encode())
    assert run(daemon, str(context)) == 1
    assert capsys.readouterr().err.partition("------\n")[2] == (
        " > [2/2] RUN false:\n1.000 last words\n------\nDockerfile:2:1\n--------------------\n"
        "   1 |     FROM busybox\n   2 | >>> RUN false\n   3 |\n--------------------\n"
        f"ERROR: failed to solve: {error}\n"
    )


def test_a_wrong_dockerfile(daemon: Scripted, context: Path, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.status = "400 Bad Request"
    daemon.lines = [b'{"message":"dockerfile parse error on line 2: unknown instruction: RUM"}']
    assert run(daemon, "-q", str(context)) == 1
    err = capsys.readouterr().err
    assert "   2 | >>> RUN false\n" in err
    assert err.endswith("ERROR: failed to solve: dockerfile parse error on line 2: unknown instruction: RUM\n")


def tar_of(**files: str) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return target.getvalue()


def test_outputs_id_and_metadata(daemon: Scripted, context: Path, tmp_path: Path) -> None:
    tar = tar_of(a="one", b="two")
    daemon.tells(
        OutputEvent(output=0, data=tar[:700]), OutputEvent(output=1, data=b"first "),
        OutputEvent(output=0, data=tar[700:], last=True), OutputEvent(output=1, data=b"second", last=True),
        ResultEvent(metadata={}),
    )  # fmt: skip
    daemon.lines.append(b'{"id":"sampan.build","aux":{"type":"result","metadata":{"image.name":"web"}}}\r\n')
    daemon.made()
    words = ["-o", str(tmp_path / "out"), "-o", f"type=tar,dest={tmp_path / 'x.tar'}"]
    files = ["--iidfile", str(tmp_path / "id"), "--metadata-file", str(tmp_path / "meta.json")]
    assert run(daemon, *words, *files, str(context)) == 0
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == {"a": "one", "b": "two"}
    assert (tmp_path / "x.tar").read_bytes() == b"first second"
    assert (tmp_path / "id").read_text() == IDENTIFIER
    assert json.loads((tmp_path / "meta.json").read_text()) == {"image.name": "web"}


def test_an_output_that_breaks_off_is_not_there(
    daemon: Scripted, context: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.tells(OutputEvent(output=0, data=b"first "))
    assert run(daemon, "-o", f"type=tar,dest={tmp_path / 'x.tar'}", str(context)) == 1
    assert "the daemon sent nothing for" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if "x.tar" in path.name] == []


def test_an_output_that_leads_out(
    daemon: Scripted, context: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.tells(OutputEvent(output=0, data=tar_of(**{"../out-of-it": "x"}), last=True))
    assert run(daemon, "-o", str(tmp_path / "out"), str(context)) == 1
    assert not (tmp_path / "out-of-it").exists()


def test_an_output_that_nobody_asked_for(daemon: Scripted, context: Path, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.tells(OutputEvent(output=0, data=b"x"))
    assert run(daemon, str(context)) == 1
    assert "output 0, which was not asked for" in capsys.readouterr().err


def test_named_contexts_are_in_the_body(daemon: Scripted, context: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "x").write_text("x")
    (other / "y").write_text("y")
    (other / ".dockerignore").write_text("y\n.dockerignore")
    daemon.made()
    assert run(daemon, "--build-context", f"src={other}", str(context)) == 0
    assert daemon.names == ["context/Dockerfile", "contexts/src/x"]


def test_a_daemon_that_is_not_ours(daemon: Scripted, context: Path, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.server = "Docker/28.5.2 (linux)"
    daemon.lines = [b'{"stream":"Step 1/1 : FROM busybox"}\n', b'{"stream":"\\n"}\n']
    daemon.made()
    assert run(daemon, str(context)) == 0
    assert "progress=json" not in daemon.path
    assert capsys.readouterr().out == "Step 1/1 : FROM busybox\n"
    assert run(daemon, "--secret", f"id=x,src={context / 'Dockerfile'}", str(context)) == 1
    assert "--secret needs a Sampan daemon" in capsys.readouterr().err


def test_logins_go_along(daemon: Scripted, context: Path, tmp_path: Path) -> None:
    config = {"auths": {"registry.example": {"auth": "bWU6cGFzcw=="}, "empty.example": {}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    daemon.made()
    environ = {"DOCKER_CONFIG": str(tmp_path), "DOCKER_HOST": f"unix://{daemon.address}"}
    assert run_command(["build", "-q", str(context)], environ) == 0
    import base64

    sent = json.loads(base64.urlsafe_b64decode(daemon.headers["x-registry-config"]))
    assert sent == {"registry.example": {"username": "me", "password": "pass", "serveraddress": "registry.example"}}


def test_compressed(daemon: Scripted, context: Path) -> None:
    daemon.made()
    assert run(daemon, "--compress", "-q", str(context)) == 0
    assert daemon.body[:2] == b"\x1f\x8b"
    assert daemon.names == ["Dockerfile"]


def test_wrong_modes_and_destinations(
    daemon: Scripted, context: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (
        ["--progress", "odd"],
        ["--call", "outline"],
        ["-o", f"type=tar,dest={tmp_path}"],
        ["-o", str(context / "Dockerfile")],
        ["-o", f"type=tar,dest={tmp_path}/none/x"],
    ):
        assert run(daemon, *words, str(context)) == 1
        assert capsys.readouterr().err.startswith("ERROR: ")
    assert daemon.path == ""
    assert os.listdir(context) == ["Dockerfile"]
