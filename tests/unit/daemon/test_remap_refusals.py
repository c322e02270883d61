"""`userns-remap` where no container could have users of its own: refused when the daemon starts, with what helps."""

import pytest

from sampan.daemon import assembly
from sampan.errors import InvalidParameter
from sampan.host import check
from sampan.host.finding import Finding


def found(monkeypatch: pytest.MonkeyPatch, *lacking: str) -> list[str]:
    """Answers of the host's probes, of which some say no; what was asked."""
    asked: list[str] = []

    def one(data_root: str, name: str) -> Finding:
        assert data_root == "/data"
        asked.append(name)
        return Finding(name, "files", name not in lacking, "Invalid argument", "a hint")

    monkeypatch.setattr(check, "probe_one", one)
    return asked


@pytest.mark.parametrize(
    ("driver", "lacking", "words"),
    [
        ("overlay2", "idmapped mounts", "its file system takes no idmapped mounts (Invalid argument)"),
        (
            "overlay2",
            "idmapped layers",
            "overlay takes no idmapped layers (Invalid argument), which it does from Linux 5.19 on",
        ),
        ("vfs", "idmapped mounts", "its file system takes no idmapped mounts"),
        ("fuse-overlayfs", "", "not possible with the storage driver fuse-overlayfs"),
    ],
)
def test_refused(monkeypatch: pytest.MonkeyPatch, driver: str, lacking: str, words: str) -> None:
    found(monkeypatch, lacking)
    with pytest.raises(InvalidParameter) as refused:
        assembly._check_idmaps("/data", driver)
    assert words in str(refused.value)


@pytest.mark.parametrize("driver", ["vfs", "btrfs"])
def test_whole_trees_need_no_layers_with_maps(monkeypatch: pytest.MonkeyPatch, driver: str) -> None:
    asked = found(monkeypatch, "idmapped layers")
    assembly._check_idmaps("/data", driver)
    assert asked == ["idmapped mounts"]
