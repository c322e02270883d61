"""The same command line through `docker` and `sampan`: the daemon must be asked the same."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.recording import RecordingDaemon
from tests.daemons import entry_point, scrubbed_environment
from tests.requires import requires

pytestmark = requires("docker-client:28")

LINES = [
    [],
    ["-it", "--name", "n", "-h", "host", "--domainname", "dom"],
    ["-e", "A=b", "-e", "HOME", "-e", "NOT_SET_ANYWHERE", "-l", "x=y", "-l", "bare", "--annotation", "a=b"],
    ["-p", "80", "-p", "8080:80", "-p", "127.0.0.1:81:81/udp", "-p", "[::1]:82:82", "-p", "127.0.0.1::83"],
    ["-p", "8000-8002:9000-9002", "-p", "7000-7005:7000", "--expose", "5000-5002/udp", "--expose", "443", "-P"],
    ["-p", "published=8080,target=80,protocol=udp"],
    ["-v", "/a:/b", "-v", "data:/data:ro", "-v", "/anonymous", "-v", "./rel:/rel", "--tmpfs", "/run:size=1m,mode=1777"],
    ["--tmpfs", "/run", "--volume-driver", "local", "--volumes-from", "other:ro"],
    ["--mount", "type=bind,src=/a,dst=/b,ro,bind-propagation=rslave"],
    ["--mount", "type=volume,source=v,target=/t,volume-nocopy,volume-label=a=b,volume-driver=d,volume-opt=o=p"],
    ["--mount", "type=tmpfs,destination=/t,tmpfs-size=10m,tmpfs-mode=1770"],
    [
        "--mount",
        "type=bind,source=/a,target=/b,readonly,bind-recursive=readonly,bind-propagation=rprivate",
        "--mount",
        "dst=/x",
    ],
    ["--mount", '"type=volume","source=v","target=/t","volume-opt=o=addr=1,rw"'],
    [
        "-m",
        "512m",
        "--memory-swap",
        "-1",
        "--memory-reservation",
        "1.5g",
        "--memory-swappiness",
        "60",
        "--shm-size",
        "64mb",
    ],
    ["--cpus", "1.5", "-c", "512", "--cpu-period", "100000", "--cpu-quota", "50000", "--cpuset-cpus", "0-1"],
    ["--cpuset-mems", "0", "--cpu-rt-period", "1000", "--cpu-rt-runtime", "500", "--pids-limit", "-1"],
    ["--ulimit", "nofile=1024:2048", "--ulimit", "core=-1", "--ulimit", "nofile=10", "--oom-score-adj", "-500"],
    ["--blkio-weight", "300", "--blkio-weight-device", "/dev/sda:200", "--device-read-bps", "/dev/sda:1mb"],
    ["--device-write-bps", "/dev/sda:10", "--device-read-iops", "/dev/sda:10", "--device-write-iops", "/dev/sda:20"],
    [
        "--device",
        "/dev/null",
        "--device",
        "/dev/zero:/dev/other:rw",
        "--device",
        "/dev/full:r",
        "--device-cgroup-rule",
        "c 1:* rwm",
    ],
    ["--device", "vendor.com/class=name", "--gpus", "all"],
    ["--gpus", '"device=0,1","capabilities=compute,utility"'],
    ["--cap-add", "NET_ADMIN", "--cap-drop", "ALL", "--privileged", "--read-only", "--group-add", "audio", "--init"],
    [
        "--security-opt",
        "no-new-privileges",
        "--security-opt",
        "seccomp=unconfined",
        "--security-opt",
        "apparmor:unconfined",
    ],
    ["--security-opt", "systempaths=unconfined"],
    ["--network", "host", "--pid", "host", "--ipc", "host", "--uts", "host", "--userns", "host", "--cgroupns", "host"],
    ["--network", "none"],
    ["--network", "container:other", "--pid", "container:other", "--ipc", "shareable"],
    ["--network", "mine", "--network-alias", "a", "--ip", "10.0.0.5", "--ip6", "fd00::5", "--link", "db:alias"],
    ["--net", "mine", "--net-alias", "a", "--mac-address", "02:42:ac:11:00:02", "--link-local-ip", "169.254.1.1"],
    ["--network", "name=mine,alias=x,alias=y,ip=10.0.0.7,driver-opt=k=v", "--network", "other"],
    ["--link", "db", "--mac-address", "02:42:ac:11:00:02"],
    [
        "--dns",
        "1.1.1.1",
        "--dns-search",
        "a.b",
        "--dns-search",
        ".",
        "--dns-option",
        "ndots:1",
        "--add-host",
        "a:1.2.3.4",
    ],
    ["--add-host", "six=[::1]", "--add-host", "gate:host-gateway"],
    ["--restart", "on-failure:3", "--stop-signal", "INT", "--stop-timeout", "0", "--log-driver", "none"],
    ["--log-driver", "json-file", "--log-opt", "max-size=1m", "--log-opt", "max-file=3", "--runtime", "runc"],
    [
        "--health-cmd",
        "true || false",
        "--health-interval",
        "1m30s",
        "--health-retries",
        "3",
        "--health-timeout",
        "500ms",
    ],
    ["--health-start-period", "2s", "--health-start-interval", "1s"],
    ["--no-healthcheck", "--sysctl", "net.ipv4.ip_forward=1", "--storage-opt", "size=1g", "--cgroup-parent", "/x"],
    ["--entrypoint", "sh", "-w", "/tmp", "-u", "1:2"],
    ["--entrypoint", ""],
    ["-a", "STDIN", "-a", "stderr", "-i"],
    ["-a", "stdout"],
    ["--rm", "--oom-kill-disable", "--isolation", "default"],
    ["--cap-add", "net_admin", "--cap-add", "CAP_SYS_ADMIN", "--cap-drop", "MKNOD", "--cap-drop", "net_admin"],
    ["--cap-add", "ALL", "--cap-add", "chown", "--cap-drop", "all", "--cap-drop", "kill"],
    ["--platform", "linux/amd64", "--pull", "never", "-q", "--disable-content-trust"],
]


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[RecordingDaemon]:
    daemon = RecordingDaemon(tmp_path / "engine.sock")
    yield daemon
    daemon.close()


def ask(client: list[str], line: list[str], recorder: RecordingDaemon, directory: Path) -> list[object]:
    environment = {**scrubbed_environment(), "DOCKER_HOST": recorder.host, "HOME": str(directory)}
    done = subprocess.run(
        [*client, *line], env=environment, cwd=directory, capture_output=True, timeout=30, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr.decode()
    return [
        (method, path.partition("/v1.50")[2], in_order(without_zeros(body))) for method, path, body in recorder.taken()
    ]


def without_zeros(value: object) -> object:
    """The document without what Go's decoder would fill in anyway: null, false, 0, "" and empty lists and objects."""
    if isinstance(value, dict):
        kept = {key: without_zeros(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in (None, False, 0, "", [], {}, [0, 0])}
    if isinstance(value, list):
        return [without_zeros(item) for item in value]
    return value


def in_order(body: object) -> object:
    """docker takes variables and binds out of a Go map, in a new order each time; here the order typed stays."""
    if isinstance(body, dict):
        return {key: sorted(item) if key in ("Env", "Binds") else in_order(item) for key, item in body.items()}
    return body


@pytest.mark.parametrize("line", LINES, ids=lambda line: " ".join(line)[:60] or "plain")
def test_create_sends_the_same(line: list[str], recorder: RecordingDaemon, tmp_path: Path) -> None:
    words = ["create", *line, "image:tag", "program", "-x", "--y"]
    docker = ask(["docker"], words, recorder, tmp_path)
    sampan = ask(entry_point("sampan"), words, recorder, tmp_path)
    assert sampan == docker


def test_files_of_pairs_are_read_the_same(recorder: RecordingDaemon, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("# comment\n\nA=1\n  B=two words \nHOME\nUNSET_HERE\nC=\n")
    (tmp_path / "labels").write_text("\ufeffx=y\nbare\nz=a=b\n")
    words = ["create", "--env-file", "env", "-e", "A=2", "--label-file", "labels", "-l", "x=over", "image"]
    docker = ask(["docker"], words, recorder, tmp_path)
    sampan = ask(entry_point("sampan"), words, recorder, tmp_path)
    assert sampan == docker
    assert "B=two words " in str(sampan)


def test_a_later_variable_comes_later(recorder: RecordingDaemon, tmp_path: Path) -> None:
    ask(entry_point("sampan"), ["create", "-e", "A=1", "-e", "B=2", "-e", "A=3", "image"], recorder, tmp_path)
    subprocess.run(
        [*entry_point("sampan"), "create", "-e", "A=1", "-e", "B=2", "-e", "A=3", "image"],
        env={**scrubbed_environment(), "DOCKER_HOST": recorder.host},
        check=True,
        capture_output=True,
    )
    [(_, _, body)] = recorder.taken()
    assert isinstance(body, dict)
    assert body["Env"] == ["A=1", "B=2", "A=3"]


def test_proxies_of_the_configuration_become_variables(recorder: RecordingDaemon, tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(
        '{"proxies":{"default":{"httpProxy":"http://p:1","noProxy":"n"}}}'
    )
    found = ask(entry_point("sampan"), ["create", "-e", "no_proxy=mine", "image"], recorder, tmp_path)
    docker = ask(["docker"], ["create", "-e", "no_proxy=mine", "image"], recorder, tmp_path)
    variables = found[0][2]["Env"]  # type: ignore[index]
    assert sorted(variables) == sorted(docker[0][2]["Env"])  # type: ignore[index]
