"""`sampan build` against a daemon: what is sent, what is shown, how it ends, and what an interrupted one leaves."""

import io
import json
import os
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from tests.api.building import half_made
from tests.daemons import Outcome, Sampan, entry_point, scrubbed_environment
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox", "docker-client")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    directory = tmp_path / "context"
    directory.mkdir()
    return directory


def build(engine: Sampan, context: Path, dockerfile: str, *words: str) -> Outcome:
    (context / "Dockerfile").write_text(dockerfile)
    return engine.sampan("build", *words, str(context))


def test_quiet_prints_the_image(engine: Sampan, context: Path, tmp_path: Path) -> None:
    done = build(
        engine, context, "FROM busybox\nRUN echo quiet > /f\n", "-q", "-t", "quiet", "--iidfile", str(tmp_path / "id")
    )
    assert (done.code, done.err) == (0, b"")
    assert (
        engine.docker("image", "inspect", "-f", "{{.Id}}", "quiet").text == done.text == (tmp_path / "id").read_text()
    )


def test_ignored_files_are_not_sent(engine: Sampan, context: Path) -> None:
    (context / ".dockerignore").write_text("*\n!kept\n")
    (context / "kept").mkdir()
    (context / "kept" / "file").write_text("x")
    (context / "other").write_text("x")
    done = build(engine, context, "FROM busybox\nCOPY . /sent\n", "-q", "-t", "ignored")
    assert done.code == 0, done
    found = engine.docker("run", "--rm", "--net", "none", "ignored", "find", "/sent").text.split()
    assert sorted(found) == ["/sent", "/sent/kept", "/sent/kept/file"]


def test_a_dockerfile_from_elsewhere_is_in_no_image(engine: Sampan, context: Path, tmp_path: Path) -> None:
    (context / "file").write_text("x")
    (tmp_path / "Other").write_text("FROM busybox\nCOPY . /sent\nRUN ls -A /sent > /listed\n")
    done = engine.sampan("build", "-q", "-t", "elsewhere", "-f", str(tmp_path / "Other"), str(context))
    assert done.code == 0, done
    assert engine.docker("run", "--rm", "--net", "none", "elsewhere", "cat", "/listed").text == "file"


def test_standard_input(engine: Sampan) -> None:
    done = engine.sampan("build", "-q", "-", stdin=b"FROM busybox\nRUN echo from a pipe\n")
    assert done.code == 0, done


def test_a_miss_has_its_reason(engine: Sampan, context: Path) -> None:
    text = "FROM busybox\nARG VERSION=1\nRUN echo reason $VERSION\n"
    assert build(engine, context, text).code == 0
    again = build(engine, context, text).err.decode()
    assert "CACHED" in again
    changed = build(engine, context, text, "--build-arg", "VERSION=2").err.decode()
    assert "not cached: the variable VERSION changed" in changed


def test_a_failure_is_shown_where_it_is(engine: Sampan, context: Path) -> None:
    done = build(engine, context, "FROM busybox\nRUN echo last words; exit 3\n")
    said = done.err.decode()
    assert done.code == 1
    assert "   2 | >>> RUN echo last words; exit 3\n" in said
    assert "last words" in said.partition("------\n")[2]
    assert said.rstrip().endswith("returned a non-zero code: 3")


def test_an_interrupted_build_leaves_nothing(engine: Sampan, context: Path) -> None:
    marker = f"sleep 1{os.getpid()}"
    (context / "Dockerfile").write_text(f"FROM busybox\nRUN echo begun; {marker}\n")
    environment = {**scrubbed_environment(), "DOCKER_HOST": engine.host}
    command = [*entry_point("sampan"), "build", "--progress=plain", str(context)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment) as building:
        assert building.stderr is not None
        for line in building.stderr:
            if b"begun" in line and b"RUN" not in line:
                break
        building.send_signal(signal.SIGINT)
        building.stderr.read()
        assert building.wait(30) == 130
    eventually(lambda: not _running(marker))
    eventually(lambda: half_made(engine) == [])


def _running(command: str) -> bool:
    for place in Path("/proc").iterdir():
        try:
            if place.name.isdigit() and command in (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(
                errors="replace"
            ):
                return True
        except OSError:
            continue
    return False


def test_the_cache_is_listed_and_given_back(engine: Sampan, context: Path) -> None:
    assert build(engine, context, "FROM busybox\nRUN echo listed\n", "-q").code == 0
    listed = engine.sampan("builder", "df", "-v", "--format", "{{.CacheType}} {{.Description}}")
    assert "regular RUN echo listed" in listed.text
    pruned = engine.sampan("builder", "prune", "-af")
    assert pruned.code == 0, pruned
    assert "Total reclaimed space:" in pruned.text
    assert engine.sampan("builder", "df", "--format", "{{.ID}}").text == ""


def test_files_that_the_daemon_has_are_not_sent_again(engine: Sampan, context: Path) -> None:
    for number in range(300):
        (context / f"file{number}").write_text(str(number))
    text = "FROM busybox\nCOPY . /sent\n"
    (context / "Dockerfile").write_text(text)
    latest = max(path.stat().st_ctime_ns for path in context.iterdir())
    eventually(lambda: time.time_ns() - latest > 150_000_000)
    command = ("build", "-t", "kept", str(context))
    sent = [b"transferring context" in engine.sampan(*command).err for _ in range(3)]
    assert sent == [True, False, False]
    again = engine.sampan("build", "--no-cache", "-t", "kept", str(context))
    assert b"transferring context" not in again.err
    assert engine.docker("run", "--rm", "--net", "none", "kept", "cat", "/sent/file299").text == "299"
    (context / "file299").write_text("changed")
    assert b"transferring context" in engine.sampan(*command).err
    assert engine.docker("run", "--rm", "--net", "none", "kept", "cat", "/sent/file299").text == "changed"


def test_what_is_not_kept_is_asked_for(engine: Sampan) -> None:
    answer = engine.api("POST", f"/build?kept=1&context={'0' * 64}")
    assert (answer.status, answer.json()) == (404, {"message": f"No such build context: {'0' * 64}"})
    assert engine.api("POST", "/build?kept=1").status == 400
    assert engine.api("POST", "/build?context=x").status == 400


def test_outputs_come_to_this_side(engine: Sampan, context: Path, tmp_path: Path) -> None:
    steps = "FROM busybox AS made\nRUN mkdir /d && echo content > /d/file && chmod 640 /d/file\n"
    text = f"{steps}FROM scratch\nCOPY --from=made /d /d\n"
    outputs = [
        "-o",
        str(tmp_path / "out"),
        "-o",
        f"type=tar,dest={tmp_path / 'x.tar'}",
        "-o",
        f"type=oci,dest={tmp_path / 'oci.tar'}",
    ]
    done = build(engine, context, text, *outputs, "--metadata-file", str(tmp_path / "meta.json"))
    assert done.code == 0, done
    made = tmp_path / "out" / "d" / "file"
    assert (made.read_text(), made.stat().st_mode & 0o777) == ("content\n", 0o640)
    with tarfile.open(tmp_path / "x.tar") as archive:
        assert "d/file" in archive.getnames()
    with tarfile.open(tmp_path / "oci.tar") as archive:
        assert {"oci-layout", "index.json"} <= set(archive.getnames())
    assert json.loads((tmp_path / "meta.json").read_text())["containerimage.digest"].startswith("sha256:")
    to_pipe = build(engine, context, text, "-o", "-")
    with tarfile.open(fileobj=io.BytesIO(to_pipe.out)) as archive:
        assert "d/file" in archive.getnames()


def test_a_cache_that_was_written_down(engine: Sampan, context: Path, tmp_path: Path) -> None:
    text = "FROM busybox\nRUN echo written down\n"
    assert build(engine, context, text, "--cache-to", f"type=local,dest={tmp_path / 'cache'}").code == 0
    assert engine.sampan("builder", "prune", "-af").code == 0
    again = build(engine, context, text, "--cache-from", f"type=local,src={tmp_path / 'cache'}")
    assert b"[2/2] RUN echo written down" in again.err
    assert b"DONE" not in again.err.partition(b"RUN echo written down")[2]
