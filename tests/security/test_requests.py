"""Security corpus, section I: requests that would cost too much or mix with one another, and the socket that takes them."""

import os
import stat

import pytest

from tests.daemons import Sampan, running_sampan
from tests.requires import requires
from tests.waiting import within

pytestmark = requires("root", "overlay", "busybox", "docker-client")


# CVE-2018-20699: a list that is longer than any machine


@pytest.mark.parametrize("name", ["CpusetCpus", "CpusetMems"])
@pytest.mark.parametrize("text", ["1-4294967295", "0-999999999", "0,1-1000000000,7", "1-" + "9" * 4000])
def test_sec_cve_2018_20699(engine: Sampan, name: str, text: str) -> None:
    with within(2):
        answer = engine.api("POST", "/containers/create", {"Image": "busybox", "HostConfig": {name: text}})
    assert answer.status == 400, answer


# CVE-2020-14370: nothing of one container's is another's


def test_sec_cve_2020_14370(engine: Sampan) -> None:
    shown: list[dict[str, list[str] | dict[str, str]]] = []
    for number in range(3):
        body = {"Image": "busybox", "Env": [f"ONLY{number}=x"], "Labels": {f"only{number}": "x"}}
        made = engine.api("POST", "/containers/create", body).json()
        assert isinstance(made, dict)
        whole = engine.api("GET", f"/containers/{made['Id']}/json").json()
        assert isinstance(whole, dict)
        shown.append(whole["Config"])
    for number, config in enumerate(shown):
        assert [entry for entry in config["Env"] if entry.startswith("ONLY")] == [f"ONLY{number}=x"]
        assert [label for label in config["Labels"] if label.startswith("only")] == [f"only{number}"]


# CVE-2014-3499: a socket that everybody may use, because of somebody's umask


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_sec_cve_2014_3499(umask: int) -> None:
    before = os.umask(umask)
    try:
        with running_sampan() as engine:
            os.umask(before)
            assert stat.S_IMODE(engine.socket.stat().st_mode) == 0o660
            for root in (engine.data_root, engine.exec_root):
                assert stat.S_IMODE(root.stat().st_mode) & 0o066 == 0, root
                loose = [path for path in root.rglob("*") if not path.is_symlink() and path.lstat().st_mode & 0o002]
                assert [path for path in loose if not stat.S_ISSOCK(path.lstat().st_mode)] == []
    finally:
        os.umask(before)
