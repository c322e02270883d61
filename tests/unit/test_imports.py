"""What each small process loads. A fork's price grows with what its parent holds, and a command's start-up is its imports.

The lists are closed: a module more is a failure here, to be argued for and not to be slipped in.
"""

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"

LAUNCHER_STANDARD = set(
    """
    __future__ __main__ _abc _codecs _collections _collections_abc _ctypes _frozen_importlib
    _frozen_importlib_external _functools _imp _io _json _operator _signal _socket _sre _stat _struct _thread
    _warnings _weakref abc array builtins codecs collections collections.abc copyreg ctypes ctypes._endian
    encodings encodings.aliases encodings.utf_8 enum errno functools gc genericpath io itertools json
    json.decoder json.encoder json.scanner keyword marshal math operator os os.path posix posixpath re
    re._casefix re._compiler re._constants re._parser reprlib select selectors signal socket stat struct sys
    time types zipimport zlib
    """.split()
)
"""What os, sys, ctypes, struct, socket, select, signal, errno, enum, time, json and gc are on CPython 3.11, and nothing else."""

LAUNCHER_ROOMS = (
    *("sampan.kernel", "sampan.runtime", "sampan.cgroups", "sampan.logs", "sampan.network"),
    *("sampan.telemetry", "sampan.telemetry.lines"),
)
LAUNCHER_ALONE = {
    *("sampan", "sampan.crashpoints", "sampan.host", "sampan.host.mapped", "sampan.files", "sampan.files.own_root"),
    *("sampan.spec", "sampan.spec.detach_keys"),
}

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
    # A later CPython splits its internals further, and from 3.13 on collections loads linecache.
    later = sys.version_info >= (3, 12)
    more = {name for name in found - own - LAUNCHER_STANDARD if not later or not name.startswith(("_", "linecache"))}
    assert more == set()
    assert {name for name in own - LAUNCHER_ALONE if not name.startswith(LAUNCHER_ROOMS)} == set()


def test_launcher_list_is_not_longer_than_needed() -> None:
    if sys.version_info[:2] == (3, 11):
        assert LAUNCHER_STANDARD - loaded("import sampan.runtime.launcher", "-I", "-S", "-B") == set()


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


def test_an_idle_daemon_has_neither_decompressors_nor_the_launchers_side() -> None:
    found = loaded("import sampan.daemon_main")
    assert found & {"zstandard", "isal", "lzma", "bz2", "sampan.runtime.launcher", "sampan.runtime.monitor"} == set()
    assert (
        found
        & {
            "opentelemetry",
            "sampan.telemetry.tracing",
            "sampan.api.traced",
            "sampan.buildkit.traced",
            "sampan.daemon.traced",
        }
        == set()
    )
    assert found & {"sampan.daemon.debug_report", "sampan.daemon.debug_offline", "sampan.host.check"} == set()
