"""What each flag of docker's run, create, exec and update asks for.

Found by building the body that `sampan` would send with the flag and without it.
"""

from typing import Any

from sampan.cli import registry
from sampan.cli.create.body import create_body
from sampan.cli.options import Option
from sampan.cli.parse import parse_command
from sampan.cli.verbs.update import changes
from sampan.daemon.verdicts import CONFIG, ENDPOINT, HOST_CONFIG, Measure, Verdict

Body = dict[str, Any]

COMMAND = "container run"

SAMPLES = {
    "add-host": "a:192.0.2.1",
    "attach": "stdout",
    "blkio-weight-device": "/dev/null:100",
    "cgroupns": "host",
    "cpus": "1",
    "cpuset-cpus": "0",
    "cpuset-mems": "0",
    "device": "/dev/null",
    "device-cgroup-rule": "c 1:3 r",
    "dns": "192.0.2.1",
    "dns-search": "example.org",
    "expose": "80",
    "gpus": "all",
    "health-retries": "2",
    "ip": "192.0.2.1",
    "ip6": "2001:db8::1",
    "link": "other:alias",
    "link-local-ip": "169.254.1.1",
    "mac-address": "02:42:ac:11:00:02",
    "mount": "type=tmpfs,target=/x",
    "network": "other",
    "pid": "host",
    "publish": "80:80",
    "publish-all": "true",
    "restart": "always",
    "sysctl": "net.ipv4.ip_forward=0",
    "ulimit": "nofile=10",
    "userns": "host",
    "uts": "host",
    "volume": "/x",
}
BY_KIND = {
    "bool": "true",
    "bytes": "16m",
    "decimal": "1",
    "duration": "1s",
    "int": "5",
    "list": "a=b",
    "map": "a=b",
    "string": "x",
    "uint": "5",
    "uint16": "100",
}
THROTTLES = {"device-read-bps": "1mb", "device-read-iops": "10", "device-write-bps": "1mb", "device-write-iops": "10"}

_OWN = "the command's own"
THE_COMMANDS = {
    "cidfile": Verdict(Measure.FULL, _OWN),
    "detach": Verdict(Measure.FULL, _OWN),
    "detach-keys": Verdict(Measure.FULL, "a field of the attach"),
    "env-file": Verdict(Measure.FULL, "as --env"),
    "label-file": Verdict(Measure.FULL, "as --label"),
    "name": Verdict(Measure.FULL, "a field of the query"),
    "platform": Verdict(Measure.FULL, "a field of the query"),
    "pull": Verdict(Measure.FULL, "a request of its own, before the create"),
    "quiet": Verdict(Measure.FULL, _OWN),
    "sig-proxy": Verdict(Measure.FULL, _OWN),
}
"""Flags that no member of the body stands for."""


_PARTS = ("HostConfig", "NetworkingConfig")


EXEC = {
    "detach": "`Detach`, `AttachStdout`, `AttachStderr`",
    "detach-keys": "`DetachKeys`",
    "env": "`Env`",
    "env-file": "as --env",
    "interactive": "`AttachStdin`",
    "privileged": "`Privileged`",
    "tty": "`Tty`, `ConsoleSize`",
    "user": "`User`",
    "workdir": "`WorkingDir`",
}
"""Members of the exec's body: all of them are honoured (tests/api, tests/differential)."""


def flags(command: str = COMMAND) -> dict[str, Verdict]:
    """Every flag of a command that Docker has, with what becomes of it: of container run, create, exec or update."""
    options = [
        option
        for option in registry.load(command).options
        if option.name not in ("cgroup-conf", "explain", "gidmap", "uidmap")
    ]
    match command:
        case "container exec":
            return {option.name: Verdict(Measure.FULL, EXEC[option.name]) for option in options}
        case "container update":
            return {option.name: _changed(option) for option in options}
        case _:
            return {option.name: _verdict(option) for option in options}


def _changed(option: Option) -> Verdict:
    command = "container update"
    (member,) = changes(parse_command(registry.load(command), command, [f"--{option.name}={sample(option)}", "x"]))
    return Verdict(HOST_CONFIG[member].measure, f"`HostConfig.{member}`")


def members(option: Option) -> list[str]:
    """The members of the create body that change with the flag, such as `HostConfig.Memory`."""
    before = ["--network=other"] if option.name == "network-alias" else []
    plain, with_flag = _body(before), _body([*before, f"--{option.name}={sample(option)}"])
    changed = [name for name in with_flag if name not in _PARTS and with_flag[name] != plain.get(name)]
    host = _part(plain, "HostConfig")
    changed += [
        f"HostConfig.{name}" for name, value in _part(with_flag, "HostConfig").items() if value != host.get(name)
    ]
    ends = [_endpoint(body) for body in (plain, with_flag)]
    changed += [f"EndpointSettings.{name}" for name, value in ends[1].items() if value != ends[0].get(name)]
    return changed


def sample(option: Option) -> str:
    """A value that the flag takes."""
    if option.name in THROTTLES:
        return f"/dev/null:{THROTTLES[option.name]}"
    return SAMPLES.get(option.name) or BY_KIND[option.kind]


def _body(words: list[str]) -> Body:
    parsed = parse_command(registry.load(COMMAND), COMMAND, [*words, "image"])
    return create_body(parsed, {}, [])


def _part(body: Body, name: str) -> Body:
    found = body.get(name)
    return found if isinstance(found, dict) else {}


def _endpoint(body: Body) -> Body:
    ends = _part(_part(body, "NetworkingConfig"), "EndpointsConfig")
    return next((end for end in ends.values() if isinstance(end, dict)), {})


def _verdict(option: Option) -> Verdict:
    if option.refused:
        return Verdict(Measure.NOT, option.refused)
    if option.name in THE_COMMANDS:
        return THE_COMMANDS[option.name]
    changed = members(option)
    found = [(name, _of_member(name)) for name in changed]
    worst = max((verdict.measure for _, verdict in found), key=list(Measure).index)
    return Verdict(worst, ", ".join(f"`{name}`" for name in changed))


def _of_member(name: str) -> Verdict:
    part, dot, member = name.partition(".")
    if not dot:
        return CONFIG[part]
    return (HOST_CONFIG if part == "HostConfig" else ENDPOINT)[member]
