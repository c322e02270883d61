"""Records of runs as a later daemon reads them: right, half written, and malformed."""

import json
from pathlib import Path

import pytest

from sampan.errors import System
from sampan.runtime import adoption, record

RECORD = {
    "version": 1,
    "boot": "an earlier one",
    "monitor": [1, 2],
    "init": [3, 4],
    "id": "c",
    "container": "c",
    "groups": {},
    "started_ns": 5,
}
EXIT = {"exit": {"code": 3, "ended_ns": 6, "signal": 0, "oom_killed": False, "cause": "exited"}}


def written(exec_root: Path, text: str) -> Path:
    directory = exec_root / "containers" / "c"
    directory.mkdir(parents=True)
    (directory / record.NAME).write_text(text)
    return directory


def test_what_ended_with_the_machine_and_what_had_ended(tmp_path: Path) -> None:
    directory = written(tmp_path, json.dumps(RECORD))
    (found,) = adoption.scan(str(tmp_path))
    assert found.exit is not None
    assert (found.exit.cause, found.running.pid) == ("machine-ended", 3)
    record.add(str(directory), EXIT)
    (found,) = adoption.scan(str(tmp_path))
    assert found.exit is not None
    assert (found.exit.code, found.exit.cause) == (3, "exited")


@pytest.mark.parametrize("text", ["", "{", "[" * 60_000, "[]\n{}\n", '{"version": 1}\n[1]\n'])
def test_what_is_no_record_is_a_start_that_was_cut_off(tmp_path: Path, text: str) -> None:
    directory = written(tmp_path, text)
    assert list(adoption.scan(str(tmp_path))) == []
    assert not directory.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"monitor": [1]},
        {"init": [1e999, 1]},
        {"monitor": None},
        {"init": ["x", 1]},
        {"groups": []},
        {"exit": {"code": 0}},
        {"id": None},
    ],
)
def test_one_that_cannot_be_understood_is_told_and_stays(tmp_path: Path, wrong: dict[str, object]) -> None:
    directory = written(tmp_path, json.dumps({name: value for name, value in {**RECORD, **wrong}.items() if value}))
    with pytest.raises(System, match="remove the directory when its program has ended"):
        list(adoption.scan(str(tmp_path)))
    assert directory.exists()
    # A launcher without a daemon stays for it, too: it may be about a program that runs.
    if "monitor" in wrong:
        assert record.any_runs(str(tmp_path))
