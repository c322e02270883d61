"""What each small process loads. A fork's price grows with what its parent holds, and a command's start-up is its imports.

The lists are closed: a module more is a failure here, to be argued for and not to be slipped in.
"""

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"

LAUNCHER_STANDARD = {
    # named by docs/design.md
    *("os", "sys", "ctypes", "struct", "socket", "select", "signal", "errno", "enum", "time", "json", "gc"),
    # what those load themselves
    *(
        "_ctypes",
        "_json",
        "_signal",
        "_socket",
        "_struct",
        "ctypes._endian",
        "json.decoder",
        "json.encoder",
        "json.scanner",
    ),
    *("_operator", "_sre", "_functools", "_collections", "_weakref", "_abc", "_collections_abc", "abc", "collections"),
    *(
        "copyreg",
        "functools",
        "itertools",
        "keyword",
        "math",
        "operator",
        "posixpath",
        "re",
        "re._casefix",
        "re._compiler",
    ),
    *(
        "re._constants",
        "re._parser",
        "reprlib",
        "selectors",
        "stat",
        "types",
        "genericpath",
        "os.path",
        "posix",
        "array",
    ),
    *("builtins", "codecs", "encodings", "encodings.aliases", "encodings.utf_8", "_codecs", "_io", "io", "_stat"),
    *(
        "marshal",
        "zipimport",
        "importlib",
        "importlib._bootstrap",
        "importlib._bootstrap_external",
        "importlib.machinery",
    ),
    *("_frozen_importlib", "_frozen_importlib_external", "_imp", "_thread", "_warnings", "__main__", "_ast", "_types"),
    *("collections.abc", "linecache", "encodings.latin_1", "_opcode"),
}
LAUNCHER_ROOMS = ("sampan.kernel", "sampan.runtime", "sampan.cgroups", "sampan.logs", "sampan.network")
LAUNCHER_ALONE = {"sampan", "sampan.crashpoints"}

NOT_IN_A_COMMAND = {
    *(
        "asyncio",
        "typing",
        "dataclasses",
        "inspect",
        "subprocess",
        "http.client",
        "urllib.request",
        "email",
        "argparse",
    ),
    *(
        "ssl",
        "logging",
        "tempfile",
        "shutil",
        "msgspec",
        "h11",
        "zstandard",
        "isal",
        "sqlite3",
        "json",
        "pathlib",
        "random",
    ),
}


def loaded(statement: str, *flags: str) -> set[str]:
    """`sys.modules` of a fresh interpreter after `statement`."""
    program = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); {statement}; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, *flags, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    return set(done.stdout.split())


def test_launcher_loads_the_closed_list() -> None:
    found = loaded("import sampan.runtime.launcher", "-I", "-S", "-B")
    own = {name for name in found if name.split(".")[0] == "sampan"}
    assert found - own - LAUNCHER_STANDARD == set()
    assert {name for name in own - LAUNCHER_ALONE if not name.startswith(LAUNCHER_ROOMS)} == set()


def test_launcher_leaves_out_what_is_large() -> None:
    found = loaded("import sampan.runtime.launcher", "-I", "-S", "-B")
    assert found & {"typing", "dataclasses", "pathlib", "msgspec", "asyncio", "sqlite3", "inspect", "logging"} == set()


def test_rooms_themselves_load_nothing() -> None:
    found = loaded(
        "import sampan, sampan.kernel, sampan.runtime, sampan.network, sampan.cgroups, sampan.logs", "-I", "-S"
    )
    assert found - loaded("pass", "-I", "-S") == {
        *("sampan", "sampan.kernel", "sampan.runtime", "sampan.network", "sampan.cgroups", "sampan.logs"),
    }


def test_fast_path_of_the_command() -> None:
    assert loaded("import sampan.cli_main", "-I") & NOT_IN_A_COMMAND == set()
