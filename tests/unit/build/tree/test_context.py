"""Contexts: what arrives, what is refused, what the digest stands on."""

import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from sampan.build.tree import arrival, index
from sampan.build.tree.context import BadContext, Context, empty_context, unpack_context
from sampan.build.tree.room import TooLarge
from sampan.build.tree.selection import BadSelection
from sampan.build.tree.source import SourceMissing
from sampan.files.paths import BadPath
from sampan.files.tar_reader import BadArchive
from tests.unit.build.tree.archives import Content, packed

TREE: dict[str, Content] = {
    "Dockerfile": b"FROM scratch\n",
    "src": None,
    "src/main.c": b"int main;",
    "src/lib/a.h": b"a",
    "src/lib/b.h": b"b",
    "link": "src/lib",
    "absolute": "/src/main.c",
    "up": "../../../src/main.c",
}


class Store:
    """Makes contexts below one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._count = 0
        self._open: list[Context] = []

    def context(self, files: Mapping[str, Content] | io.BytesIO, **keywords: object) -> Context:
        stream = files if isinstance(files, io.BytesIO) else packed(files, **keywords)  # type: ignore[arg-type]
        into = self.place()
        try:
            made = unpack_context(stream, into)
        finally:
            os.close(into)
        self._open.append(made)
        return made

    def place(self) -> int:
        self._count += 1
        place = self._directory / str(self._count)
        place.mkdir()
        return os.open(place, os.O_RDONLY | os.O_DIRECTORY)

    def close(self) -> None:
        for context in self._open:
            context.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    yield made
    made.close()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("compression", ["", "gz", "bz2", "xz", "zst"])
def test_compressions_make_no_difference(store: Store, compression: str) -> None:
    plain = store.context(TREE)
    other = store.context(TREE, compression=compression)
    assert plain.digest(["."]) == other.digest(["."])
    assert other.read("src/main.c") == b"int main;"


def test_times_and_owners_do_not_count(store: Store) -> None:
    assert store.context(TREE, mtime=1).digest(["."]) == store.context(TREE, mtime=2).digest(["."])


@pytest.mark.parametrize(
    ("change", "affected"),
    [
        ({"src/main.c": b"int main2"}, {".", "src", "src/*.c", "absolute", "up"}),
        ({"src/lib/a.h": b"A"}, {".", "src", "link", "src/lib/a.h", "link/*.h"}),
        ({"src/lib/c.h": b"c"}, {".", "src", "link", "link/*.h"}),
        ({"other": b""}, {"."}),
        ({"up": "elsewhere"}, {".", "up"}),
    ],
)
def test_a_digest_stands_on_what_is_selected_and_nothing_else(
    store: Store, change: dict[str, Content], affected: set[str]
) -> None:
    before = store.context(TREE)
    after = store.context({**TREE, **change, "elsewhere": b"x"} if "up" in change else {**TREE, **change})
    paths = [".", "src", "src/*.c", "absolute", "up", "link", "src/lib/a.h", "link/*.h", "Dockerfile"]
    changed = {path for path in paths if before.digest([path]) != after.digest([path])}
    assert changed == affected


def test_a_mode_counts(store: Store) -> None:
    assert store.context(TREE).digest(["src"]) != store.context(TREE, mode=0o755).digest(["src"])


def test_a_part_that_is_not_copied_does_not_count(store: Store) -> None:
    one, two = store.context({**TREE, "src/x.log": b"1"}), store.context({**TREE, "src/x.log": b"2"})
    assert one.digest(["src"]) != two.digest(["src"])
    assert one.digest(["src"], ["*.log"]) == two.digest(["src"], ["*.log"])
    assert one.digest(["src/./lib/*.h"], parents=True) == two.digest(["src/./lib/*.h"], parents=True)
    assert one.digest(["src/./**/*.h"], parents=True) != one.digest(["src/./lib/a.h"], parents=True)


def test_what_changed_has_a_name(store: Store) -> None:
    before = store.context(TREE)
    after = store.context({**TREE, "src/lib/a.h": b"A", "src/lib/c.h": b"c"})
    one, two = (context.listing(["src", "Dockerfile"]) for context in (before, after))
    assert one.keys() == {"src/main.c", "src/lib/a.h", "src/lib/b.h", "Dockerfile"}
    assert {name for name in one.keys() | two.keys() if one.get(name) != two.get(name)} == {
        "src/lib/a.h",
        "src/lib/c.h",
    }
    assert before.listing(["link/*.h"]).keys() == {"link/a.h", "link/b.h"}
    assert before.listing(["nothing"]) == {}
    assert before.listing(["src", "Dockerfile"], most=3) == {}


def test_names_are_not_joined_with_contents(store: Store) -> None:
    one = store.context({"a/b": b"c", "a/bc": b""})
    two = store.context({"a/b": b"", "a/bc": b"c"})
    assert one.digest(["a"]) != two.digest(["a"])


def test_what_comes_later_replaces_what_was_there(store: Store) -> None:
    stream = packed({"a": b"old", "d/x": b"1", "d": None, "d/y": b"2", "f/below": b"3"})
    extended = packed({"a": b"new", "f": b"file now"})
    joined = io.BytesIO(_entries(stream) + _entries(extended) + bytes(1024))
    context = store.context(joined)
    assert context.read("a") == b"new"
    assert context.read("d/x") == b"1"
    assert context.read("d/y") == b"2"
    assert context.read("f") == b"file now"


def _entries(stream: io.BytesIO) -> bytes:
    with tarfile.open(fileobj=stream) as archive:
        archive.getmembers()
        return stream.getvalue()[: archive.offset]


def test_a_hard_link_is_its_file(store: Store) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("d/file")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("hard")
        link.type, link.linkname = tarfile.LNKTYPE, "d/file"
        archive.addfile(link)
    out.seek(0)
    context = store.context(out)
    assert context.read("hard") == b"abc"
    tree = context.tree().directory()
    there = [os.stat(name, dir_fd=tree) for name in ("hard", "d/file")]
    assert there[0].st_ino == there[1].st_ino
    assert there[0].st_nlink == 2


def _special(name: str, kind: bytes, target: str = "") -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        archive.addfile(member)
    out.seek(0)
    return out


@pytest.mark.parametrize(
    ("stream", "error"),
    [
        (packed({"../escape": b"x"}), BadPath),
        (packed({"a/../../escape": b"x"}), BadPath),
        (_special("hard", tarfile.LNKTYPE, "/etc/passwd"), BadArchive),
        (_special("hard", tarfile.LNKTYPE, "../../etc/passwd"), BadPath),
        (_special("hard", tarfile.LNKTYPE, "hard"), BadArchive),
        (packed({"a": b"file", "a/b": b"below a file"}), BadArchive),
        (packed({"a": "b", "b": "a", "a/c": b"below a circle"}), BadArchive),
        (io.BytesIO(b"this is no tar" * 100), BadArchive),
        (io.BytesIO(packed({"a": b"x" * 5000}).getvalue()[:3000]), BadArchive),
        (io.BytesIO(packed({"a": b"x" * 5000}, compression="gz").getvalue()[:60]), BadArchive),
    ],
)
def test_bad_archives_are_refused(store: Store, stream: io.BytesIO, error: type[Exception]) -> None:
    stream.seek(0)
    with pytest.raises(error):
        store.context(stream)


def test_an_absolute_name_lies_in_the_root(store: Store) -> None:
    assert store.context({"/etc/passwd": b"mine"}).read("etc/passwd") == b"mine"


def test_names_that_are_no_text(store: Store) -> None:
    name = os.fsdecode(b"na\xefve/\xff\xfe")
    context = store.context({name: b"x"})
    assert context.read(name) == b"x"
    assert os.stat(name, dir_fd=context.tree().directory()).st_size == 1
    assert context.digest(["na*"]) != context.digest(["."])


def test_links_never_lead_out(store: Store) -> None:
    context = store.context(
        {"out": "../../../../etc/passwd", "abs": "/etc/passwd", "etc/passwd": b"inside", "o": "out"}
    )
    assert {context.read(name) for name in ("out", "abs", "o")} == {b"inside"}


def test_entries_are_counted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    files: dict[str, Content] = {f"{n}": b"" for n in range(20)}
    assert len(os.listdir(store.context(files).tree().directory())) == 20
    monkeypatch.setattr(index, "MOST_ENTRIES", 19)
    with pytest.raises(BadArchive, match="more than 19 entries"):
        store.context(files)


def test_directories_that_are_only_implied_are_counted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "MOST_ENTRIES", 50)
    with pytest.raises(BadArchive, match="more than 50 entries"):
        store.context({"/".join("d" * 60) + "/f": b""})


def test_depth_is_bounded(store: Store) -> None:
    """Links let a path grow beyond what one name can say."""
    deep = "/".join(["d" * 50] * 30)
    files: dict[str, Content] = {f"{deep}/f": b"", "one": deep, f"one/{deep}/f": b"", "two": f"one/{deep}"}
    store.context(files).digest(["."])
    for name in (f"two/{deep}/f", f"two/{deep}"):
        with pytest.raises(BadArchive, match="longer than 4095 bytes"):
            store.context({**files, name: None})


def test_text_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "MOST_TEXT", 1000)
    store.context({letter * 200: b"" for letter in "abcd"})
    with pytest.raises(BadArchive, match="longer than 1000 bytes"):
        store.context({letter * 200: b"" for letter in "abcdef"})


@pytest.mark.parametrize("files", [{"n" * 256: b""}, {"n" * 256 + "/f": b""}, {"link": "t" * 4096}])
def test_what_no_file_system_could_hold(store: Store, files: dict[str, Content]) -> None:
    with pytest.raises(BadArchive, match="no file system could hold"):
        store.context(files)


def test_size_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrival, "CONTEXT_LIMIT", 50_000)
    store.context({"a": b"x" * 30_000})
    with pytest.raises((BadArchive, TooLarge), match=r"more than|larger than"):
        store.context({"a": b"x" * 30_000, "b": b"x" * 30_000})
    with pytest.raises((BadArchive, TooLarge), match=r"more than|larger than"):
        store.context(packed({"bomb": bytes(5_000_000)}, compression="gz"))


def test_a_sparse_file_of_terabytes_costs_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrival, "CONTEXT_LIMIT", 1 << 60)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("sparse")
        content = b"2\n0\n4\n1099511627772\n4\n".ljust(512, b"\0") + b"headtail"
        member.size = len(content)
        member.pax_headers = {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": "sparse",
            "GNU.sparse.realsize": str(1 << 40),
        }
        archive.addfile(member, io.BytesIO(content))
    out.seek(0)
    context = store.context(out)
    assert context.digest(["sparse"])
    status = os.stat("sparse", dir_fd=context.tree().directory())
    assert status.st_size == 1 << 40
    assert status.st_blocks < 100


def test_only_what_is_wanted_is_unpacked(store: Store) -> None:
    context = store.context(TREE)
    tree = context.tree(["src/lib/a.h"]).directory()
    assert sorted(os.listdir(tree)) == ["absolute", "link", "src", "up"]
    assert os.stat("src/lib/a.h", dir_fd=tree).st_size == 1
    with pytest.raises(FileNotFoundError):
        os.stat("src/main.c", dir_fd=tree)
    context.tree(["link/*.h", "up"]).directory()
    assert os.stat("src/lib/b.h", dir_fd=tree).st_size == 1
    assert os.stat("src/main.c", dir_fd=tree).st_mtime == 1_000_000_000
    assert os.stat("src", dir_fd=tree).st_mtime == 1_000_000_000
    assert "Dockerfile" not in os.listdir(tree)


def test_missing_paths_are_told_as_docker_does(store: Store) -> None:
    context = store.context(TREE)
    for path in ("nothing", "src/nothing", "src/main.c/below", "nothing/at/all"):
        with pytest.raises(SourceMissing) as caught:
            context.digest([path])
        assert str(caught.value) == (
            f"file not found in build context or excluded by .dockerignore: stat {path}: file does not exist"
        )
    with pytest.raises(SourceMissing):
        context.digest(["src/nothing"], parents=True)
    circle = store.context({"one": "two", "two": "one"})
    with pytest.raises(BadSelection, match="stat one: too many levels of symbolic links"):
        circle.digest(["one"])
    assert os.listdir(circle.tree(["one"]).directory())
    assert context.digest(["none*"])  # nothing fits: nothing is copied
    with pytest.raises(BadSelection, match="syntax error in pattern"):
        context.digest(["[a-"])


def test_the_dockerfile_is_found(store: Store) -> None:
    assert store.context(TREE).dockerfile() == ("Dockerfile", "FROM scratch\n")
    assert store.context({"dockerfile": b"FROM a"}).dockerfile() == ("dockerfile", "FROM a")
    assert store.context({"build/x": b"FROM a", "Dockerfile": "build/x"}).dockerfile() == ("Dockerfile", "FROM a")


@pytest.mark.parametrize(
    ("files", "name", "message"),
    [
        ({}, "Dockerfile", "Cannot locate specified Dockerfile: Dockerfile"),
        ({"dockerfile": b"FROM a"}, "Other", "Cannot locate specified Dockerfile: Other"),
        ({"Dockerfile": b""}, "Dockerfile", "the Dockerfile (Dockerfile) cannot be empty"),
        ({"Dockerfile": None}, "Dockerfile", "unexpected error reading Dockerfile: read Dockerfile: is a directory"),
        ({"Dockerfile": "/etc/passwd"}, "Dockerfile", "Cannot locate specified Dockerfile: Dockerfile"),
        ({"Dockerfile": "../../../etc/passwd"}, "Dockerfile", "Cannot locate specified Dockerfile: Dockerfile"),
        ({"Dockerfile": "Dockerfile"}, "Dockerfile", "too many levels of symbolic links"),
        ({"a": b""}, "../../etc/passwd", "Cannot locate specified Dockerfile: ../../etc/passwd"),
        ({"Dockerfile": b"#" * (5 << 20)}, "Dockerfile", "larger than 4194304 bytes"),
    ],
)
def test_a_dockerfile_that_is_none(store: Store, files: dict[str, Content], name: str, message: str) -> None:
    with pytest.raises(BadContext) as caught:
        store.context(files).dockerfile(name)
    assert message in str(caught.value)


def test_a_dockerfile_that_is_a_fifo(store: Store) -> None:
    with pytest.raises(BadContext, match="not a regular file"):
        store.context(_special("Dockerfile", tarfile.FIFOTYPE)).dockerfile()


def test_the_ignore_file_takes_itself_and_the_dockerfile_out(store: Store) -> None:
    files: dict[str, Content] = {
        ".dockerignore": b"Dockerfile\n.dockerignore\nkept\n",
        "kept": b"x",
        "Dockerfile": b"FROM a",
    }
    context = store.context(files)
    context.dockerfile()
    # What else the patterns name is the client's business: it has not sent it.
    assert os.listdir(context.tree().directory()) == ["kept"]
    with pytest.raises(SourceMissing):
        context.digest(["Dockerfile"])


def test_the_ignore_file_of_one_dockerfile_counts_first(store: Store) -> None:
    files: dict[str, Content] = {
        ".dockerignore": b"**",
        "app.Dockerfile.dockerignore": b"app.*.dockerignore",
        "app.Dockerfile": b"FROM a",
    }
    context = store.context(files)
    context.dockerfile("app.Dockerfile")
    assert sorted(os.listdir(context.tree().directory())) == [".dockerignore", "app.Dockerfile"]


def test_a_bad_ignore_file(store: Store) -> None:
    with pytest.raises(BadContext, match=r"error reading \.dockerignore: "):
        store.context({"Dockerfile": b"FROM a", ".dockerignore": b"[a-"}).dockerfile()


def test_a_context_of_nothing(store: Store) -> None:
    into = store.place()
    with empty_context(into) as context:
        assert os.listdir(context.tree().directory()) == []
        with pytest.raises(SourceMissing):
            context.digest(["a"])
    os.close(into)


def test_a_part_is_a_context_of_its_own(store: Store) -> None:
    whole = store.context({"one": None, "one/f": b"1", "two": None, "two/f": b"2", "other": b"3"})
    place, nothing = store.place(), store.place()
    with whole.apart("one", place) as part, whole.apart("not-there", nothing) as empty:
        assert part.read("f") == b"1"
        assert os.listdir(part.tree().directory()) == ["f"]
        assert os.listdir(empty.tree().directory()) == []
        with pytest.raises(FileNotFoundError):
            part.read("../two/f")
    for descriptor in (place, nothing):
        os.close(descriptor)
    assert sorted(os.listdir(whole.tree().directory())) == ["other", "two"]
