"""Options become parameters: Docker's own as they are, the rest as JSON."""

import base64
import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from sampan.cli.build import attributes
from sampan.cli.build.request import HEADER_LIMIT, Wanted, target
from sampan.cli.config import Globals
from sampan.cli.failures import Exit
from sampan.cli.options import Parsed
from sampan.cli.parse import parse_command
from sampan.cli.session import Session
from sampan.cli.verbs.build import BUILD


class Known(Session):
    """A session whose daemon has been met."""

    def __init__(self, environ: dict[str, str], config: dict[str, object] | None = None, host: str = "") -> None:
        given = Globals({"HOME": "/nowhere", "DOCKER_HOST": host or "unix:///nowhere/sampan.sock", **environ})
        super().__init__(given)
        self._config = config or {}  # type: ignore[assignment]
        self._engine = self.unconnected()
        self._engine.version = "1.51"
        self._engine.is_sampan = True


def parsed(*words: str) -> Parsed:
    return parse_command(BUILD, "build", [*words, "."])


def asked(
    *words: str, environ: dict[str, str] | None = None, config: dict[str, object] | None = None
) -> dict[str, list[str]]:
    session, line = Known(environ or {}, config), parsed(*words)
    return parse_qs(urlsplit(target(session, line, Wanted(session, line), "Dockerfile", "")).query)


PLAIN = {"rm": ["1"], "version": ["1"], "dockerfile": ["Dockerfile"], "progress": ["json"], "networkmode": ["default"]}


def test_nothing_given() -> None:
    assert asked() == PLAIN


@pytest.mark.parametrize(
    ("words", "parameters"),
    [
        (["-t", "a", "-t", "b:1"], {"t": ["a", "b:1"]}),
        (["--no-cache", "--pull", "--squash", "--force-rm"], {"nocache": ["1"], "pull": ["1"], "squash": ["1"], "forcerm": ["1"]}),
        (["--rm=false"], {"rm": ["0"]}),
        (["-m", "1g", "--memory-swap", "-1", "--shm-size", "1m"],
         {"memory": ["1073741824"], "memswap": ["-1"], "shmsize": ["1048576"]}),
        (["-c", "5", "--cpu-period", "1", "--cpu-quota", "2", "--cpuset-cpus", "0"],
         {"cpushares": ["5"], "cpuperiod": ["1"], "cpuquota": ["2"], "cpusetcpus": ["0"]}),
        (["--target", "x", "--network", "none", "--cgroup-parent", "/p"],
         {"target": ["x"], "networkmode": ["none"], "cgroupparent": ["/p"]}),
        (["--add-host", "a:1.2.3.4", "--add-host", "b:host-gateway"], {"extrahosts": ["a:1.2.3.4", "b:host-gateway"]}),
        (["--platform", "linux/amd64,linux/arm64"], {"platform": ["linux/amd64,linux/arm64"]}),
        (["--cache-from", "a,b"], {"cachefrom": ['["a","b"]']}),
        (["--no-cache-filter", "a,b"], {"nocachefilter": ['["a","b"]']}),
        (["--label", "a=b=c", "--label", "d"], {"labels": ['{"a":"b=c","d":""}']}),
    ],
)  # fmt: skip
def test_parameters(words: list[str], parameters: dict[str, list[str]]) -> None:
    found = asked(*words)
    assert found == {**PLAIN, **parameters}


def test_arguments_take_the_environments_values() -> None:
    found = asked(
        "--build-arg", "A=1", "--build-arg", "B", "--build-arg", "C", environ={"B": "2", "SOURCE_DATE_EPOCH": "7"}
    )
    assert json.loads(found["buildargs"][0]) == {"A": "1", "B": "2", "C": None, "SOURCE_DATE_EPOCH": "7"}


def test_proxies_of_the_configuration_are_arguments() -> None:
    config: dict[str, object] = {"proxies": {"default": {"httpProxy": "http://p"}}}
    found = asked("--build-arg", "HTTP_PROXY=mine", config=config)
    assert json.loads(found["buildargs"][0]) == {"HTTP_PROXY": "mine", "http_proxy": "http://p"}


def test_ulimits() -> None:
    assert json.loads(asked("--ulimit", "nofile=1:2")["ulimits"][0]) == [{"Name": "nofile", "Soft": 1, "Hard": 2}]


def test_caches_with_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = asked("--cache-from", "a", "--cache-from", "type=local,src=c", "--cache-to", "type=inline")
    assert json.loads(found["cachefrom"][0]) == [
        {"Type": "registry", "Attrs": {"ref": "a"}},
        {"Type": "local", "Attrs": {"src": str(tmp_path / "c")}},
    ]
    assert json.loads(found["cacheto"][0]) == [{"Type": "inline", "Attrs": {}}]


def test_outputs_name_no_place_of_this_side() -> None:
    found = asked("-o", "out", "-o", "type=oci,dest=x.tar,tar=true", "--load")
    assert json.loads(found["outputs"][0]) == [
        {"Type": "local", "Attrs": {"dest": "-"}},
        {"Type": "oci", "Attrs": {"tar": "true", "dest": "-"}},
        {"Type": "image", "Attrs": {}},
    ]


@pytest.mark.parametrize(
    ("text", "kind", "dest"),
    [
        ("-", "tar", "-"), ("out", "local", "out"), ("type=tar", "tar", "-"), ("type=docker", "docker", ""),
        ('"type=local","dest=a,b"', "local", "a,b"), ("type=oci,dest=x", "oci", "x"), ("type=registry", "image", ""),
    ],
)  # fmt: skip
def test_forms_of_outputs(text: str, kind: str, dest: str) -> None:
    found = attributes.output(text)
    assert (found.type, found.dest) == (kind, dest)


@pytest.mark.parametrize(
    "words",
    [
        ["-o", "type=local"], ["-o", "type=none"], ["-o", "dest=x"], ["-o", "type=image,dest=x"], ["-o", "-", "-o", "-"],
        ["--secret", "src=/nowhere,id=x"], ["--secret", "id=x,env=NOT_THERE"], ["--secret", "a=b"], ["--secret", "id"],
        ["--secret", "id=x,type=odd"], ["--ssh", "default"], ["--ssh", "key=/etc/passwd"], ["--cache-to", "ref=x"],
        ["--build-context", "x"], ["--build-context", "x=/nowhere"], ["--attest", "type=odd"], ["--push"],
    ],
)  # fmt: skip
def test_refused(words: list[str]) -> None:
    with pytest.raises(Exit) as end:
        asked(*words)
    assert end.value.text.startswith("ERROR: ")


def test_secrets_are_in_a_header_or_in_the_body(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xfftop")
    session = Known({"T": "env"})
    line = parsed("--secret", f"id=a,src={tmp_path / 'token'}", "--secret", "id=T", "--secret", "type=env,id=c,src=T")
    wanted = Wanted(session, line)
    ((name, value),) = wanted.headers()
    sent = json.loads(base64.urlsafe_b64decode(value))
    assert name == "X-Build-Secrets"
    assert {key: base64.b64decode(one) for key, one in sent.items()} == {"a": b"\xfftop", "T": b"env", "c": b"env"}
    assert wanted.layout == ""
    (tmp_path / "token").write_bytes(bytes(HEADER_LIMIT))
    wanted = Wanted(session, line)
    assert [*wanted.headers()] == []
    assert wanted.layout == "named"
    query = parse_qs(urlsplit(target(session, line, wanted, "Dockerfile", "")).query)
    assert query["layout"] == ["named"]
    assert json.loads(query["secrets"][0]) == [{"ID": "a"}, {"ID": "T"}, {"ID": "c"}]


def test_named_contexts(tmp_path: Path) -> None:
    session = Known({})
    line = parsed("--build-context", f"src={tmp_path}", "--build-context", "base=docker-image://busybox")
    wanted = Wanted(session, line)
    assert wanted.directories == {"src": str(tmp_path)}
    query = parse_qs(urlsplit(target(session, line, wanted, "", "")).query)
    assert json.loads(query["contexts"][0]) == {"src": "input:src", "base": "docker-image://busybox"}
    assert query["layout"] == ["named"]


def test_attestations() -> None:
    found = asked("--sbom", "true", "--provenance", "mode=max", "--annotation", "index:a=b")
    assert json.loads(found["attests"][0]) == {"sbom": "", "provenance": "mode=max"}
    assert json.loads(found["annotations"][0]) == {"index:a": "b"}
    assert json.loads(asked("--provenance=false")["attests"][0]) == {"provenance": "disabled=true"}


def test_a_daemon_elsewhere_opens_no_paths() -> None:
    session, line = Known({}, host="tcp://example.com:1"), parsed("--cache-to", "type=local,dest=x")
    with pytest.raises(Exit, match="need a daemon on this machine"):
        Wanted(session, line)
