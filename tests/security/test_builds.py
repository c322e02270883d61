"""Security corpus, the builder's entries: nothing of a Dockerfile, a context or a base reaches outside its own tree."""

import base64
import hashlib
import io
import json
import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.api.building import build, context, half_made
from tests.daemons import Sampan, running_sampan
from tests.requires import requires
from tests.security.hostile import Canary
from tests.security.hostile_tars import Case, cases
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox", "docker-client")

DEFAULT_MASK = 0xA80425FB
BAD_QUERIES = (
    *("ulimits=[[[[", 'ulimits=[{"Name":5}]', "labels=[]", "buildargs=%00", "cachefrom={}", "shmsize=-1", "t=%ff"),
    *("dockerfile=%00", "target=%00", "platform=//", "memory=99999999999999999999", "extrahosts=%0a"),
    *("networkmode=container:", "cpusetcpus=a-b", "remote=%00", "remote=git://-x", "remote=http://[::1"),
)


def tree_of(engine: Sampan, image: str) -> dict[str, tarfile.TarInfo]:
    """Every entry of the image's layers."""
    answer = engine.api("GET", f"/images/{image}/get")
    found: dict[str, tarfile.TarInfo] = {}
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is None or member.name.endswith(".json") or member.name == "repositories":
                continue
            try:
                with tarfile.open(fileobj=file) as layer:
                    found.update({entry.name: entry for entry in layer})
            except tarfile.ReadError:
                continue
    return found


@pytest.fixture
def outside() -> Iterator[Path]:
    """A directory with empty ones in it, as a place for mounts could be."""
    place = Path("/var/tmp") / f"sampan-outside-{os.getpid()}"
    (place / "place" / "deep").mkdir(parents=True)
    yield place
    try:
        assert (place / "place" / "deep").is_dir(), "something outside was removed"
    finally:
        shutil.rmtree(place)


def test_sec_cve_2024_23652(engine: Sampan, outside: Path) -> None:
    """A program puts a link where the place for a mount was made."""
    text = (
        "FROM busybox\nRUN --mount=type=tmpfs,target=/stub/place/deep"
        f" mv /stub /moved && ln -s {outside} /stub && rm -rf {outside} && ls -l /stub\n"
    )
    built = build(engine, text, nocache="1")
    assert built.error == "", built
    assert tree_of(engine, built.image)["stub"].linkname == str(outside)


@pytest.mark.parametrize(
    "mount",
    [
        "type=bind,from=evil,source=/root-link,target=/seen",
        "type=bind,from=evil,source=/up,target=/seen",
        "type=bind,from=evil,source=/../../..,target=/seen",
        "type=bind,source=context-link,target=/seen",
        "type=cache,from=evil,source=/root-link,target=/seen,id=../../../..",
        "type=cache,id=../../../../etc,target=/seen",
    ],
)
def test_sec_cve_2024_1753(engine: Sampan, canary: Canary, mount: str) -> None:
    """Sources of mounts are looked for inside their own tree, whatever links say."""
    text = (
        f"FROM busybox AS evil\nRUN ln -s / /root-link; ln -s {'../' * 20} /up\n"
        f"FROM busybox\nRUN --mount={mount} find /seen{canary.path}* /seen/*{canary.path} 2>/dev/null; true\n"
    )
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        data = text.encode()
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
        link = tarfile.TarInfo("context-link")
        link.type, link.linkname = tarfile.SYMTYPE, "/"
        tar.addfile(link)
    answer = engine.api("POST", "/build?nocache=1", buffer.getvalue())
    output = re.sub(rb'"Step [^\n]*', b"", answer.body)
    assert canary.path.encode() not in output.replace(canary.path.encode() + b"*", b""), answer.body
    assert canary.secret.encode() not in answer.body


def test_sec_cve_2024_23653(engine: Sampan) -> None:
    refused = build(engine, "FROM busybox\nRUN --security=insecure true\n", nocache="1")
    assert refused.error == "security.insecure is not allowed"
    unknown = build(engine, "FROM busybox\nRUN --security=other true\n")
    assert unknown.status == 400
    shown = build(engine, "FROM busybox\nRUN grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status\n", nocache="1")
    found = dict(line.split(":\t") for line in shown.text.splitlines() if ":\t" in line)
    assert int(found["CapInh"], 16) == int(found["CapAmb"], 16) == 0
    assert int(found["CapEff"], 16) == int(found["CapBnd"], 16) == DEFAULT_MASK
    assert found["Seccomp"].strip() == "2"


def test_sec_cve_2024_24557_configuration_is_in_the_key(engine: Sampan) -> None:
    """What a trigger or a health check says decides what is kept, and so does the base's."""
    first = build(engine, "FROM busybox\nHEALTHCHECK CMD one\nONBUILD RUN one\n", t="sec-parent")
    assert first.error == ""
    assert build(engine, "FROM busybox\nHEALTHCHECK CMD two\nONBUILD RUN one\n").image != first.image
    child = "FROM sec-parent\nRUN true\n"
    assert build(engine, "FROM busybox\nHEALTHCHECK CMD one\nONBUILD RUN echo 1\n", t="sec-parent").error == ""
    assert build(engine, child, t="sec-child").error == ""
    assert build(engine, "FROM busybox\nHEALTHCHECK CMD one\nONBUILD RUN echo 2\n", t="sec-parent").error == ""
    assert "Using cache" not in build(engine, child).text


def test_sec_cve_2024_24557_history_is_no_proof(engine: Sampan) -> None:
    """An image that claims to be what a build would make is not taken for it."""
    text = "FROM busybox\nRUN echo genuine-24557 > /genuine\n"
    claim = "RUN /bin/sh -c echo genuine-24557 > /genuine # buildkit"
    made = engine.api("POST", "/containers/create?name=forger", {"Image": "busybox", "Cmd": [claim]})
    assert made.status == 201, made
    layer = context({"forged": "evil"})
    assert engine.api("PUT", "/containers/forger/archive?path=/", layer).status == 200
    assert engine.api("POST", "/commit?container=forger&repo=forged", {}).status == 201
    assert engine.api("DELETE", "/containers/forger").status == 204
    history = engine.api("GET", "/images/forged/history").json()
    assert isinstance(history, list)
    assert history[0]["CreatedBy"] == claim
    built = build(engine, text)
    assert "Using cache" not in built.text
    assert "forged" not in tree_of(engine, built.image)


def test_sec_cve_2026_44517(engine: Sampan, canary: Canary) -> None:
    """Links in a context are links in the image, and no way to what they name on the host."""
    hosts = f"{canary.path}/hosts"
    links = {"link": f"{canary.path}/secret", "up": "../" * 12 + canary.path, ".dockerignore": hosts}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, target in links.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
        text = b"FROM busybox\nCOPY . /context/\n"
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
        entry = tarfile.TarInfo("evil")
        entry.type, entry.linkname = tarfile.SYMTYPE, f"{canary.path}/secret"
        tar.addfile(entry)
    for name in ("evil", "../../../../../etc/passwd", "/etc/passwd"):
        answer = engine.api("POST", f"/build?{urlencode({'dockerfile': name})}", buffer.getvalue())
        assert answer.status == 400, answer
        assert b"root:" not in answer.body
        assert canary.secret.encode() not in answer.body.lower()
    answer = engine.api("POST", "/build?t=sec-links", buffer.getvalue())
    assert canary.secret.encode() not in answer.body
    if b"Successfully built" in answer.body:
        assert tree_of(engine, "sec-links")["context/link"].issym()


@pytest.mark.parametrize("case", cases(b"/var/tmp/sampan-none"), ids=lambda case: str(case.name))
def test_sec_cve_2026_17106_added_archives(engine: Sampan, case: Case) -> None:
    """Every hostile archive through ADD: exactly inside, or refused in the stream; the daemon goes on."""
    before = engine.process.pid if engine.process else 0
    built = build(engine, "FROM busybox\nADD evil.tar /into/\n", {"evil.tar": case.archive})
    assert built.status in (200, 400), built
    assert engine.process is not None
    assert engine.process.pid == before
    assert not Path("/var/tmp/sampan-none").exists()


@pytest.mark.parametrize("number", [3, 7, 8, 20])
def test_sec_cve_2024_21626_work_directories(engine: Sampan, number: int) -> None:
    text = f"FROM busybox\nWORKDIR /proc/self/fd/{number}\nRUN cat ../../../../../../../../etc/hostname; ls -ld .\n"
    built = build(engine, text, nocache="1")
    assert built.error
    assert Path("/etc/hostname").read_text().strip() not in built.text


def test_a_program_finds_nothing_of_the_daemon(engine: Sampan) -> None:
    built = build(
        engine, "FROM busybox\nRUN ls /proc/self/fd; env; cat /proc/1/environ | tr '\\0' '\\n'\n", nocache="1"
    )
    names = {line.partition("=")[0] for line in built.text.splitlines() if "=" in line}
    assert names <= {"PATH", "HOSTNAME", "HOME", "PWD", "SHLVL", "OLDPWD", "_"}, names
    assert {line for line in built.text.splitlines() if line.isdigit()} <= {"0", "1", "2", "3"}


def test_sec_cve_2019_13509_nothing_secret_is_logged() -> None:
    """Logins, build arguments and what stands in URLs: not in the log, even of a daemon that tells everything."""
    login = {"127.0.0.1:1": {"username": "u", "password": "sesame-password"}}
    header = base64.urlsafe_b64encode(json.dumps(login).encode()).decode()
    with running_sampan("--debug", "--log-level", "debug") as engine:
        engine.load_busybox()
        text = "FROM 127.0.0.1:1/nowhere/x\nARG TOKEN\nRUN true\n"
        failed = build(engine, text, headers={"X-Registry-Config": header}, buildargs={"TOKEN": "sesame-argument"})
        assert failed.error
        log = engine.log.read_text()
        assert "sesame" not in log
        assert "sesame-password" not in str(failed.lines)


def test_sec_cve_2024_23650(engine: Sampan) -> None:
    """Whatever the query and the body are, the daemon lives and says what is wrong."""
    assert engine.process is not None
    before = engine.process.pid
    body = context({"Dockerfile": "FROM busybox\n"})
    for query in BAD_QUERIES:
        answer = engine.api("POST", f"/build?{query}", body)
        assert answer.status in (200, 400, 404, 500, 501), (query, answer)
        assert engine.process.poll() is None
    assert engine.process.pid == before


def test_sec_secrets_are_in_no_layer(engine: Sampan) -> None:
    """A secret is a file in memory that its owner alone reads, or a variable, while the program runs: and nowhere afterwards."""
    secret = os.urandom(16).hex()
    values = {"token": base64.b64encode(secret.encode()).decode()}
    header = base64.urlsafe_b64encode(json.dumps(values).encode()).decode()
    text = (
        "FROM busybox\nRUN --mount=type=secret,id=token,required=true ls -l /run/secrets; grep secrets /proc/mounts;"
        " cat /run/secrets/token | md5sum; ! touch /run/secrets/token\n"
        "RUN --mount=type=secret,id=token,env=TOKEN,target=/other,uid=33,mode=0440 echo -n $TOKEN | md5sum; ls -ln /other\n"
        'RUN ! test -e /run/secrets && ! test -e /other && test -z "$TOKEN"\n'
    )
    query = urlencode({"secrets": json.dumps([{"ID": "token"}]), "t": "sec-secret", "nocache": "1"})
    body = context({"Dockerfile": text})
    answer = engine.api("POST", f"/build?{query}", body, headers={"X-Build-Secrets": header})
    assert b"Successfully built" in answer.body, answer.body
    output = "".join(str(json.loads(line).get("stream", "")) for line in answer.body.splitlines() if line)
    assert output.count(hashlib.md5(secret.encode()).hexdigest()) == 2
    assert "-r--------    1 root     root" in output
    assert "-r--r-----    1 33       0" in output
    assert " /run/secrets/token tmpfs ro," in output
    saved = engine.api("GET", "/images/sec-secret/get").body
    assert secret.encode() not in saved
    assert half_made(engine) == []
    eventually(engine.has_no_trash, "the trash is not emptied")
    for root in (engine.data_root, engine.exec_root):
        for file in (path for path in root.rglob("*") if path.is_file() and not path.is_symlink()):
            assert secret.encode() not in file.read_bytes(), file
    assert secret not in engine.log.read_text()


def test_sec_secrets_that_are_missing(engine: Sampan) -> None:
    missing = build(engine, "FROM busybox\nRUN --mount=type=secret,id=none,required=true true\n")
    assert missing.error == "secret none: not found"
    assert build(engine, "FROM busybox\nRUN --mount=type=secret,id=none ! test -e /run/secrets/none\n").error == ""
