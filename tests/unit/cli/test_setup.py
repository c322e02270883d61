"""`sampan setup` and its undoing, in a configuration directory of its own."""

import json
from pathlib import Path

import pytest

from sampan.cli import main
from sampan.cli.config import context_directory
from sampan.cli.verbs import setup


def run(tmp_path: Path, *words: str) -> int:
    return main.run_command([*words], {"HOME": "/nowhere", "DOCKER_CONFIG": str(tmp_path)})


def config(tmp_path: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((tmp_path / "config.json").read_text())
    return found


def test_makes_and_selects_a_context_and_keeps_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {"auths": {"r": {"auth": "eDp5"}}, "psFormat": "{{.ID}}", "currentContext": "default"}
    (tmp_path / "config.json").write_text(json.dumps(before))
    (tmp_path / "config.json").chmod(0o640)
    assert run(tmp_path, "setup") == 0
    assert capsys.readouterr().out == "export DOCKER_HOST=unix:///run/sampan/sampan.sock\n"
    assert config(tmp_path) == {**before, "currentContext": "sampan"}
    assert (tmp_path / "config.json").stat().st_mode & 0o777 == 0o640
    meta = json.loads((Path(context_directory(str(tmp_path), "meta", "sampan")) / "meta.json").read_text())
    assert meta["Name"] == "sampan"
    assert meta["Endpoints"] == {"docker": {"Host": "unix:///run/sampan/sampan.sock", "SkipTLSVerify": False}}


def test_undo_selects_what_was_selected_before(tmp_path: Path) -> None:
    run(tmp_path, "context", "create", "mine", "--docker", "host=unix:///mine")
    (tmp_path / "config.json").write_text('{"currentContext":"mine","x":1}')
    run(tmp_path, "setup")
    run(tmp_path, "setup")  # twice is once
    assert run(tmp_path, "setup", "--undo") == 0
    assert config(tmp_path) == {"currentContext": "mine", "x": 1}
    assert not Path(context_directory(str(tmp_path), "meta", "sampan")).exists()


def test_undo_leaves_no_file_that_was_not_there(tmp_path: Path) -> None:
    run(tmp_path, "setup")
    assert run(tmp_path, "setup", "--undo") == 0
    assert not (tmp_path / "config.json").exists()
    assert run(tmp_path, "setup", "--undo") == 0  # nothing to take back is no fault


def test_undo_respects_a_context_chosen_since(tmp_path: Path) -> None:
    run(tmp_path, "setup")
    (tmp_path / "config.json").write_text('{"currentContext":"other"}')
    run(tmp_path, "setup", "--undo")
    assert config(tmp_path) == {"currentContext": "other"}


def test_a_linked_configuration_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    real.write_text("{}")
    (tmp_path / "config.json").symlink_to(real)
    run(tmp_path, "setup")
    assert (tmp_path / "config.json").is_symlink()
    assert json.loads(real.read_text()) == {"currentContext": "sampan"}


def test_docker_socket_goes_into_the_daemons_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "etc" / "daemon.json"
    monkeypatch.setattr(setup, "CONFIG_FILE", str(file))
    monkeypatch.setattr(setup, "DOCKER_SOCKET", str(tmp_path / "docker.sock"))
    assert run(tmp_path, "setup", "--docker-socket") == 0
    hosts = [setup.OWN_HOST, f"unix://{tmp_path}/docker.sock"]
    assert json.loads(file.read_text()) == {"hosts": hosts}
    assert run(tmp_path, "setup", "--docker-socket") == 0
    assert json.loads(file.read_text()) == {"hosts": hosts}
    assert run(tmp_path, "setup", "--undo") == 0
    assert not file.exists()


def test_undo_keeps_the_daemons_other_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "daemon.json"
    file.write_text('{"debug":true,"hosts":["tcp://127.0.0.1:1"]}')
    monkeypatch.setattr(setup, "CONFIG_FILE", str(file))
    monkeypatch.setattr(setup, "DOCKER_SOCKET", str(tmp_path / "docker.sock"))
    run(tmp_path, "setup", "--docker-socket")
    assert json.loads(file.read_text())["hosts"] == ["tcp://127.0.0.1:1", f"unix://{tmp_path}/docker.sock"]
    run(tmp_path, "setup", "--undo")
    assert json.loads(file.read_text()) == {"debug": True, "hosts": ["tcp://127.0.0.1:1"]}
