"""The word of the command line and --file: which files, which Dockerfile, which ignore rules."""

import io
import sys
import tarfile
from pathlib import Path

import pytest

from sampan.cli.build.context import Context, open_context
from sampan.cli.build.packing import pack
from sampan.cli.failures import Exit


def contents(context: Context) -> dict[str, str]:
    data = b"".join(pack(context.parts))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        files = {member.name: archive.extractfile(member) for member in archive.getmembers() if member.isfile()}
        return {name: file.read().decode() for name, file in files.items() if file is not None}


def test_a_directory(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM a")
    (tmp_path / "x").write_text("x")
    context = open_context(str(tmp_path), "")
    assert (context.file, context.shown, context.text) == ("Dockerfile", "Dockerfile", "FROM a")
    assert contents(context) == {"Dockerfile": "FROM a", "x": "x"}


def test_a_lower_case_dockerfile(tmp_path: Path) -> None:
    (tmp_path / "dockerfile").write_text("FROM a")
    assert open_context(str(tmp_path), "").file == "dockerfile"


def test_a_file_below_with_rules_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "prod.Dockerfile").write_text("FROM a")
    (tmp_path / "docker" / "prod.Dockerfile.dockerignore").write_text("*\n!y")
    (tmp_path / ".dockerignore").write_text("y")
    (tmp_path / "x").write_text("x")
    (tmp_path / "y").write_text("y")
    context = open_context(str(tmp_path), str(tmp_path / "docker" / "prod.Dockerfile"))
    assert (context.file, context.shown) == ("docker/prod.Dockerfile", "prod.Dockerfile")
    assert contents(context) == {
        "docker/prod.Dockerfile": "FROM a",
        "docker/prod.Dockerfile.dockerignore": "*\n!y",
        "y": "y",
    }


def test_dockerfile_and_rules_are_sent_whatever_the_rules_say(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM a")
    (tmp_path / ".dockerignore").write_text("**")
    assert set(contents(open_context(str(tmp_path), ""))) == {"Dockerfile", ".dockerignore"}


def test_a_file_from_elsewhere_gets_a_name_that_no_step_sees(tmp_path: Path) -> None:
    root = tmp_path / "context"
    root.mkdir()
    (root / ".dockerignore").write_text("x")
    (root / "x").write_text("x")
    (tmp_path / "Other").write_text("FROM other")
    context = open_context(str(root), str(tmp_path / "Other"), prefix="context/")
    found = contents(context)
    assert context.file.startswith(".dockerfile.")
    assert context.shown == "Other"
    assert found == {
        f"context/{context.file}": "FROM other",
        f"context/{context.file}.dockerignore": f"x\n/{context.file}\n/{context.file}.dockerignore\n",
        "context/.dockerignore": "x",
    }
    assert open_context(str(root), str(tmp_path / "Other")).file == context.file


def test_a_link_out_of_the_context_is_from_elsewhere(tmp_path: Path) -> None:
    root = tmp_path / "context"
    root.mkdir()
    (tmp_path / "Other").write_text("FROM other")
    (root / "Dockerfile").symlink_to("../Other")
    assert open_context(str(root), "").file.startswith(".dockerfile.")


def test_a_dockerfile_on_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"FROM in")))
    (tmp_path / "x").write_text("x")
    context = open_context(str(tmp_path), "-")
    assert contents(context)[context.file] == "FROM in"


def test_a_text_alone_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"FROM in\nRUN x\n" * 100)))
    context = open_context("-", "")
    assert contents(context) == {"Dockerfile": "FROM in\nRUN x\n" * 100}


def test_an_archive_on_standard_input_goes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"\x1f\x8b" + bytes(300_000)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    context = open_context("-", "sub/Dockerfile")
    assert context.file == "sub/Dockerfile"
    assert context.archive is not None
    assert b"".join(context.archive) == data


@pytest.mark.parametrize(
    "word", ["https://example.com/x.tar.gz", "git@example.com:a/b.git#main:dir", "github.com/a/b", "git://host/x"]
)
def test_remotes_are_the_daemons(word: str) -> None:
    context = open_context(word, "docker/File")
    assert (context.remote, context.file) == (word, "docker/File")


@pytest.mark.parametrize(
    ("word", "file", "message"),
    [
        ("-", "-", "can't use stdin for both build context and dockerfile"),
        ("https://example.com/x", "-", "needs a directory as its context"),
        ("/does/not/exist", "", 'unable to prepare context: path "/does/not/exist" not found'),
        ("/etc/passwd", "", 'path "/etc/passwd" is not a directory'),
        ("/", "/does/not/exist", "failed to read dockerfile: open /does/not/exist: no such file or directory"),
    ],
)
def test_what_cannot_be(word: str, file: str, message: str) -> None:
    with pytest.raises(Exit) as end:
        open_context(word, file)
    assert message in end.value.text


def test_nothing_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(Exit, match="no build context on standard input"):
        open_context("-", "")


def test_malformed_rules_are_named(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM a")
    (tmp_path / ".dockerignore").write_text("a[")
    with pytest.raises(Exit, match=r"\.dockerignore: syntax error in pattern"):
        open_context(str(tmp_path), "")
