"""Choices and the daemon's command line."""

from itertools import pairwise
from pathlib import Path

import pytest

from sampan.errors import System
from sampan.rootless import lifecycle
from sampan.rootless.places import Places


def places(directory: Path) -> Places:
    return Places(str(directory), f"{directory}/run", f"{directory}/data", f"{directory}/config")


def test_choices_are_kept_and_a_broken_file_is_named(tmp_path: Path) -> None:
    where = places(tmp_path)
    assert lifecycle.read_choices(where) is None
    lifecycle.write_choices(where, lifecycle.Choices("slirp4netns"))
    found = lifecycle.read_choices(where)
    assert found is not None
    assert found.network == "slirp4netns"
    for text in ("{", "[]", '"x"'):
        Path(where.choices).write_text(text)
        with pytest.raises(System, match="sampan rootless setup"):
            lifecycle.read_choices(where)


def test_the_daemon_is_told_where_everything_is(tmp_path: Path) -> None:
    where = places(tmp_path)
    words = lifecycle.daemon_words(where, "192.0.2.7")
    pairs = dict(pairwise(words))
    assert "--rootless" in words
    assert pairs["--data-root"] == where.data
    assert pairs["--exec-root"] == where.run
    assert pairs["--host"] == f"unix://{where.socket}"
    assert pairs["--group"] == "0"
    assert pairs["--host-gateway-ip"] == "192.0.2.7"
    assert "--host-gateway-ip" not in lifecycle.daemon_words(where, "")
    Path(where.config).mkdir()
    Path(where.daemon_json).write_text('{"host-gateway-ips": ["10.9.9.9"]}')
    assert "--host-gateway-ip" not in lifecycle.daemon_words(where, "192.0.2.7")


def test_without_a_keeper_there_is_no_state(tmp_path: Path) -> None:
    assert lifecycle.state(places(tmp_path)) is None
    assert lifecycle.stop(places(tmp_path)) == "sampan: no rootless engine ran"
