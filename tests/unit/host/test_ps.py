"""ps without the binary: which columns its arguments mean, what they refuse, and what a process looks like in them."""

import os
import subprocess
import sys

import pytest

from sampan.errors import InvalidParameter, System
from sampan.host.ps import options, process
from sampan.host.ps.columns import COLUMNS
from sampan.host.ps.process import Moment, Process, printable


def titles(text: str) -> list[str]:
    return [column.title for column in options.parse(text)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("-ef", "UID PID PPID C STIME TTY TIME CMD"),
        ("-e -f", "UID PID PPID C STIME TTY TIME CMD"),
        ("-eF", "UID PID PPID C SZ RSS PSR STIME TTY TIME CMD"),
        ("-A", "PID TTY TIME CMD"),
        ("ax", "PID TTY STAT TIME COMMAND"),
        ("aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"),
        ("-aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"),
        ("auxww", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"),
        ("-o pid,comm", "PID COMMAND"),
        ("o pid,comm", "PID COMMAND"),
        ("-eo pid -o comm=WHAT", "PID WHAT"),
        ("-opid,tty", "PID TT"),
        ("--format=pid,cmd", "PID CMD"),
        ("--format pid,cmd", "PID CMD"),
        ("-o pid=PID", "PID"),
        ("-e  -o  pid , ", "PID"),
    ],
)
def test_columns(text: str, wanted: str) -> None:
    if text.endswith(", "):
        with pytest.raises(InvalidParameter):
            titles(text)
        return
    assert titles(text) == wanted.split()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("-o comm", "Couldn't find PID field in ps output"),
        ("-o pid=X", "Couldn't find PID field in ps output"),
        ("-o pid=PID,comm", "Couldn't find PID field in ps output"),
        ("-o ppid=PID", 'specifying "ppid=PID" is not allowed'),
        ("-o pid -o comm=PIDS", 'specifying "comm=PIDS" is not allowed'),
    ],
)
def test_without_pids_dockers_words(text: str, why: str) -> None:
    with pytest.raises(System) as refused:
        options.parse(text)
    assert str(refused.value) == why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("-L", "the option -L is not supported"),
        ("auxf", "the option f is not supported"),
        ("-efH", "the option -H is not supported"),
        ("--forest", "the option --forest is not supported"),
        ("e", "the option e is not supported"),
        ("-", "the option - is not supported"),
        ("-o", "format specification must follow -o"),
        ("-o pid,nosuch", 'unknown user-defined format specifier "nosuch"'),
        ("-o ,", 'empty format list ","'),
        ("-ef -o pid", "conflicting format options"),
        ("-f -F", "conflicting format options"),
        ("-o " + "pid," * 65, "more than 64 columns"),
        ("x" * 5000, "too long"),
    ],
)
def test_refuses_by_name(text: str, why: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        options.parse(text)
    assert why in str(refused.value)


MOMENT = Moment(now=1_700_000_000.0, since_boot=200_000.0, memory=1 << 30)


def looked_at(**changes: object) -> Process:
    facts: dict[str, object] = {
        "pid": 7, "comm": "sleep", "state": "S", "ppid": 1, "group": 7, "session": 7, "terminal": 0, "terminal_group": -1,
        "flags": 4 << 6, "used": 0.0, "priority": 20, "nice": 0, "threads": 1, "started": 100_000.0, "size": 8 << 20,
        "resident": 4 << 20, "processor": 1, "rt_priority": 0, "policy": 0, "uids": (4_000_000, 0), "gids": (0, 0),
        "locked": False, "arguments": "sleep 5", "waits_in": "0", **changes,
    }  # fmt: skip
    return Process(**facts)  # type: ignore[arg-type] # the table above has them all


@pytest.mark.parametrize(
    ("column", "changes", "wanted"),
    [
        ("stat", {}, "Ss"),
        ("stat", {"nice": -1, "locked": True, "threads": 2, "terminal": 0x8800, "terminal_group": 7}, "S<Lsl+"),
        ("stat", {"nice": 5, "session": 1, "state": "R"}, "RN"),
        ("tty", {}, "?"),
        ("tty", {"terminal": 0x8803}, "pts/3"),
        ("tty", {"terminal": 0x0441}, "ttyS1"),
        ("tname", {"terminal": 0x0501}, "console"),
        ("time", {"used": 90_061.5}, "1-01:01:01"),
        ("bsdtime", {"used": 3_661.0}, "61:01"),
        ("etime", {}, "1-03:46:40"),
        ("etime", {"started": 199_990.0}, "00:10"),
        ("etime", {"started": 200_001.0}, "00:00"),
        ("etimes", {}, "100000"),
        ("pcpu", {"used": 199_999.0}, "199"),
        ("pcpu", {"used": 550.0}, "0.5"),
        ("c", {"used": 199_999.0}, "99"),
        ("pcpu", {"started": 199_999.9, "used": 5.0}, "0.0"),
        ("pmem", {}, "0.3"),
        ("vsz", {}, "8192"),
        ("rss", {}, "4096"),
        ("sz", {}, "2048"),
        ("nice", {"policy": 1}, "-"),
        ("rtprio", {"policy": 1, "rt_priority": 50}, "50"),
        ("cls", {"policy": 1}, "FF"),
        ("pri", {}, "19"),
        ("ruid", {}, "4000000"),
        ("ruser", {}, "4000000"),
        ("user", {}, "root"),
        ("wchan", {}, "-"),
        ("f", {}, "4"),
    ],
)
def test_cells(column: str, changes: dict[str, object], wanted: str) -> None:
    assert COLUMNS[column][1](looked_at(**changes), MOMENT) == wanted


def test_a_process_as_it_is() -> None:
    code = "import sys; print(1, flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, "a\nb", "\x1b[31m"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == b"1\n"  # before that it may be this process still
        found = process.read(child.pid)
        assert found is not None
        assert found.ppid == os.getpid()
        assert found.arguments.endswith(f"-c {code} a b ?[31m")
        assert found.uids == (os.getuid(), os.geteuid())
        assert found.size >= found.resident >= 0
        assert 0 <= Moment.current().since_boot - found.started < 3600
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        dead = process.read(child.pid)
        assert dead is not None
        assert (dead.state, dead.arguments) == ("Z", f"[{found.comm}] <defunct>")
    finally:
        child.kill()
        child.communicate()
    assert process.read(child.pid) is None


def test_what_is_no_text_is_shown_as_such() -> None:
    assert printable(b"a\xff\x07\tb\n\xc3\xa9") == "a\ufffd? b é"


def test_a_name_with_a_carriage_return_tells_nothing_of_its_own() -> None:
    stat = b"7 (\rVmLck: x) Z 1 7 7 0 -1 4194560 0 0 0 0 5 6 0 0 20 0 1 0 99 0 0 0" + b" 0" * 27
    # A zombie has no line of that name that would come later and be right.
    found = process._parse(7, stat, b"Name:\t\rVmLck: x\nUid:\t1\t2\t1\t1\nGid:\t3\t4\t3\t3\n", b"", b"0")
    assert (found.locked, found.uids, found.comm) == (False, (1, 2), "?VmLck: x <defunct>")
