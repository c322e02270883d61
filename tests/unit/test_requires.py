"""The gate itself: a closed vocabulary, and reasons for what is missing."""

import shutil

import pytest

from sampan.host.check import probe_all
from sampan.host.groups import Hierarchies
from tests import requires as gate
from tests.requires import HOST_PROBES, PROBES, Missing, requires


def test_unknown_name_raises() -> None:
    with pytest.raises(ValueError, match="unknown feature 'quantum'"):
        requires("root", "quantum")


def test_mark_carries_the_names() -> None:
    assert requires("root", "overlay").args == ("root", "overlay")


def test_every_name_is_a_probe_that_the_engine_has() -> None:
    assert set(HOST_PROBES.values()) <= {finding.name for finding in probe_all("/tmp")}


def test_missing_program_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    assert PROBES["nft"]() == Missing("no program 'nft' (Debian package nftables)")


def test_controller_of_the_other_version_is_no_fault_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    trees = Hierarchies({"memory": "/sys/fs/cgroup/memory"}, "/sys/fs/cgroup/unified", frozenset({"io"}))
    monkeypatch.setattr(gate, "hierarchies", lambda: trees)
    assert PROBES["cgroup_v1:memory"]() is None
    assert PROBES["cgroup:memory"]() is None
    assert PROBES["cgroup_v2:memory"]() == Missing("memory is on cgroup v1 here", other_form=True)
    assert PROBES["cgroup_v2:blkio"]() is None
    assert PROBES["cgroup:pids"]() == Missing("no control group hierarchy has pids")
