"""The rooms of docs/design.md, held by reading the sources: who may import whom, what only one room may do, and sizes.

What breaks a rule and stays is in EXCEPTIONS with its reason. The list may only shrink: an entry that no longer matches
anything fails, too.
"""

import ast
import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SOURCE = PROJECT / "src" / "sampan"

FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "crashpoints", "version"),
    ("telemetry", "threads"),
    ("spec", "templates"),
    ("dockerfile", "drivers", "kernel"),
    ("host", "testing"),
    ("files",),
    ("state",),
    ("content", "snapshots", "volumes"),
    ("cgroups", "network"),
    ("logs", "registry"),
    ("plugins",),
    ("runtime",),
    ("images", "transfer", "oci"),
    ("managed",),
    ("build",),
    ("buildkit",),
    ("daemon",),
    ("api",),
    ("client",),
    ("rootless",),
    ("cli",),
    ("daemon_main", "cli_main"),
)
"""From the ground up. A room imports rooms of the floors before its own; rooms on one floor never import each other."""

MODULE_LINES = 400
FUNCTION_LINES = 70

EXCEPTIONS: dict[tuple[str, str], str] = {}
"""(rule, what) → reason. `what` is as the failing test prints it."""


@dataclass(frozen=True)
class Module:
    """One source file, parsed."""

    path: str
    """relative to src/sampan"""
    text: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """`kernel` for kernel/mount.py, `errors` for errors.py, "" for the package's own `__init__`."""
        first = self.path.split("/", 1)[0].removesuffix(".py")
        return "" if first == "__init__" else first


def parse(path: str, text: str) -> Module:
    return Module(path, text, ast.parse(text))


@functools.cache
def modules() -> tuple[Module, ...]:
    return tuple(parse(str(file.relative_to(SOURCE)), file.read_text()) for file in sorted(SOURCE.rglob("*.py")))


def imported(module: Module) -> Iterator[str]:
    """Dotted names of everything that is imported anywhere in the file, function bodies included."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            yield from (f"{base}.{alias.name}" for alias in node.names)


def imported_rooms(module: Module) -> set[str]:
    names = (name.split(".") for name in imported(module))
    return {parts[1] for parts in names if parts[0] == "sampan" and len(parts) > 1}


def floor(room: str) -> int:
    for height, rooms in enumerate(FLOORS):
        if room in rooms:
            return height
    raise AssertionError(f"room {room!r} is not in the list of docs/design.md")


def attributes(module: Module) -> set[str]:
    """`os.environ` for every such expression, and for `from os import environ`."""
    found = {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    return found | set(imported(module))


def is_allowed(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or (place.endswith("/") and path.startswith(place)) for place in places)


def wrong_directions(module: Module) -> Iterator[str]:
    for other in sorted(imported_rooms(module) - {module.room}):
        upwards = floor(other) >= floor(module.room)
        if upwards or (module.room, other) == ("api", "daemon"):
            yield f"{module.path} imports {other}"


ONLY_IN: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # what: (names, where it may stand)
    "ctypes": (("ctypes",), ("kernel/",)),
    "environment": (
        ("os.environ", "os.environb", "os.getenv", "os.putenv"),
        (
            "cli/",
            "client/context.py",
            "cli_main.py",
            "daemon_main.py",
            "daemon/assembly.py",
            "crashpoints.py",
            "oci/command.py",
            "oci/command_line.py",
        ),
    ),
    # Beside the runtime: layers are unpacked and files carried by jailed children, or merged by a program; features are probed in
    # one, a build's repositories are git's business, the command starts a daemon, asks the programs that keep logins, and its
    # plugins; a bundle is made by a builder as a container is, and has hooks. userns-remap=default's user is made by useradd.
    # Drivers of other people's have processes of their own, and a managed plugin is made by sampan-oci.
    "subprocess": (
        ("subprocess", "os.fork", "os.posix_spawn", "pty.fork"),
        (
            "runtime/",
            "snapshots/jail.py",
            "snapshots/server.py",
            "snapshots/serving.py",
            "transfer/porter.py",
            "build/tree/git_program.py",
            "daemon/remap_user.py",
            "host/",
            "rootless/",
            "cli/verbs/rootless.py",
            "cli/daemon_start.py",
            "cli/credentials/keychain.py",
            "cli/plugins.py",
            "oci/making.py",
            "oci/hooks.py",
            "oci/inside.py",
            "oci/last_steps.py",
            "oci/listing.py",
            "plugins/installed.py",
            "managed/process.py",
        ),
    ),
    "threads-before-fork": (("multiprocessing", "concurrent.futures.process"), ()),
}


def misplaced(rule: str, module: Module) -> Iterator[str]:
    names, places = ONLY_IN[rule]
    if is_allowed(module.path, places):
        return
    used = attributes(module)
    for name in names:
        if any(one == name or one.startswith(name + ".") for one in used):
            yield f"{module.path} uses {name}"


def too_long(module: Module) -> Iterator[str]:
    if len(module.text.splitlines()) > MODULE_LINES:
        yield module.path
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{module.path} {node.name}"


def unnamed_ideas(module: Module) -> Iterator[str]:
    """Names under which everything would fit and nothing be found."""
    for part in module.path.removesuffix(".py").split("/"):
        if re.search(r"(^|_)(utils?|helpers?|common|managers?|misc|tools?)($|_)", part):
            yield module.path


def extractions(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr in ("extractall", "extractfile"):
            yield f"{module.path} calls {node.attr}"


def statuses(module: Module) -> Iterator[str]:
    """HTTP statuses as numbers, outside the rooms that speak HTTP."""
    if module.room in ("api", "client", "cli", "registry", "plugins", "drivers"):
        return
    for node in ast.walk(module.tree):
        if not (isinstance(node, ast.keyword) and node.arg == "status" and isinstance(node.value, ast.Constant)):
            continue
        if isinstance(node.value.value, int):
            yield f"{module.path} names a status"


def breaches(rule: str) -> list[str]:
    check = RULES[rule]
    return sorted({breach for module in modules() for breach in check(module)})


RULES: dict[str, Callable[[Module], Iterator[str]]] = {
    "direction": wrong_directions,
    "size": too_long,
    "name": unnamed_ideas,
    "extraction": extractions,
    "status": statuses,
    **{rule: functools.partial(misplaced, rule) for rule in ONLY_IN},
}


@pytest.mark.parametrize("rule", RULES)
def test_rule_holds(rule: str) -> None:
    excepted = {what for kind, what in EXCEPTIONS if kind == rule}
    assert [breach for breach in breaches(rule) if breach not in excepted] == []


def test_exceptions_only_shrink() -> None:
    stale = [(rule, what) for rule, what in EXCEPTIONS if rule not in RULES or what not in breaches(rule)]
    assert stale == [], "these are mended: take them out of EXCEPTIONS"


def test_every_room_is_on_a_floor() -> None:
    known = {room for rooms in FLOORS for room in rooms}
    assert {module.room for module in modules()} - known - {""} == set()


def test_every_package_says_what_belongs_there() -> None:
    packages = {path.parent for path in SOURCE.rglob("*.py")}
    silent = [str(package.relative_to(PROJECT)) for package in packages if not _is_docstring(package / "__init__.py")]
    assert silent == [], "its __init__.py is a docstring: what belongs here, what does not, what it may import"


def _is_docstring(init: Path) -> bool:
    if not init.exists():
        return False
    tree = ast.parse(init.read_text())
    return len(tree.body) == 1 and len(ast.get_docstring(tree) or "") > 40


PLACES = ["src", "tests", "docs", "bench", "scripts", "packaging", ".ci", "README.md", "README.zh.md", "check", "try"]
OUTSIDE = re.compile(r"\.\./shared|/work/|shared/reference|DESIGN\.md")


def test_nothing_refers_to_what_is_not_in_the_project() -> None:
    """The one exception compares Sampan's answers with the API's schema, which lies beside the project where it is built."""
    files = (file for place in PLACES for file in _files(PROJECT / place))
    naming = [str(file.relative_to(PROJECT)) for file in files if OUTSIDE.search(file.read_text(errors="replace"))]
    assert [name for name in naming if name not in SCHEMA_TESTS] == []


SCHEMA_TESTS = ("tests/api/test_schema.py", "tests/unit/test_architecture.py")


def _files(place: Path) -> Iterator[Path]:
    candidates = place.rglob("*") if place.is_dir() else [place]
    for file in candidates:
        if file.is_file() and file.suffix not in (".pyc", ".png") and "__pycache__" not in file.parts:
            yield file


@pytest.mark.parametrize(
    ("rule", "path", "text", "breach"),
    [
        ("direction", "kernel/mount.py", "from sampan.files import locks", "kernel/mount.py imports files"),
        ("direction", "network/bridge.py", "def f():\n import sampan.cgroups", "network/bridge.py imports cgroups"),
        ("direction", "api/routes.py", "from sampan.daemon import create", "api/routes.py imports daemon"),
        ("ctypes", "files/x.py", "from ctypes import c_int", "files/x.py uses ctypes"),
        ("environment", "daemon/x.py", "import os\nos.environ['A']", "daemon/x.py uses os.environ"),
        ("environment", "daemon/x.py", "from os import getenv", "daemon/x.py uses os.getenv"),
        ("subprocess", "daemon/x.py", "import subprocess", "daemon/x.py uses subprocess"),
        ("name", "daemon/string_utils.py", "", "daemon/string_utils.py"),
        ("extraction", "images/x.py", "archive.extractall('/')", "images/x.py calls extractall"),
        ("size", "images/x.py", "def f():\n" + " pass\n" * 70, "images/x.py f"),
        ("size", "images/x.py", "\n" * 401, "images/x.py"),
    ],
)
def test_rules_see_a_breach(rule: str, path: str, text: str, breach: str) -> None:
    assert breach in list(RULES[rule](parse(path, text)))


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        ("direction", "daemon/x.py", "from sampan.kernel import mount\nfrom sampan import errors"),
        ("direction", "daemon_main.py", "from sampan.api import server\nfrom sampan.daemon import engine"),
        ("environment", "cli/x.py", "import os\nos.environ['A']"),
        ("ctypes", "kernel/x.py", "import ctypes"),
        ("name", "network/tables.py", ""),
    ],
)
def test_rules_let_pass_what_is_right(rule: str, path: str, text: str) -> None:
    assert list(RULES[rule](parse(path, text))) == []
