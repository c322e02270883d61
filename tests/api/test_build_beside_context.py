"""What a build is given beside its context: secrets, agents, named contexts, from the command and from the REST call."""

import base64
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.api.building import build, half_made
from tests.daemons import Sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "busybox", "docker-client")

SECRET = "FROM busybox\nRUN --mount=type=secret,id=token,required=true cat /run/secrets/token; stat -c %a:%u /run/secrets/token\n"


def header(**secrets: bytes) -> dict[str, str]:
    values = {name: base64.b64encode(value).decode() for name, value in secrets.items()}
    return {"X-Build-Secrets": base64.urlsafe_b64encode(json.dumps(values).encode()).decode()}


def sampan_build(engine: Sampan, directory: Path, *words: str) -> tuple[int, str]:
    done = engine.sampan("build", "--progress=plain", *words, str(directory))
    return done.code, done.err.decode()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "context").mkdir()
    return tmp_path / "context"


def test_a_secret_of_the_rest_call(engine: Sampan) -> None:
    built = build(engine, SECRET, headers=header(token=b"hush\n"), secrets=[{"ID": "token"}])
    assert "hush\n400:0\n" in built.text
    assert "hush" not in json.dumps(engine.api("GET", f"/images/{built.image}/history").json())


def test_a_secret_is_in_no_key_and_no_layer(engine: Sampan) -> None:
    first = build(engine, SECRET, headers=header(token=b"first-of-two-secrets"), secrets=[{"ID": "token"}])
    again = build(engine, SECRET, headers=header(token=b"two"), secrets=[{"ID": "token"}])
    assert first.image == again.image
    saved = engine.docker("save", first.image)
    assert saved.code == 0
    assert b"first-of-two" not in saved.out


@pytest.mark.parametrize(
    ("query", "headers", "message"),
    [
        ({"secrets": [{"ID": "token"}]}, {}, "the secret token was not sent"),
        ({"secrets": [{"ID": "token"}], "layout": "named"}, {}, "the secret token was not sent"),
        ({"secrets": [{"Name": "token"}]}, {}, "error reading secrets"),
        ({}, {"X-Build-Secrets": "*"}, "X-Build-Secrets is not base64"),
        ({"ssh": [{"ID": "default", "Socket": "agent"}]}, {}, "invalid ssh agent default"),
        ({"layout": "other"}, {}, "invalid layout other"),
        ({"contexts": {"x": "input:x"}}, {}, "needs layout=named"),
        ({"contexts": {"x": "input:../x"}, "layout": "named"}, {}, "invalid context x"),
        ({"contexts": {"context": "docker-image://busybox"}}, {}, "invalid context name"),
        ({"contexts": {"x": "oci-layout:///x"}}, {}, "not implemented by Sampan yet: the context x"),
        ({"entitlements": ["device"]}, {}, "not implemented by Sampan yet: the entitlement device"),
        ({"entitlements": ["sound"]}, {}, "unknown entitlement sound"),
    ],
)
def test_refused(engine: Sampan, query: dict[str, Any], headers: dict[str, str], message: str) -> None:
    built = build(engine, "FROM busybox\n", headers=headers, **query)
    assert built.status in (400, 501)
    assert message in built.error
    assert half_made(engine) == []


def test_a_secret_of_the_command(engine: Sampan, directory: Path, tmp_path: Path) -> None:
    (directory / "Dockerfile").write_text(SECRET)
    (tmp_path / "token").write_text("from a file\n")
    code, said = sampan_build(engine, directory, "--no-cache", "--secret", f"id=token,src={tmp_path / 'token'}")
    assert code == 0, said
    assert "from a file" in said


def test_a_large_secret_is_in_the_body_and_in_no_context(engine: Sampan, directory: Path, tmp_path: Path) -> None:
    text = (
        "FROM busybox\nCOPY . /sent\nRUN --mount=type=secret,id=large wc -c < /run/secrets/large; find /sent | sort\n"
    )
    (directory / "Dockerfile").write_text(text)
    (tmp_path / "large").write_bytes(bytes(200_000))
    code, said = sampan_build(engine, directory, "--secret", f"id=large,src={tmp_path / 'large'}")
    assert code == 0, said
    lines = [line.split(" ", 2)[2] for line in said.splitlines() if line.count(" ") >= 2 and "." in line.split(" ")[1]]
    assert [line for line in lines if line.startswith(("200000", "/sent"))] == ["200000", "/sent", "/sent/Dockerfile"]


def test_named_contexts(engine: Sampan, directory: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").write_text("from the other\n")
    (other / ".dockerignore").write_text("left-out\n")
    (other / "left-out").write_text("x")
    (directory / "Dockerfile").write_text(
        "FROM replaced AS base\nRUN echo stage > /which\n"
        "FROM busybox\nCOPY --from=other . /other\nCOPY --from=base /which /\n"
        "RUN --mount=type=bind,from=other,target=/mnt cat /mnt/file /which; ls -A /other\n"
    )
    words = ["--build-context", f"other={other}", "--build-context", "replaced=docker-image://busybox"]
    code, said = sampan_build(engine, directory, *words)
    assert code == 0, said
    assert "from the other" in said
    assert "stage" in said
    assert "left-out" not in said
    assert "[context other] load from client" in said


def test_a_named_context_stands_for_a_stage_and_for_a_base(engine: Sampan, directory: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (root / "bin" / "busybox").chmod(0o755)
    (directory / "Dockerfile").write_text(
        'FROM not-there AS base\nRUN false\nFROM base\nRUN ["/bin/busybox", "echo", "on files that came along"]\n'
    )
    code, said = sampan_build(engine, directory, "--build-context", f"base={root}")
    assert code == 0, said
    assert "on files that came along" in said


def test_an_agent(engine: Sampan, directory: Path, tmp_path: Path) -> None:
    (directory / "Dockerfile").write_text("FROM busybox\nRUN --mount=type=ssh,required=true test -S $SSH_AUTH_SOCK\n")
    path = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        code, said = sampan_build(engine, directory, "--ssh", f"default={path}")
    assert code == 0, said
    code, said = sampan_build(engine, directory, "--no-cache")
    assert code == 1
    assert "unset ssh forward key default" in said


def test_what_is_written_to_a_bound_context_is_seen_by_nobody(engine: Sampan, directory: Path) -> None:
    (directory / "file").write_text("sent\n")
    (directory / "Dockerfile").write_text(
        "FROM busybox\nRUN --mount=type=bind,target=/mnt,rw echo written > /mnt/file && cp /mnt/file /first\n"
        "RUN --mount=type=bind,target=/mnt cp /mnt/file /second\nCOPY file /third\nRUN cat /first /second /third\n"
    )
    code, said = sampan_build(engine, directory)
    assert code == 0, said
    assert [line.split()[-1] for line in said.splitlines() if line.endswith(("written", "sent"))] == [
        "written",
        "sent",
        "sent",
    ]


def test_a_program_of_another_stage_can_be_run_where_it_is_bound(engine: Sampan, directory: Path) -> None:
    (directory / "Dockerfile").write_text(
        "FROM busybox AS tools\nRUN echo 'echo ran-it' > /tool && chmod 755 /tool\n"
        "FROM busybox\nRUN --mount=type=bind,from=tools,source=/tool,target=/bin/tool /bin/tool && ! touch /bin/tool\n"
    )
    code, said = sampan_build(engine, directory)
    assert code == 0, said
    assert [line for line in said.splitlines() if line.endswith(" ran-it")]
