"""Lines of the engine's log: their two forms, what is masked, and how long one may be."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from sampan.daemon import journal
from sampan.telemetry import lines, request_id

SOURCE = Path(__file__).parents[3] / "src"
AT = 1_700_000_000_000_000_042


def test_text() -> None:
    assert lines.compose("info", 'a "word"\n', AT, lines.TEXT) == (
        'time="2023-11-14T22:13:20.000000042Z" level=info msg="a \\"word\\"\\n"'
    )
    assert lines.compose("info", "a", AT, lines.TEXT, "r-1").endswith(' msg="a" request=r-1')


def test_json() -> None:
    line = json.loads(lines.compose("error", "a\x1b[1m", AT, lines.JSON, "r-1"))
    assert line == {"level": "error", "msg": "a\x1b[1m", "time": "2023-11-14T22:13:20.000000042Z", "request": "r-1"}
    assert "request" not in json.loads(lines.compose("error", "a", AT, lines.JSON))


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("proxy http://me:hush@proxy:3128/ fails", "proxy http://xxxxx:xxxxx@proxy:3128/ fails"),
        ("https://token@host/a", "https://xxxxx:xxxxx@host/a"),
        ("socks5h://me:hu@sh@host", "socks5h://xxxxx:xxxxx@host"),
        ("two: http://a:b@c http://d:e@f", "two: http://xxxxx:xxxxx@c http://xxxxx:xxxxx@f"),
        ("https://host/path@version", "https://host/path@version"),
        ("mail me@host", "mail me@host"),
    ],
)
def test_passwords_in_urls_are_masked(said: str, shown: str) -> None:
    assert lines.masked(said) == shown


def test_a_line_is_bounded() -> None:
    line = lines.compose("info", "x" * (1 << 20), AT, lines.TEXT)
    assert len(line) < lines.LONGEST + 200
    assert "1048576 characters" in line


def test_a_process_that_is_no_daemon_tells_what_it_is_and_what_it_serves() -> None:
    program = (
        "from sampan.telemetry import lines\nlines.use('json')\nlines.speak_as('monitor of abc', 'r-7')\n"
        "def deep(): raise OSError(5, 'bad', '/x')\n"
        "try: deep()\nexcept OSError as error: lines.broken(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(SOURCE)!r})\n{program}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    line = json.loads(done.stderr)
    assert (line["level"], line["request"]) == ("error", "r-7")
    assert line["msg"].startswith("monitor of abc: OSError: [Errno 5] bad: '/x' | ")
    assert line["msg"].endswith("deep")


def test_a_process_whose_log_is_gone_goes_on() -> None:
    program = f"import sys; sys.path.insert(0, {str(SOURCE)!r})\nfrom sampan.telemetry import lines\n"
    program += "lines.say('info', 'a')\nprint('went on')"
    redirected = ["sh", "-c", 'exec "$0" "$@" 2>/dev/full', sys.executable, "-c", program]
    done = subprocess.run(redirected, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "went on\n"


def test_the_daemons_lines_bear_the_request(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        journal.set_up("info", "json", debug=False)
        request_id.begin(b"r-9")
        logging.getLogger("sampan.daemon").warning("to %s", "http://a:b@c")
        logging.getLogger("sampan.daemon").debug("unheard")
    finally:
        root.handlers[:], root.level = before, level
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["level"], told["msg"], told["request"]) == ("warning", "to http://xxxxx:xxxxx@c", "r-9")
