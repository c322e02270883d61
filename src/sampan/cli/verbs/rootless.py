"""`rootless`: an ordinary user's engine: what it needs, set up, started, stopped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading

from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.cli.output.columns import align
from sampan.client.address import Address
from sampan.client.documents import text_of
from sampan.client.engine import Engine
from sampan.errors import SampanError
from sampan.rootless import lifecycle, places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.host.finding import Finding

_GREEN, _RED, _YELLOW, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[0m"
_UNIT = "sampan.service"
_UNIT_TEXT = """[Unit]
Description=Sampan, this user's container engine
Documentation=https://pypi.org/project/sampan/

[Service]
Type=oneshot
RemainAfterExit=yes
Delegate=yes
TimeoutStopSec=120
ExecStart={command} rootless start
ExecStop={command} rootless stop

[Install]
WantedBy=default.target
"""
_STOP_SECONDS = 60.0


def _places(session: Session) -> places.Places:
    if os.geteuid() == 0:
        raise Exit(1, "sampan rootless is for ordinary users; root runs sampand itself")
    return places.of_user(session.given.environ, os.geteuid())


def _check(session: Session, parsed: Parsed) -> int:
    """Exit 1 where something is missing without which no daemon starts."""
    from sampan.rootless.needs import check

    findings = check(places.of_user(session.given.environ, os.geteuid()), os.geteuid(), os.getegid())
    if not parsed.flag("quiet"):
        _print(session, findings)
    return 1 if any(finding.needed and not finding.ok for finding in findings) else 0


def _print(session: Session, findings: tuple[Finding, ...]) -> None:
    rows = [["NEED", "HERE", "WHY", "WHAT TO DO"]]
    for finding in findings:
        here = "yes" if finding.ok else "NO" if finding.needed else "no"
        rows.append([finding.name, here, finding.why, finding.hint])
    lines = align(rows)
    if session.colours():
        for number, finding in enumerate(findings, 1):
            colour = _GREEN if finding.ok else _RED if finding.needed else _YELLOW
            lines[number] = f"{colour}{lines[number]}{_PLAIN}"
    session.say("\n".join(line.rstrip() for line in lines))
    missing = [finding.name for finding in findings if finding.needed and not finding.ok]
    lesser = sum(not finding.ok and not finding.needed for finding in findings)
    verdict = (
        f"a rootless daemon cannot run here: {', '.join(missing)} missing"
        if missing
        else "a rootless daemon can run here"
    )
    session.say(f"\n{verdict}" + (f"; {lesser} further points cost what is said" if lesser else ""))


def _setup(session: Session, parsed: Parsed) -> int:
    where = _places(session)
    if _check(session, parsed):
        raise Exit(1, "nothing was set up; mend what says NO, then once more: sampan rootless setup")
    network = parsed.text("network")
    if network not in ("", "pasta", "slirp4netns", "none"):
        raise Exit(125, f"--network: {network}: it is pasta, slirp4netns or none")
    lifecycle.write_choices(where, lifecycle.Choices(network))
    if parsed.flag("systemd"):
        _enable_unit(session, where)
    else:
        session.say(lifecycle.start(where, lifecycle.Choices(network), session.given.environ))
    session.say(f"sampan finds it by itself; other clients: export DOCKER_HOST=unix://{where.socket}")
    return 0


def _enable_unit(session: Session, where: places.Places) -> None:
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        raise Exit(1, "--systemd: there is no systemctl on this machine; without it: sampan rootless setup")
    directory = os.path.join(os.path.dirname(where.config), "systemd/user")
    os.makedirs(directory, 0o755, exist_ok=True)
    command = shutil.which("sampan") or os.path.abspath(sys.argv[0])
    with open(os.path.join(directory, _UNIT), "w", encoding="utf-8") as file:
        file.write(_UNIT_TEXT.format(command=_quoted(command)))
    for words in (["daemon-reload"], ["enable", "--now", _UNIT]):
        if subprocess.run([systemctl, "--user", *words], check=False).returncode:
            raise Exit(1, f"systemctl --user {' '.join(words)} failed; the unit is {directory}/{_UNIT}")
    session.say(f"sampan: {directory}/{_UNIT} is enabled; to outlive sessions: loginctl enable-linger")


def _quoted(path: str) -> str:
    """A program's path as a unit's command line has it, where no variable is replaced. Raises Exit for one that systemd takes from
    nobody (systemd.service(5), "Command lines"; systemd.unit(5), "Specifiers")."""
    if not path.isprintable() or any(character in path for character in "\"'\\"):
        raise Exit(1, f"--systemd: systemd runs no program with quotes or backslashes in its path: {path}")
    return '"' + path.replace("%", "%%") + '"'


def _start(session: Session, parsed: Parsed) -> int:
    where = _places(session)
    choices = lifecycle.read_choices(where) or lifecycle.Choices()
    if parsed.text("network"):
        choices.network = parsed.text("network")
    session.say(lifecycle.start(where, choices, session.given.environ))
    return 0


def _stop(session: Session, parsed: Parsed) -> int:
    where = _places(session)
    daemon_only = parsed.flag("daemon-only")
    if not daemon_only and lifecycle.answers(where.socket):
        _stop_containers(where)
    session.say(lifecycle.stop(where, daemon_only=daemon_only))
    return 0


def _stop_containers(where: places.Places) -> None:
    """All at once, each with its own stop signal and time-out: nothing of them can outlive the world that ends."""
    address = Address(f"unix://{where.socket}", "unix", path=where.socket)
    ids = [text_of(one, "Id") for one in Engine(address).fetch_list("/containers/json")]
    failed: list[str] = []

    def end(identifier: str) -> None:
        try:
            Engine(address).order("POST", f"/containers/{identifier}/stop")
        except SampanError as error:
            failed.append(f"{identifier[:12]}: {error}")

    threads = [threading.Thread(target=end, args=(identifier,), daemon=True) for identifier in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_STOP_SECONDS)
    if failed:
        raise Exit(1, "some containers did not stop: " + "; ".join(failed))


_NETWORK = Option(
    "network", "string", "The way out: pasta, slirp4netns or none; the first that is installed when empty"
)
CHECK = Command(
    "[OPTIONS]",
    "Say for each thing that a rootless daemon needs whether it is there, and what to do",
    _check,
    (Option("quiet", "bool", "Print nothing; the exit code tells", "q"),),
    examples=("rootless check",),
)
SETUP = Command(
    "[OPTIONS]",
    "Check what a rootless daemon needs, start one, and let later commands start it on demand",
    _setup,
    (
        _NETWORK,
        Option("systemd", "bool", "Make and enable a unit of this user's systemd, which delegates control groups"),
        Option("quiet", "bool", "Do not print the table", "q"),
    ),
    examples=("rootless setup", "rootless setup --systemd", "rootless setup --network slirp4netns"),
)
START = Command(
    "[OPTIONS]",
    "Start this user's daemon, and what it stands on, where it does not run",
    _start,
    (_NETWORK,),
    examples=("rootless start",),
)
STOP = Command(
    "[OPTIONS]",
    "Stop this user's containers, daemon and network",
    _stop,
    (Option("daemon-only", "bool", "End only the daemon; containers go on, and `rootless start` takes them over"),),
    examples=("rootless stop", "rootless stop --daemon-only"),
)
