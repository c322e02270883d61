"""What an instruction changes in an image's configuration: for builds, `commit --change` and `import --change`."""

from msgspec.structs import replace

from sampan.dockerfile import instructions as tree
from sampan.dockerfile.faults import DockerfileError
from sampan.dockerfile.instructions import Command, Instruction, Pair
from sampan.dockerfile.ports import parse_ports
from sampan.dockerfile.variables import Expander
from sampan.spec.oci_image import Empty, Healthcheck, ImageConfig

ENVIRONMENT_LIMIT = 2 << 20
"""Characters; a program with more cannot be executed (execve's E2BIG, with the usual stack of 8 MiB)."""
ENTRY_LIMIT = 4096
DEFAULT_SHELL = ("/bin/sh", "-c")


def configure(
    config: ImageConfig, instruction: Instruction, expander: Expander, cmd_given: bool = False
) -> ImageConfig:
    """`config` after `instruction`; the same `config` for one that changes files or nothing.

    `cmd_given`: CMD came before, so that ENTRYPOINT leaves it; else what CMD the base had is no argument for it. Raises
    DockerfileError.
    """
    match instruction:
        case tree.Env():
            return replace(config, env=_environment(config, instruction.pairs, expander))
        case tree.Label():
            labels = dict(_expanded(instruction.pairs, expander))
            return replace(config, labels={**(config.labels or {}), **labels})
        case tree.Cmd():
            return replace(config, cmd=command_line(config, instruction.command))
        case tree.Entrypoint():
            entrypoint = command_line(config, instruction.command)
            return replace(config, entrypoint=entrypoint, cmd=config.cmd if cmd_given else None)
        case tree.Shell():
            return replace(config, shell=list(instruction.words))
        case tree.HealthCheck():
            return replace(config, healthcheck=_health_check(instruction))
        case tree.Expose():
            return replace(config, exposed_ports={**(config.exposed_ports or {}), **_ports(instruction, expander)})
        case tree.Volume():
            paths = [expander.word(word) for word in instruction.paths]
            if not all(paths):
                raise DockerfileError("VOLUME specified can not be an empty string", instruction.at)
            return replace(config, volumes={**(config.volumes or {}), **dict.fromkeys(paths, Empty())})
        case tree.User():
            return replace(config, user=expander.word(instruction.user))
        case tree.WorkDir():
            return replace(config, working_dir=joined_path(config.working_dir, expander.word(instruction.path)))
        case tree.StopSignal():
            return replace(config, stop_signal=expander.word(instruction.signal))
        case tree.OnBuild():
            return replace(config, on_build=[*(config.on_build or ()), instruction.trigger])
        case _:
            return config


def inherited(config: ImageConfig) -> ImageConfig:
    """What a stage on top of `config` begins with: its triggers have been pulled and are gone."""
    return replace(config, on_build=None)


def environment(config: ImageConfig) -> dict[str, str]:
    """The configuration's environment as a mapping; an entry without `=` has no value and is left out."""
    entries = (entry.partition("=") for entry in config.env or ())
    return {name: value for name, equals, value in entries if equals}


def command_line(config: ImageConfig, command: Command) -> list[str]:
    """The program and arguments that a command is, the shell in front of a shell form."""
    if command.for_shell:
        return [*(config.shell or DEFAULT_SHELL), " ".join(command.words)]
    return list(command.words)


def joined_path(directory: str, path: str) -> str:
    """`path` seen from `directory`, absolute and without `.` and `..`; no link is looked at."""
    parts: list[str] = []
    for part in (path if path.startswith("/") else f"{directory}/{path}").split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def _expanded(pairs: tuple[Pair, ...], expander: Expander) -> list[tuple[str, str]]:
    return [(expander.text(pair.name, pair.at), expander.text(pair.value, pair.at)) for pair in pairs]


def _environment(config: ImageConfig, pairs: tuple[Pair, ...], expander: Expander) -> list[str]:
    entries = {entry.partition("=")[0]: entry for entry in config.env or ()}
    entries.update({name: f"{name}={value}" for name, value in _expanded(pairs, expander)})
    # Every ENV may repeat what all before it said: a page of them would fill the memory.
    if len(entries) > ENTRY_LIMIT or sum(map(len, entries.values())) > ENVIRONMENT_LIMIT:
        raise DockerfileError(
            f"the environment has more than {ENTRY_LIMIT} entries or {ENVIRONMENT_LIMIT} bytes", pairs[-1].at
        )
    return list(entries.values())


def _ports(instruction: tree.Expose, expander: Expander) -> dict[str, Empty]:
    ports: list[str] = []
    for word in instruction.ports:
        for text in expander.words(word):
            try:
                ports += parse_ports(text).ports
            except ValueError as error:
                raise DockerfileError(str(error), word.at) from None
    return dict.fromkeys(ports, Empty())


def _health_check(instruction: tree.HealthCheck) -> Healthcheck:
    command = instruction.command
    if command is None:
        return Healthcheck(test=["NONE"])
    return Healthcheck(
        test=["CMD-SHELL" if command.for_shell else "CMD", *command.words],
        interval=instruction.interval,
        timeout=instruction.timeout,
        start_period=instruction.start_period,
        start_interval=instruction.start_interval,
        retries=instruction.retries,
    )
