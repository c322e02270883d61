"""The commands and their options, as data, and the help that is written from them."""

from typing import NamedTuple

from sampan.oci.options import Option

SPECIFICATION = "1.2.0"
"""The version of the runtime specification."""

_HELP = {"help": Option("Show this help", short="h")}
GLOBAL = {
    **_HELP,
    "version": Option("Show the version", short="v"),
    "root": Option("Where containers' states are kept (default /run/sampan-oci)", "DIR"),
    "log": Option("Also write failures to this file", "FILE"),
    "log-format": Option("text or json", "FORMAT"),
    "debug": Option("Accepted for callers' sake: there is nothing more to tell"),
    "systemd-cgroup": Option("cgroupsPath is slice:prefix:name, and systemd makes the scope"),
    "rootless": Option("auto or false: this runtime asks the kernel, not its caller", "MODE"),
    "criu": Option("Accepted for callers' sake: there are no checkpoints yet", "PATH"),
}


class Command(NamedTuple):
    """What it does in a line, what it takes, and an example."""

    help: str
    arguments: str
    example: str
    options: dict[str, Option]


_PLACE = {
    "bundle": Option("The directory of config.json (default: this one)", "DIR", "b"),
    "console-socket": Option("Where the terminal's master is sent", "PATH"),
    "pid-file": Option("Where the process id is written", "FILE"),
    "no-pivot": Option("Refused: pivot_root is what keeps the container in"),
    "no-new-keyring": Option("No session keyring of the container's own"),
    "preserve-fds": Option("So many more descriptors, from 3 on, for the program", "N"),
}
_LIMITS = {
    "resources": Option("A document of limits; - reads it from standard input", "FILE", "r"),
    "memory": Option("Bytes", "BYTES"),
    "memory-reservation": Option("Bytes", "BYTES"),
    "memory-swap": Option("Bytes of memory and swap together", "BYTES"),
    "cpu-period": Option("Microseconds", "N"),
    "cpu-quota": Option("Microseconds", "N"),
    "cpu-share": Option("Shares, 1024 is one", "N"),
    "cpu-rt-period": Option("Microseconds", "N"),
    "cpu-rt-runtime": Option("Microseconds", "N"),
    "cpuset-cpus": Option("Processors", "LIST"),
    "cpuset-mems": Option("Memory nodes", "LIST"),
    "blkio-weight": Option("10 to 1000", "N"),
    "pids-limit": Option("How many processes", "N"),
}
_DETACH = {"detach": Option("Do not wait for the program's end", short="d")}


def _command(help_: str, arguments: str, example: str, options: dict[str, Option] | None = None) -> Command:
    return Command(help_, arguments, example, {**(options or {}), **_HELP})


COMMANDS = {
    "create": _command("Make a container; its program waits for start", "ID", "create --bundle /tmp/b web", _PLACE),
    "start": _command("Execute the program of a created container", "ID", "start web"),
    "run": _command(
        "create and start; waits for the end and deletes",
        "ID",
        "run -b /tmp/b web",
        {**_PLACE, **_DETACH, "keep": Option("Do not delete it at its end"), "no-subreaper": Option("As it is anyway")},
    ),
    "state": _command("Print a container's state as JSON", "ID", "state web"),
    "kill": _command(
        "Send a signal (TERM) to a container",
        "ID [SIGNAL]",
        "kill web KILL",
        {"all": Option("To all of its processes", short="a")},
    ),
    "delete": _command(
        "Remove what is left of a container", "ID", "delete web", {"force": Option("Kill it first", short="f")}
    ),
    "exec": _command(
        "One more process in a running container",
        "ID [COMMAND …]",
        "exec web ps",
        {
            "process": Option("A document of the process", "FILE", "p"),
            "console-socket": Option("Where the terminal's master is sent", "PATH"),
            "pid-file": Option("Where the process id is written", "FILE"),
            "cwd": Option("Working directory", "DIR"),
            "env": Option("NAME=VALUE", "ENTRY", "e", many=True),
            "tty": Option("With a terminal", short="t"),
            "user": Option("UID[:GID]", "USER", "u"),
            "additional-gids": Option("One more group", "GID", "g", many=True),
            "cap": Option("One more capability", "NAME", "c", many=True),
            "no-new-privs": Option("No new privileges"),
            "apparmor": Option("Another AppArmor profile", "NAME"),
            "ignore-paused": Option("Also in a paused container"),
            "preserve-fds": Option("So many more descriptors, from 3 on, for the program", "N"),
            **_DETACH,
        },
    ),
    "list": _command(
        "List containers",
        "",
        "list",
        {"format": Option("table or json", "FORMAT", "f"), "quiet": Option("Names alone", short="q")},
    ),
    "ps": _command(
        "List a container's processes, as the host's ps does",
        "ID [PS OPTIONS]",
        "ps web -o pid,args",
        {"format": Option("table or json", "FORMAT", "f")},
    ),
    "events": _command(
        "Print what a container uses, and that it lacked memory, as lines of JSON",
        "ID",
        "events --stats web",
        {
            "stats": Option("One sample, and no more"),
            "interval": Option("Between two samples (default 5s)", "DURATION"),
        },
    ),
    "pause": _command("Freeze a container", "ID", "pause web"),
    "resume": _command("Let a frozen container go on", "ID", "resume web"),
    "update": _command("Change a running container's limits", "ID", "update --memory 64000000 web", _LIMITS),
    "features": _command("Print what this runtime can do as JSON", "", "features"),
}


def usage(name: str = "") -> str:
    """The help of a command, or of all."""
    if not name:
        width = max(map(len, COMMANDS))
        lines = [
            "Usage: sampan-oci [OPTIONS] COMMAND …",
            "",
            "An OCI runtime: Sampan's, for Docker, Podman and containerd.",
            "",
        ]
        lines += [f"  {each:<{width}}  {command.help}" for each, command in COMMANDS.items()]
        lines += ["", *_options(GLOBAL), "", "Example: sampan-oci run --bundle /tmp/bundle hello"]
        return "\n".join(lines)
    command = COMMANDS[name]
    lines = [f"Usage: sampan-oci {name} [OPTIONS] {command.arguments}".rstrip(), "", command.help, ""]
    return "\n".join([*lines, *_options(command.options), "", f"Example: sampan-oci {command.example}"])


def _options(options: dict[str, Option]) -> list[str]:
    shown = {
        f"{f'-{option.short}, ' if option.short else ''}--{name}{f' {option.value}' if option.value else ''}": option.help
        for name, option in options.items()
    }
    width = max(map(len, shown))
    return [f"  {words:<{width}}  {text}" for words, text in shown.items()]
