"""Settings: flags and daemon.json read and refused as dockerd does it."""

import json
from pathlib import Path

import pytest

from sampan.daemon import config, flags
from sampan.daemon.config import AddressPool, DaemonConfig
from sampan.daemon.config_values import Ulimit, parse_size
from sampan.daemon.options import BY_FLAG, OPTIONS, Verdict
from sampan.errors import InvalidParameter


def load(arguments: list[str], tmp_path: Path, file: object = None) -> DaemonConfig:
    path = tmp_path / "daemon.json"
    path.write_text(json.dumps(file) if file is not None else "")
    return config.load(flags.parse(["--config-file", str(path), *arguments]))


def test_defaults(tmp_path: Path) -> None:
    loaded = load([], tmp_path)
    assert loaded.hosts == ("unix:///run/sampan/sampan.sock",)
    assert (str(loaded.data_root), str(loaded.exec_root)) == ("/var/lib/sampan", "/run/sampan")
    assert loaded.live_restore
    assert loaded.warnings == ()


def test_flags_are_written_as_dockerd_takes_them(tmp_path: Path) -> None:
    loaded = load(
        [
            "-D",
            "-l",
            "warn",
            "-Hunix:///a.sock",
            "--host=tcp://127.0.0.1",
            "--live-restore=false",
            "--label",
            "a=b",
            "--default-ulimit",
            "nofile=10:20",
            "--default-shm-size=32m",
            "--log-opt",
            "max-size=1k",
            "-Gstaff",
            "--default-address-pool",
            "base=10.1.0.0/16,size=24",
            "--bip",
            "10.9.0.1/24",
            "--dns=1.1.1.1",
        ],
        tmp_path,
    )
    assert loaded.debug
    assert loaded.hosts == ("unix:///a.sock", "tcp://127.0.0.1:2375")
    assert loaded.live_restore is False
    assert loaded.ulimits == (Ulimit("nofile", 10, 20),)
    assert loaded.shm_size == 32 << 20
    assert loaded.log_opts == {"max-size": "1k"}
    assert (loaded.group, loaded.group_given) == ("staff", True)
    assert loaded.address_pools == (AddressPool("10.1.0.0/16", 24),)
    assert loaded.labels == ("a=b",)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--nope"], "unknown flag: --nope"),
        (["-Z"], "unknown shorthand flag: 'Z' in -Z"),
        (["--data-root"], "flag needs an argument: --data-root"),
        (["extra"], 'unknown command: "sampand extra"'),
        (["--debug=perhaps"], "strconv.ParseBool"),
        (["--log-level=loud"], "invalid log-level"),
        (["-H", "tcp://0.0.0.0:2375"], "--tlsverify"),
        (["-H", "0.0.0.0:2375", "--tls"], "--tlsverify"),
        (["-H", "ftp://x"], "invalid bind address format: ftp://x"),
        (["--selinux-enabled"], '"selinux-enabled" is not supported by Sampan'),
        (["--userns-pool=0:5"], 'invalid userns-pool: "0:5"'),
        (["--userns-pool=4294967000:500"], "invalid userns-pool"),
        (["--bip=10.0.0.1/24", "-b", "none"], "--bridge=none"),
        (["--bip=10.0.0"], "invalid CIDR address: 10.0.0"),
        (["--mtu=big"], 'invalid argument "big" for "--mtu" flag'),
        (["--default-ulimit=nofile=9:1"], "soft limit must be less than or equal to hard limit: 9 > 1"),
        (["--label=a=1", "--label=a=2"], "conflict labels for a=2 and a=1"),
        (["--default-address-pool=base=10.0.0.0/24,size=8"], "invalid default address pool"),
    ],
)
def test_what_is_refused_on_the_command_line(tmp_path: Path, arguments: list[str], text: str) -> None:
    with pytest.raises(InvalidParameter, match=text.replace("(", r"\(")):
        load(arguments, tmp_path)


def test_off_loopback_with_client_certificates_or_the_unsafe_flag(tmp_path: Path) -> None:
    secure = load(["-H", ":2376", "-H", "tcp://[::]:9", "--tlsverify"], tmp_path)
    assert secure.hosts == ("tcp://localhost:2376", "tcp://[::]:9")
    assert secure.tls is not None
    assert secure.tls.verify
    assert load(["-H", "tcp://0.0.0.0:1", "--insecure-tcp"], tmp_path).hosts == ("tcp://0.0.0.0:1",)


def test_the_file(tmp_path: Path) -> None:
    loaded = load(
        [],
        tmp_path,
        {
            "hosts": ["fd://"],
            "default-ulimits": {"nofile": {"Name": "nofile", "Hard": 2, "Soft": 1}},
            "default-address-pools": [{"base": "10.2.0.0/16", "size": 24}],
            "proxies": {"http-proxy": ""},
            "selinux-enabled": False,
            "default-runtime": "runc",
            "features": {"buildkit": True},
            "live-restore": False,
            "log-opts": {"max-file": "3"},
        },
    )
    assert loaded.hosts == ("fd://",)
    assert loaded.ulimits == (Ulimit("nofile", 1, 2),)
    assert loaded.address_pools == (AddressPool("10.2.0.0/16", 24),)
    assert loaded.live_restore is False
    assert [warning.partition('"')[2].partition('"')[0] for warning in loaded.warnings] == ["features"]


@pytest.mark.parametrize(
    ("file", "arguments", "text"),
    [
        ({"zzz": 1, "aaa": 2}, [], "the following directives don't match any configuration option: aaa, zzz"),
        (
            {"debug": True, "labels": ["a=b"]},
            ["--debug=false", "--label", "c=d"],
            r"specified both as a flag and in the configuration file: .*labels: \(from flag: \[c=d\], from file: \[a=b\]\)",
        ),
        ({"debug": "yes"}, [], "invalid JSON: debug cannot be yes"),
        ({"runtimes": {"kata": {}}}, [], r"runtimes\[kata\]: either a runtimeType or path must be configured"),
        ({"metrics-addr": "nowhere"}, [], "invalid metrics-addr: nowhere"),
        ({"exec-opts": ["native.cgroupdriver=other"]}, [], "native.cgroupdriver option other not supported"),
        ({"exec-opts": ["native.cgroupdriver"]}, [], "unable to parse key/value option: native.cgroupdriver"),
        ({"exec-opts": ["native.umask=0"]}, [], "exec-opts: native.umask=0 is not supported"),
        ({"host-gateway-ip": "1.1.1.1", "host-gateway-ips": ["1.1.1.1"]}, [], "must not both be specified"),
    ],
)
def test_what_is_refused_in_the_file(tmp_path: Path, file: object, arguments: list[str], text: str) -> None:
    with pytest.raises(InvalidParameter, match=text):
        load(arguments, tmp_path, file)


def test_broken_and_missing_files(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(
        InvalidParameter, match=f"unable to configure the Docker daemon with file {broken}: invalid JSON"
    ):
        config.load(flags.parse(["--config-file", str(broken)]))
    with pytest.raises(InvalidParameter, match="no such file or directory"):
        config.load(flags.parse([f"--config-file={tmp_path}/none"]))


def test_sizes() -> None:
    assert [parse_size(text) for text in ("64", "1k", "1KiB", "1.5m", "2 GB")] == [64, 1024, 1024, 1572864, 2 << 30]
    for wrong in ("", "m", "1x", "-1", "1e"):
        with pytest.raises(InvalidParameter, match="invalid size"):
            parse_size(wrong)


def test_each_refused_key_says_why_and_no_flag_is_there_twice() -> None:
    assert all(option.note for option in OPTIONS if option.verdict is not Verdict.HONOURED)
    assert len(BY_FLAG) == sum(bool(option.flag_name) for option in OPTIONS)
