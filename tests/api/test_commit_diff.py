"""`docker diff` and `docker commit` on real containers, with the machine's docker command."""

import io
import json
import tarfile
import time
from collections.abc import Iterator

import pytest

from tests.daemons import Sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "busybox", "docker-client")


@pytest.fixture(autouse=True)
def _containers_go(engine: Sampan) -> Iterator[None]:
    yield
    engine.remove_containers()


def run(engine: Sampan, name: str, script: str, *options: str) -> None:
    done = engine.docker("run", "--name", name, "--net", "none", *options, "busybox", "sh", "-c", script)
    assert done.code == 0, done


def config(engine: Sampan, image: str) -> dict[str, object]:
    found = json.loads(engine.docker("inspect", image).out)[0]
    assert isinstance(found, dict)
    return found


def test_diff_of_a_container_that_ended(engine: Sampan) -> None:
    run(engine, "differs", "rm /etc/group; echo x > /new; mkdir /d; touch /d/f; chmod 600 /etc/passwd", "-v", "/vol")
    lines = engine.docker("diff", "differs").text.splitlines()
    assert lines == ["A /d", "A /d/f", "C /etc", "D /etc/group", "C /etc/passwd", "A /new", "A /vol"]


def test_diff_of_a_running_container(engine: Sampan) -> None:
    made = engine.docker("run", "-d", "--name", "alive", "--net", "none", "busybox", "sh", "-c", "touch /n; sleep 1000")
    assert made.code == 0
    for _ in range(200):
        if engine.docker("diff", "alive").text == "A /n":
            return
        time.sleep(0.05)
    assert engine.docker("diff", "alive").text == "A /n"


def test_diff_of_nothing_and_nobody(engine: Sampan) -> None:
    run(engine, "idle", "true")
    assert engine.docker("diff", "idle").out == b""
    missing = engine.docker("diff", "nosuch")
    assert (missing.code, missing.err) == (1, b"Error response from daemon: No such container: nosuch\n")


def test_commit_and_run_the_image(engine: Sampan) -> None:
    run(engine, "base", "echo kept > /kept; rm /etc/group", "-e", "FROM=container", "-l", "mine=1")
    done = engine.docker("commit", "-a", "Somebody", "-m", "a message", "base", "made:1")
    assert done.code == 0, done
    found = config(engine, "made:1")
    assert done.text == found["Id"]
    assert (found["Author"], found["Comment"]) == ("Somebody", "a message")
    settings = found["Config"]
    assert isinstance(settings, dict)
    assert "FROM=container" in settings["Env"]
    assert settings["Labels"] == {"mine": "1"}
    assert settings["Cmd"][:2] == ["sh", "-c"]
    seen = engine.docker("run", "--rm", "--net", "none", "made:1", "sh", "-c", "cat /kept; ls /etc/group")
    assert seen.out == b"kept\n"
    top = engine.docker("history", "--no-trunc", "--format", "{{.Comment}}|{{.Size}}", "made:1").text.splitlines()[0]
    assert top == "a message|5B"
    base = config(engine, "busybox")
    assert found["RootFS"]["Layers"][:-1] == base["RootFS"]["Layers"]  # type: ignore[index]
    refused = engine.docker("rmi", "busybox")
    assert refused.code == 1
    assert engine.docker("rmi", "-f", "made:1").code == 0


def test_the_engines_own_files_are_in_no_layer(engine: Sampan) -> None:
    run(engine, "plain", "echo x > /x")
    assert engine.docker("commit", "plain", "plain:1").code == 0
    saved = engine.docker("save", "plain:1").out
    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))[0]  # type: ignore[arg-type]
        top = archive.extractfile(manifest["Layers"][-1])
        assert top is not None
        with tarfile.open(fileobj=top) as layer:
            assert set(layer.getnames()) - {"etc"} == {"x"}


def test_changes_and_names(engine: Sampan) -> None:
    run(engine, "changed", "true", "-e", "A=b", "-p", "80")
    changes = [
        ("CMD", '["a","b"]'), ("ENTRYPOINT", '["e"]'), ("ENV", "C=d"), ("EXPOSE", "443/udp"), ("LABEL", "l=m"),
        ("ONBUILD", "RUN x"), ("STOPSIGNAL", "SIGINT"), ("USER", "www-data"), ("VOLUME", "/v"), ("WORKDIR", "/w"),
        ("HEALTHCHECK", "--interval=5s CMD true"),
    ]  # fmt: skip
    words = [word for name, value in changes for word in ("-c", f"{name} {value}")]
    done = engine.docker("commit", *words, "changed", "repo/changed")
    assert done.code == 0, done
    settings = config(engine, "repo/changed:latest")["Config"]
    assert isinstance(settings, dict)
    assert (settings["Cmd"], settings["Entrypoint"], settings["User"]) == (["a", "b"], ["e"], "www-data")
    assert {"A=b", "C=d"} <= set(settings["Env"])
    assert set(settings["ExposedPorts"]) == {"80/tcp", "443/udp"}
    assert (settings["OnBuild"], settings["StopSignal"], settings["WorkingDir"]) == (["RUN x"], "SIGINT", "/w")
    assert set(settings["Volumes"]) == {"/v"}
    assert settings["Healthcheck"] == {"Test": ["CMD-SHELL", "true"], "Interval": 5_000_000_000}
    wrong = engine.docker("commit", "-c", "RUN x", "changed")
    assert (wrong.code, wrong.err) == (1, b"Error response from daemon: RUN is not a valid change command\n")
    assert engine.docker("commit", "changed", "UPPER").code == 1
    assert engine.docker("commit", "nosuch").err == b"Error response from daemon: No such container: nosuch\n"
    assert engine.docker("rmi", "-f", "repo/changed").code == 0


def test_a_container_without_changes_makes_no_layer(engine: Sampan) -> None:
    engine.docker("create", "--name", "fresh", "--net", "none", "busybox", "true")
    made = engine.docker("commit", "fresh").text
    assert config(engine, made)["RootFS"] == config(engine, "busybox")["RootFS"]
    assert engine.docker("rmi", made).code == 0


@pytest.mark.parametrize("pause", ["true", "false"])
def test_a_running_container_goes_on(engine: Sampan, pause: str) -> None:
    name = f"lives-{pause}"
    started = engine.docker("run", "-d", "--name", name, "--net", "none", "busybox", "sleep", "1000")
    assert started.code == 0
    since = int(time.time()) - 1
    made = engine.docker("commit", f"--pause={pause}", name, "lives:1")
    assert made.code == 0, made
    assert engine.docker("inspect", "-f", "{{.State.Status}}", name).text == "running"
    until = int(time.time()) + 1
    events = engine.docker(
        "events",
        "--since",
        str(since),
        "--until",
        str(until),
        "--filter",
        f"container={name}",
        "--format",
        "{{.Action}}",
    )
    expected = ["pause", "unpause", "commit"] if pause == "true" else ["commit"]
    assert [line for line in events.text.splitlines() if line in ("pause", "unpause", "commit")] == expected
    assert engine.docker("rm", "-f", name).code == 0
    assert engine.docker("rmi", "lives:1").code == 0


def test_a_container_of_the_host_stays_where_it_is(engine: Sampan) -> None:
    """Its changes can be listed and its files copied; no image, archive or layer comes of it."""
    run_host = engine.docker("run", "--name", "machine", "--net", "none", "host", "sh", "-c", "echo mine > /mine")
    if run_host.code == 125:
        pytest.skip(run_host.err.decode())
    assert run_host.code == 0, run_host
    assert "A /mine" in engine.docker("diff", "machine").text.splitlines()
    assert engine.docker("cp", "machine:/mine", "-").code == 0
    for words in (["commit", "machine", "on-host"], ["export", "machine"]):
        refused = engine.docker(*words)
        assert refused.code == 1
        assert b"container machine stands on the image host, which is this machine itself" in refused.err
