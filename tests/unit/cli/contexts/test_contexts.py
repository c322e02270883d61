"""What `sampan context` does beyond what is compared with docker's: tests/compat/test_cli_contexts.py."""

import json
from pathlib import Path

import pytest

from sampan.cli import main
from sampan.cli.config import Globals, context_directory
from sampan.cli.session import Session
from sampan.cli.verbs.completion import candidates


def run(place: Path, *words: str, **environment: str) -> int:
    return main.run_command(["context", *words], {"HOME": "/nowhere", "DOCKER_CONFIG": str(place), **environment})


def material(place: Path, name: str) -> dict[str, bytes]:
    found = Path(context_directory(str(place), "tls", name), "docker")
    return {path.name: path.read_bytes() for path in found.iterdir()} if found.exists() else {}


def test_an_endpoint_is_copied_with_its_keys(tmp_path: Path) -> None:
    """Docker copies the address alone, which nobody can speak to then."""
    (tmp_path / "ca").write_bytes(b"authority")
    run(tmp_path, "create", "sure", "--docker", f"ca={tmp_path}/ca")
    run(tmp_path, "create", "copied", "--docker", "from=sure")
    run(tmp_path, "create", "later", "--docker", "host=unix:///x")
    run(tmp_path, "update", "later", "--docker", "from=sure")
    assert (
        material(tmp_path, "sure")
        == material(tmp_path, "copied")
        == material(tmp_path, "later")
        == {"ca.pem": b"authority"}
    )
    run(tmp_path, "update", "later", "--docker", "host=unix:///x")
    assert material(tmp_path, "later") == {}


def test_what_another_program_keeps_there_stays(tmp_path: Path) -> None:
    run(tmp_path, "create", "mine", "--docker", "host=unix:///x")
    file = Path(context_directory(str(tmp_path), "meta", "mine"), "meta.json")
    meta = json.loads(file.read_text())
    meta["Metadata"]["Mark"], meta["Endpoints"]["kubernetes"] = "kept", {"Host": "k"}
    file.write_text(json.dumps(meta))
    run(tmp_path, "update", "mine", "--description", "new", "--docker", "host=unix:///y")
    changed = json.loads(file.read_text())
    assert changed["Metadata"] == {"Mark": "kept", "Description": "new"}
    assert changed["Endpoints"] == {
        "docker": {"Host": "unix:///y", "SkipTLSVerify": False},
        "kubernetes": {"Host": "k"},
    }


def test_a_configuration_that_cannot_be_read_is_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text("{broken")
    run(tmp_path, "create", "mine", "--docker", "host=unix:///x")
    assert run(tmp_path, "use", "mine") == 1
    assert (tmp_path / "config.json").read_text() == "{broken"
    assert "config.json" in capsys.readouterr().err


def test_a_file_that_is_broken_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, "create", "mine", "--docker", "host=unix:///x")
    file = Path(context_directory(str(tmp_path), "meta", "mine"), "meta.json")
    file.write_text("[]")
    assert run(tmp_path, "ls") == 1
    assert f"{file}: expected a JSON object" in capsys.readouterr().err


def test_a_default_that_is_no_address_is_shown_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "ls", "--format", "{{.Name}}: {{.Error}}", DOCKER_HOST="ssh://far") == 0
    assert capsys.readouterr().out == "default: ssh:// addresses are not implemented; use unix:// or tcp://\n"


def test_names_are_completed_without_a_daemon(tmp_path: Path) -> None:
    run(tmp_path, "create", "mine", "--docker", "host=unix:///x")
    session = Session(Globals({"HOME": "/nowhere", "DOCKER_CONFIG": str(tmp_path)}))
    assert candidates(session, ["context", "use"], "") == ["default", "mine"]
    assert candidates(session, ["context", "rm"], "m") == ["mine"]
