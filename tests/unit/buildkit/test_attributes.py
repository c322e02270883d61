"""Front-end attributes: each has a meaning, or is refused by name."""

import pytest

from sampan.buildkit.attributes import Asked, read
from sampan.errors import InvalidParameter, NotImplementedHere
from sampan.spec.host_config import Ulimit


def test_each_has_its_meaning() -> None:
    asked = read(
        {
            "filename": "app/Dockerfile",
            "target": "final",
            "build-arg:VERSION": "1=2",
            "label:a.b": "c",
            "platform": "linux/amd64",
            "image-resolve-mode": "pull",
            "add-hosts": "db=10.0.0.1,v6=::1",
            "force-network-mode": "none",
            "shm-size": "67108864",
            "ulimit": "nofile=1024:2048,core=0",
            "cgroup-parent": "/teams",
            "context:tools": "local:tools",
            "contextkey": "ctx",
            "dockerfilekey": "df",
            "attest:provenance": "mode=min",
            "vcs:source": "https://example.org/x.git",
            "local-sessionid:context": "abc",
            "frontend.caps": "moby.buildkit.frontend.inputs",
        }
    )
    assert asked == Asked(
        file="app/Dockerfile",
        target="final",
        arguments={"VERSION": "1=2"},
        labels={"a.b": "c"},
        platforms=("linux/amd64",),
        pull=True,
        extra_hosts=("db:10.0.0.1", "v6:::1"),
        network="none",
        shm_size=67108864,
        ulimits=(Ulimit(name="nofile", soft=1024, hard=2048), Ulimit(name="core", soft=0, hard=0)),
        cgroup_parent="/teams",
        named={"tools": "local:tools"},
        context_name="ctx",
        dockerfile_name="df",
        dockerfile_apart=True,
        attestations={"provenance": "mode=min"},
    )


def test_no_cache_is_all_or_some_stages() -> None:
    assert read({"no-cache": ""}).no_cache
    some = read({"no-cache": "base,test"})
    assert (some.no_cache, some.no_cache_filter) == (False, ("base", "test"))


def test_what_is_not_known_is_refused_by_name() -> None:
    with pytest.raises(NotImplementedHere, match="the build attribute 'wonder'"):
        read({"wonder": "1"})


@pytest.mark.parametrize(
    "given",
    [
        {"shm-size": "-1"},
        {"shm-size": "9" * 30},
        {"force-network-mode": "weird"},
        {"image-resolve-mode": "sometimes"},
        {"ulimit": "nofile=many"},
        {"ulimit": "nofile"},
        {"add-hosts": '"open'},
        {"multi-platform": "perhaps"},
    ],
)
def test_wrong_values(given: dict[str, str]) -> None:
    with pytest.raises(InvalidParameter):
        read(given)


def test_platforms_are_read_once_each() -> None:
    asked = read({"platform": "linux/amd64, linux/arm64,linux/amd64"})
    assert [(one.os, one.architecture) for one in asked.targets] == [("linux", "amd64"), ("linux", "arm64")]
    assert read({}).targets == ()
