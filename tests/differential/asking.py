"""Carries a case out on one engine and gives its answer as comparable lines."""

import re
import shlex
from collections.abc import Callable

from tests.archives import busybox_rootfs
from tests.daemons import Daemon, Outcome
from tests.differential.cases import ROOTFS, Api, Case, Command, Inside, Inspect
from tests.differential.views import SCRIPT, document_lines, output_lines, sections

_DELETED = re.compile(rb"Deleted: sha256:[0-9a-f]{64}")
SPOKEN = {"DOCKER_API_VERSION": "1.41"}
"""What Debian's Docker speaks: both are asked in it."""


def answer(engine: Daemon, case: Case) -> list[str]:
    """The engine's answer; containers and volumes that the case made are removed."""
    try:
        return _ASK[type(case)](engine, case)
    finally:
        engine.remove_containers()
        for volume in engine.docker("volume", "ls", "-q", env=SPOKEN).text.split():
            engine.docker("volume", "rm", "-f", volume, env=SPOKEN)


def _command(engine: Daemon, case: Command) -> list[str]:
    lines: list[str] = []
    identity = ""
    stdin = busybox_rootfs() if case.stdin is ROOTFS else case.stdin
    for line in case.lines:
        outcome = engine.docker(*shlex.split(line.replace("{id}", identity)), stdin=stdin, env=SPOKEN)
        identity = outcome.text.rpartition("\n")[2] or identity
        if line.startswith("import"):  # the image's creation time is in its digest
            outcome = Outcome(outcome.code, b"<digest>" if len(outcome.text) == 71 else outcome.out, outcome.err)
        if case.stdin is ROOTFS:  # and so is its deletion
            outcome = Outcome(outcome.code, _DELETED.sub(b"Deleted: <digest>", outcome.out), outcome.err)
        lines += [
            f"$ {line}",
            *output_lines("out", outcome.out),
            *output_lines("err", outcome.err),
            f"code: {outcome.code} of {line}",
        ]
    return lines


def _inside(engine: Daemon, case: Inside) -> list[str]:
    words = ["run", "--rm", *shlex.split(case.flags), "busybox", "sh", "-c", SCRIPT]
    outcome = engine.docker(*words, env=SPOKEN)
    return [*sections(outcome.out), *output_lines("err", outcome.err), f"code: {outcome.code}"]


def _inspect(engine: Daemon, case: Inspect) -> list[str]:
    created = engine.docker(
        "create", "--name", "inspected", *shlex.split(case.flags), "busybox", *shlex.split(case.words), env=SPOKEN
    )
    assert created.code == 0, created
    if case.ran:
        engine.docker("start", created.text, env=SPOKEN)
        engine.docker("wait", created.text, env=SPOKEN)
    return document_lines(engine.api("GET", f"/v1.41/containers/{created.text}/json").body)


def _api(engine: Daemon, case: Api) -> list[str]:
    identity = ""
    for line in case.before:
        outcome = engine.docker(*shlex.split(line), env=SPOKEN)
        assert outcome.code == 0, outcome
        identity = outcome.text.rpartition("\n")[2]
    got = engine.api(case.method, case.path.replace("{id}", identity), case.body, headers=case.headers)
    kept = ("content-type", "api-version", "ostype", "builder-version", "swarm")
    headers = [f"header: {name}: {got.headers[name]}" for name in kept if name in got.headers]
    return [f"status: {got.status}", *headers, *document_lines(got.body)]


_ASK: dict[type, Callable[..., list[str]]] = {Command: _command, Inside: _inside, Inspect: _inspect, Api: _api}
