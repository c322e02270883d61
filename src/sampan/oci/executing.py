"""`exec`: from its options to one more process in a container."""

import msgspec

from sampan.cgroups.hierarchy import detect
from sampan.errors import InvalidParameter
from sampan.oci import command_line, console, documents, entering, manner, translate
from sampan.oci.options import Parsed


def execute(first: Parsed, given: Parsed) -> int:
    """The program's exit code, or 0 when detached."""
    if not given.rest:
        raise InvalidParameter("the container's ID is needed")
    container = command_line.container(first, given.rest[0])
    container.load()
    preserved = command_line.preserved(given)
    bundle = documents.read_bundle(str(container.directory))
    asked = _process(given, bundle)
    detached = given.flag("detach")
    socket = command_line.console_socket(given, terminal=asked.terminal, detached=detached)
    host = command_line.host(detect())
    process = translate.program(asked, host)
    linux = bundle.linux or documents.Linux()
    wanted = entering.Wanted(
        process=process,
        seccomp=translate.seccomp(linux.seccomp, process.capabilities.bounding, host),
        umask=asked.user.umask,
        manner=manner.of_exec(asked, linux),
        preserved=preserved,
    )
    entered = entering.enter(container, wanted, paused=given.flag("ignore-paused"))
    command_line.tell_pid(given, entered.pid)
    terminal = entered.terminal
    if detached and not socket:
        return 0
    if socket:
        console.hand_over(socket, terminal)
        terminal = -1
    return 0 if detached else console.wait(entered.pid, entered.pidfd, terminal)


def _process(given: Parsed, bundle: documents.Bundle) -> documents.Process:
    """The document that was given, or the container's own process with what the options say."""
    if path := given.text("process"):
        return documents.read_process(path)
    own = bundle.process or documents.Process()
    words = given.rest[1:]
    if not words:
        raise InvalidParameter("a command or --process is needed")
    user = own.user
    if text := given.text("user"):
        uid, _, gid = text.partition(":")
        if not uid.isdecimal() or (gid and not gid.isdecimal()) or len(text) > 21:
            raise InvalidParameter(f"--user {text[:40]!r} is not UID[:GID]")
        user = msgspec.structs.replace(user, uid=int(uid), gid=int(gid or "0"), additional_gids=())
    if more := given.values.get("additional-gids"):
        if not all(gid.isdecimal() and len(gid) < 11 for gid in more):
            raise InvalidParameter(f"--additional-gids {' '.join(more)[:80]!r}: a group is a number")
        gids = tuple(int(gid) for gid in more)
        user = msgspec.structs.replace(user, additional_gids=(*(user.additional_gids or ()), *gids))
    return msgspec.structs.replace(
        own,
        args=tuple(words),
        env=(*(own.env or ()), *given.values.get("env", ())),
        cwd=given.text("cwd") or own.cwd,
        terminal=given.flag("tty"),
        console_size=None,
        user=user,
        capabilities=_with_more(own.capabilities, tuple(given.values.get("cap", ()))),
        no_new_privileges=own.no_new_privileges or given.flag("no-new-privs"),
        apparmor_profile=given.text("apparmor") or own.apparmor_profile,
    )


def _with_more(own: documents.Capabilities | None, more: tuple[str, ...]) -> documents.Capabilities | None:
    if not more:
        return own
    own = own or documents.Capabilities()
    return documents.Capabilities(
        bounding=(*(own.bounding or ()), *more),
        effective=(*(own.effective or ()), *more),
        permitted=(*(own.permitted or ()), *more),
        inheritable=own.inheritable,
        ambient=own.ambient,
    )
