"""`POST /build` on real trees: what a Dockerfile's instructions leave, and how the classic stream tells of it."""

import io
import json
import tarfile
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.api.building import build, context
from tests.daemons import Sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "busybox", "docker-client")


def run(engine: Sampan, image: str, *command: str) -> str:
    done = engine.docker("run", "--rm", "--net", "none", image, *command)
    assert done.code == 0, done
    return done.text


def document(engine: Sampan, image: str) -> dict[str, object]:
    found = engine.api("GET", f"/images/{image}/json").json()
    assert isinstance(found, dict)
    return found


def config(engine: Sampan, image: str) -> dict[str, object]:
    found = document(engine, image)["Config"]
    assert isinstance(found, dict)
    return found


def layers(engine: Sampan, image: str) -> list[str]:
    found = document(engine, image)["RootFS"]
    assert isinstance(found, dict)
    listed: list[str] = found["Layers"]
    return listed


def test_steps_leave_what_they_wrote(engine: Sampan) -> None:
    built = build(
        engine,
        "FROM busybox\nENV GREETING=hello\nWORKDIR /work\nCOPY . here/\nRUN cat here/file > copied; echo $GREETING >> copied\n"
        'CMD ["cat", "copied"]\n',
        {"file": "content\n", "sub/": "", "sub/inner": "x"},
        t=("steps:1", "steps:2"),
    )
    assert built.status == 200, built
    assert run(engine, "steps:1") == "content\nhello"
    found = run(engine, built.image, "find", "here", "-type", "f").split()
    assert sorted(found) == ["here/Dockerfile", "here/file", "here/sub/inner"]
    assert document(engine, "steps:2")["Id"] == built.image


def test_the_classic_stream(engine: Sampan) -> None:
    text = "ARG BASE=busybox\nFROM $BASE\nRUN echo out; echo err >&2; sleep 0.1\nLABEL a=b\n"
    built = build(engine, text, t="classic", nocache="1")
    lines = [str(line["stream"]) for line in built.lines if "stream" in line]
    assert lines[:6] == ["Step 1/4 : ARG BASE=busybox", "\n", "Step 2/4 : FROM $BASE", "\n", lines[4], "\n"]
    assert lines[4] == "Step 3/4 : RUN echo out; echo err >&2; sleep 0.1"
    container = lines[6].removeprefix(" ---> Running in ").strip()
    assert len(container) == 12
    assert sorted(lines[7:9]) == ["\x1b[91merr\n\x1b[0m", "out\n"]
    assert lines[9:] == [
        f" ---> Removed intermediate container {container}\n",
        "Step 4/4 : LABEL a=b",
        "\n",
        f"Successfully built {built.image[7:19]}\n",
        "Successfully tagged classic:latest\n",
    ]
    again = build(engine, text, t="classic")
    assert " ---> Using cache\n" in again.text
    assert again.image == built.image


def test_quiet_tells_the_image_alone(engine: Sampan) -> None:
    built = build(engine, "FROM busybox\nRUN echo loud\n", q="1")
    assert [line for line in built.lines if "stream" in line] == [{"stream": f"{built.text.strip()}\n"}]
    assert document(engine, built.text.strip())["Id"] == built.text.strip()
    failed = build(engine, "FROM busybox\nRUN echo loud; false\n", q="1")
    assert failed.error.endswith("returned a non-zero code: 1")


def test_a_failing_run(engine: Sampan) -> None:
    failed = build(engine, "FROM busybox\nRUN echo said; exit 7\n", t="never")
    assert failed.status == 200
    assert "said\n" in failed.text
    message = "The command '/bin/sh -c echo said; exit 7' returned a non-zero code: 7"
    assert failed.lines[-1] == {"errorDetail": {"code": 7, "message": message}, "error": message}
    assert engine.api("GET", "/images/never/json").status == 404
    assert engine.api("GET", "/containers/json?all=1").json() == []


@pytest.mark.parametrize(
    ("dockerfile", "status", "message"),
    [
        ("FROM busybox\nNOSUCH x\n", 400, "dockerfile parse error on line 2: unknown instruction: NOSUCH"),
        ("", 400, "the Dockerfile (Dockerfile) cannot be empty"),
        ("FROM busybox\nENV x\n", 400, "dockerfile parse error on line 2: ENV must have two arguments"),
    ],
)
def test_a_wrong_dockerfile_has_a_status(engine: Sampan, dockerfile: str, status: int, message: str) -> None:
    failed = build(engine, dockerfile)
    assert (failed.status, failed.error) == (status, message)


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ({"t": "UPPER"}, 400, "invalid reference format: repository name (library/UPPER) must be lowercase"),
        ({"t": "host"}, 400, "the name host:latest is reserved for this machine's own image"),
        ({"target": "nowhere"}, 400, 'target stage "nowhere" could not be found'),
        (
            {"version": "2"},
            501,
            "not implemented by Sampan: BuildKit's builder in POST /build (version=2); use docker buildx, or set DOCKER_BUILDKIT=0",
        ),
        ({"version": "3"}, 400, "invalid version 3"),
        ({"isolation": "hyperv"}, 400, 'invalid isolation "hyperv" on linux'),
        ({"isolation": "other"}, 400, 'unsupported isolation: "other"'),
        ({"squash": "1"}, 400, "squash is only supported with experimental mode"),
        ({"memory": "1000"}, 400, "Minimum memory limit allowed is 6MB"),
        ({"buildargs": "{"}, 400, "error reading build args: invalid JSON: Input data was truncated"),
        ({"shmsize": "big"}, 400, 'strconv.ParseInt: parsing "big": invalid syntax'),
    ],
)
def test_wrong_parameters(engine: Sampan, query: dict[str, object], status: int, message: str) -> None:
    failed = build(engine, "FROM busybox\nCMD x\n", None, None, **query)
    assert (failed.status, failed.error) == (status, message)


def test_a_body_that_is_no_archive(engine: Sampan) -> None:
    answer = engine.api("POST", "/build", b"\x01" * 2000)
    assert answer.status == 400, answer
    assert engine.api("POST", "/build", {"a": 1}).status == 400


def test_stages_and_targets(engine: Sampan) -> None:
    text = (
        "FROM busybox AS base\nRUN echo tool > /tool\nFROM busybox AS unused\nRUN false\n"
        "FROM scratch AS small\nCOPY --from=base /tool /tool\nFROM base AS last\nCOPY --from=small /tool /copy\n"
    )
    assert build(engine, text, t="staged").status == 200
    assert run(engine, "staged", "cat", "/copy") == "tool"
    small = build(engine, text, target="small")
    assert len(layers(engine, small.image)) == 1
    assert small.text.count("Using cache") == 2
    assert build(engine, text, target="unused").error.endswith("returned a non-zero code: 1")


def test_layers_and_history(engine: Sampan) -> None:
    built = build(engine, "FROM busybox\nENV A=1\nRUN echo 1 > /1\nRUN true\nWORKDIR /tmp\nWORKDIR /new\n", nocache="1")
    history = engine.api("GET", f"/images/{built.image}/history").json()
    assert isinstance(history, list)
    assert [entry["CreatedBy"] for entry in history[:-1]] == [
        "WORKDIR /new",
        "WORKDIR /tmp",
        "RUN /bin/sh -c true # buildkit",
        "RUN /bin/sh -c echo 1 > /1 # buildkit",
        "ENV A=1",
    ]
    # Neither `true` nor a directory that is there leaves a layer.
    assert len(layers(engine, built.image)) == 1 + 2


def test_on_nothing(engine: Sampan) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("dev")
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(entry)
    built = build(engine, "FROM scratch\nADD tree.tar /\n", {"tree.tar": buffer.getvalue()}, t="bare")
    found = document(engine, "bare")
    assert (found["Architecture"], found.get("Variant", "")) == ("amd64", "") or found["Architecture"] != "amd64"
    own = config(engine, "bare")
    assert (own["WorkingDir"], own["Env"]) == (
        "/",
        ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    )
    archive = engine.api("GET", f"/images/{built.image}/get").body
    with tarfile.open(fileobj=io.BytesIO(archive)) as saved:
        (manifest,) = json.load(saved.extractfile("manifest.json") or io.BytesIO())
        layer = saved.extractfile(manifest["Layers"][0])
        assert layer is not None
        with tarfile.open(fileobj=layer) as files:
            assert files.getnames() == ["dev"]


def test_arguments_and_labels(engine: Sampan) -> None:
    text = "FROM busybox\nARG WHO=nobody\nRUN echo $WHO-$HTTP_PROXY > /who\n"
    arguments = {"WHO": "you", "HTTP_PROXY": "http://proxy", "SPARE": "1"}
    built = build(engine, text, buildargs=arguments, labels={"l": "v"}, t="argued")
    assert run(engine, "argued", "cat", "/who") == "you-http://proxy"
    assert "[Warning] One or more build-args [SPARE] were not consumed\n" in built.text
    found = config(engine, "argued")
    assert found["Labels"] == {"l": "v"}
    assert "HTTP_PROXY" not in str(found["Env"])
    # A proxy is no part of what a step is known by.
    other = build(engine, text, buildargs={**arguments, "HTTP_PROXY": "http://other"})
    assert "Using cache" in other.text


def test_triggers(engine: Sampan) -> None:
    assert build(engine, "FROM busybox\nONBUILD RUN echo triggered > /triggered\n", t="parent").status == 200
    assert "triggered\n" in build(engine, "FROM parent\nRUN cat /triggered\n", t="child").text
    assert not config(engine, "child").get("OnBuild")


def test_a_base_for_another_machine(engine: Sampan) -> None:
    """What is here under the name is for this machine: another is asked for at its registry, which nobody can reach."""
    assert build(engine, "FROM --platform=$TARGETPLATFORM busybox\nRUN true\n").error == ""
    reference = "127.0.0.1:9/busybox:latest"
    assert engine.docker("tag", "busybox", reference).code == 0
    assert build(engine, f"FROM {reference}\nRUN true\n").error == ""
    other = "s390x" if document(engine, "busybox")["Architecture"] != "s390x" else "amd64"
    refused = build(engine, f"FROM --platform=linux/{other} {reference}\nRUN true\n")
    assert "127.0.0.1:9" in refused.error
    assert engine.api("DELETE", f"/images/{reference}").status == 200


def test_a_missing_file(engine: Sampan) -> None:
    failed = build(engine, "FROM busybox\nCOPY nosuch /\n")
    assert failed.status == 200
    where = "file not found in build context or excluded by .dockerignore"
    assert failed.error == f"COPY failed: {where}: stat nosuch: file does not exist"


def test_ignored_dockerfile_stays_out(engine: Sampan) -> None:
    files = {".dockerignore": "Dockerfile\n.dockerignore\n", "plain": "p"}
    built = build(engine, "FROM busybox\nCOPY . /ctx/\n", files)
    assert run(engine, built.image, "ls", "-A", "/ctx") == "plain"


def test_limits_and_surroundings_of_a_run(engine: Sampan) -> None:
    text = (
        "FROM busybox\nRUN cat /proc/self/limits | grep 'open files'; grep extra /etc/hosts; df -k /dev/shm | tail -1;"
        " id -u; pwd; hostname\nUSER nobody\nRUN id -u; ! touch /x\n"
    )
    built = build(
        engine,
        text,
        nocache="1",
        ulimits=[{"Name": "nofile", "Soft": 100, "Hard": 200}],
        extrahosts=("extra:10.1.2.3",),
        shmsize="16777216",
        memory="67108864",
    )
    assert built.error == "", built
    assert "100" in built.text
    assert "10.1.2.3\textra" in built.text
    assert "16384" in built.text
    assert "65534" in built.text


@pytest.mark.parametrize(("network", "interfaces"), [("none", ["lo"]), ("default", ["eth0", "lo"])])
def test_networks(engine: Sampan, network: str, interfaces: list[str]) -> None:
    built = build(engine, "FROM busybox\nRUN ls /sys/class/net\n", nocache="1", networkmode=network)
    assert [name for name in ("eth0", "lo") if f"{name}\n" in built.text] == interfaces


def test_run_mounts(engine: Sampan) -> None:
    text = (
        "FROM busybox AS other\nRUN echo other > /file\n"
        "FROM busybox\n"
        "RUN --mount=type=bind,from=other,source=/file,target=/seen --mount=type=bind,target=/ctx"
        " --mount=type=tmpfs,target=/scratch cat /seen /ctx/data; echo x > /scratch/x; ! touch /ctx/new\n"
        "RUN --mount=type=bind,from=other,target=/other,rw echo gone > /other/new && cat /other/file\n"
        "RUN ! test -e /scratch/x; ! test -s /seen; ! test -e /other/new\n"
    )
    built = build(engine, text, {"data": "from context\n"}, t="mounted", nocache="1")
    assert built.error == "", built
    assert "other\nfrom context\n" in built.text
    # Places for mounts are no files of the image.
    assert not {"seen", "ctx", "scratch", "other"} & set(run(engine, "mounted", "ls", "-A", "/").split())


def test_cache_mounts(engine: Sampan) -> None:
    text = (
        "FROM busybox AS seed\nRUN mkdir /seed; echo seeded > /seed/file\nFROM busybox\n"
        "RUN --mount=type=cache,target=/c echo $(ls /c | wc -l); touch /c/$RANDOM\n"
        "RUN --mount=type=cache,id=own,target=/c,sharing=locked --mount=type=cache,id=own,target=/d,sharing=locked"
        " --mount=type=cache,from=seed,source=/seed,target=/s cat /s/file; touch /d/new; ls /c\nRUN ! ls /c/*\n"
    )
    first = build(engine, text, nocache="1")
    assert first.error == "", first
    assert "seeded\n" in first.text
    assert "new\n" in first.text
    assert "0\n" in first.text
    assert "1\n" in build(engine, text, nocache="1").text
    usage = engine.api("GET", "/system/df").json()
    assert isinstance(usage, dict)
    assert [entry["InUse"] for entry in usage["BuildCache"] if entry["Type"] == "exec.cachemount"] == [False] * 3


@pytest.fixture
def web() -> Iterator[str]:
    """A server of a Dockerfile, a context and a file."""
    files = {
        "/file": (b"from the web\n", "application/octet-stream"),
        "/Dockerfile": (b"FROM busybox\nRUN echo remote text\n", "text/plain"),
        "/context.tar": (context({"Dockerfile": "FROM busybox\nCOPY f /f\n", "f": "remote tar"}), "application/x-tar"),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, kind = files[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", kind)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_documents_and_urls(engine: Sampan, web: str) -> None:
    text = f"FROM busybox\nCOPY <<one <<two /docs/\nfirst\none\nsecond\ntwo\nADD {web}/file /got/\nRUN <<EOF\ncat /docs/*\nEOF\n"
    script = "RUN <<EOF\n#!/bin/busybox sh\necho script $0\nEOF\n"
    built = build(engine, text + script, t="documents", nocache="1")
    assert built.error == "", built
    assert "first\nsecond\n" in built.text
    assert "script /dev/pipes/EOF" in built.text
    assert run(engine, "documents", "cat", "/got/file") == "from the web"
    assert build(engine, text).text.count("Using cache") == 3
    wrong = build(engine, f"FROM busybox\nADD --checksum=sha256:{'0' * 64} {web}/file /got/\n")
    assert "digest mismatch" in wrong.error


def test_remote_contexts(engine: Sampan, web: str) -> None:
    assert "remote text\n" in build(engine, "", remote=f"{web}/Dockerfile", nocache="1").text
    built = build(engine, "", remote=f"{web}/context.tar")
    assert run(engine, built.image, "cat", "/f") == "remote tar"
    failed = build(engine, "", remote="http://127.0.0.1:9/nothing")
    assert failed.status == 500
    assert "127.0.0.1:9" in failed.error


def test_events(engine: Sampan) -> None:
    built = build(engine, "FROM busybox\nRUN echo events > /events\n", t="told:1")
    answer = engine.api("GET", f"/events?since=0&until={time.time() + 1:.3f}")
    told = [json.loads(line) for line in answer.body.splitlines()]
    own = [(each["Action"], each["Actor"]["Attributes"]) for each in told if each["Actor"]["ID"] == built.image]
    assert [(action, attributes["name"]) for action, attributes in own] == [("create", built.image), ("tag", "told:1")]


def test_the_same_input_gives_the_same_image(engine: Sampan) -> None:
    text = "FROM busybox\nRUN echo fixed > /fixed; mkdir /d\nCOPY file /file\n"
    files = {"file": "x"}
    images = {
        build(engine, text, files, nocache="1", buildargs={"SOURCE_DATE_EPOCH": "1000000000"}).image for _ in range(2)
    }
    assert len(images) == 1
    assert document(engine, images.pop())["Created"] == "2001-09-09T01:46:40Z"


def test_on_this_machine_itself(engine: Sampan) -> None:
    text = "FROM host AS machine\nRUN echo 1 > /one.sampan\nRUN cat /one.sampan /etc/hostname > /two.sampan\n"
    built = build(engine, f"{text}FROM busybox\nCOPY --from=machine /two.sampan /two\n", t="fromhost")
    assert built.error == "", built
    assert run(engine, "fromhost", "head", "-1", "/two") == "1"
    refused = build(engine, text)
    assert "no image can be made on top of it" in refused.error
