"""`login`, `logout`, `search`: the same with `docker` and `sampan`, against docker-registry with users."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Outcome, Sampan, entry_point, scrubbed_environment
from tests.registries import Handler, Registry, running_registry, scripted_registry
from tests.requires import requires
from tests.terminals import Terminal

pytestmark = requires("root", "docker-client:28", "docker-registry", "htpasswd")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry"), users={"me": "secret"}) as running:
        yield running


def play(
    engine: Sampan, command: str, home: Path, lines: list[tuple[list[str], str]]
) -> tuple[list[Outcome], dict[str, object]]:
    """Each line with its input, one after the other in one home; what came out, and config.json at the end."""
    run = engine.docker if command == "docker" else engine.sampan
    home.mkdir()
    done = [run(*words, stdin=stdin.encode(), env={"HOME": str(home)}) for words, stdin in lines]
    file = home / ".docker/config.json"
    if not file.exists():
        return done, {}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    config: dict[str, object] = json.loads(file.read_text())
    return done, config


def told(outcomes: list[Outcome], home: Path) -> list[tuple[int, str, str]]:
    return [
        (one.code, one.text, one.err.decode().replace(str(home), "HOME").replace("docker", "sampan").strip())
        for one in outcomes
    ]


LINES = [
    [("login -u me --password-stdin {}", "secret\n"), ("login {}", ""), ("logout {}", ""), ("login {}", "")],
    [("login -u me -p secret http://{}/v1/", ""), ("logout http://{}", "")],
    [("login -u me --password-stdin {}", "wrong"), ("login -u me {}", "")],
    [("login -u me --password-stdin {}", "")],
    [("login --password-stdin {}", "x")],
    [("login -u me -p x --password-stdin {}", "x")],
    [("logout", ""), ("logout nowhere.example", "")],
]


@pytest.mark.parametrize("lines", LINES, ids=lambda lines: lines[0][0])
def test_both_say_and_keep_the_same(
    engine: Sampan, registry: Registry, tmp_path: Path, lines: list[tuple[str, str]]
) -> None:
    split = [(words.format(registry.address).split(), stdin) for words, stdin in lines]
    theirs, their_config = play(engine, "docker", tmp_path / "docker", split)
    ours, our_config = play(engine, "sampan", tmp_path / "sampan", split)
    assert told(ours, tmp_path / "sampan") == told(theirs, tmp_path / "docker")
    assert (our_config.get("auths") or {}) == (their_config.get("auths") or {})


def test_what_one_keeps_the_other_uses(engine: Sampan, registry: Registry, tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    file = tmp_path / ".docker/config.json"
    file.write_text('{"psFormat": "{{.ID}}", "auths": {"other.example": {"auth": "YTpi"}}}')
    home = {"HOME": str(tmp_path)}
    words = ("login", "-u", "me", "--password-stdin", registry.address)
    assert engine.sampan(*words, stdin=b"secret", env=home).code == 0
    kept = json.loads(file.read_text())
    assert kept["psFormat"] == "{{.ID}}"
    assert sorted(kept["auths"]) == sorted([registry.address, "other.example"])
    assert engine.docker("login", registry.address, env=home).code == 0
    assert engine.docker("logout", registry.address, env=home).code == 0
    assert engine.sampan("login", registry.address, env=home).code == 1


def test_a_person_is_asked(engine: Sampan, registry: Registry, tmp_path: Path) -> None:
    environment = {**scrubbed_environment(), "HOME": str(tmp_path), "DOCKER_HOST": engine.host}
    with Terminal([*entry_point("sampan"), "login", registry.address], environment) as terminal:
        terminal.expect(b"Username: ")
        terminal.press(b"me\r")
        terminal.expect(b"Password: ")
        terminal.press(b"secret\r")
        shown = terminal.expect(b"Login Succeeded")
        assert b"secret" not in shown
        assert terminal.wait() == 0


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--no-trunc"],
        ["--limit", "1"],
        ["--filter", "is-official=true"],
        ["--format", "{{.Name}} {{.StarCount}} {{.IsOfficial}}"],
        ["--format", "table {{.Name}}\t{{.Description}}"],
        ["--format", "json"],
    ],
    ids=" ".join,
)
def test_search(engine: Sampan, words: list[str]) -> None:
    def behave(request: Handler) -> None:
        rows = [
            {"name": "b/it", "description": "what it is\nin two lines and so much more", "star_count": 30},
            {"name": "official", "description": "x" * 60, "is_official": True, "star_count": 4},
        ]
        request.answer(200, json.dumps({"results": rows}).encode())

    with scripted_registry(behave) as scripted:
        line = ["search", *words, f"{scripted.address}/it"]
        theirs, ours = engine.docker(*line), engine.sampan(*line)
    assert (ours.code, ours.out, ours.err) == (theirs.code, theirs.out, theirs.err)
