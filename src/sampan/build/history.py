"""How an image's history tells of an instruction: in BuildKit's words, which is what people see today."""

import json
from collections.abc import Mapping, Sequence

from sampan.dockerfile import instructions as tree
from sampan.dockerfile.instructions import Instruction
from sampan.dockerfile.variables import Expander
from sampan.spec.oci_image import Healthcheck, ImageConfig

COMMENT = "buildkit.dockerfile.v0"
"""What BuildKit writes beside each entry; docker's clients look for it."""
_MADE = " # buildkit"


def created_by(
    instruction: Instruction, config: ImageConfig, expander: Expander, arguments: Mapping[str, str]
) -> str | None:
    """The text for an instruction that has been carried out; None for one that leaves no entry.

    `config` is that of the image behind it, `arguments` the ARGs that have a value. RUN is told by `ran`.
    """
    match instruction:
        case tree.Copy() | tree.Add():
            return _copied(instruction, expander) + _MADE
        case tree.Env() | tree.Label():
            pairs = [f"{expander.text(pair.name)}={expander.text(pair.value)}" for pair in instruction.pairs]
            return " ".join([instruction.name, *pairs])
        case tree.Arg():
            return " ".join(["ARG", *(_argument(one, arguments) for one in instruction.definitions)])
        case tree.Cmd() | tree.Entrypoint():
            words = config.cmd if isinstance(instruction, tree.Cmd) else config.entrypoint
            return f"{instruction.name} {_quoted(words or ())}"
        case tree.Shell():
            return f"SHELL [{' '.join(instruction.words)}]"
        case tree.HealthCheck():
            return f"HEALTHCHECK {_health(config.healthcheck or Healthcheck())}"
        case tree.Expose():
            ports = sorted({word for one in instruction.ports for word in expander.words(one)})
            return f"EXPOSE [{' '.join(port if '/' in port else f'{port}/tcp' for port in ports)}]"
        case tree.Volume():
            return f"VOLUME [{' '.join(expander.word(word) for word in instruction.paths)}]"
        case tree.User():
            return f"USER {config.user}"
        case tree.WorkDir():
            return f"WORKDIR {config.working_dir}"
        case tree.StopSignal():
            return f"STOPSIGNAL {config.stop_signal}"
        case tree.Maintainer():
            return f"MAINTAINER {instruction.author}"
        case _:
            return None


def ran(words: Sequence[str], arguments: Mapping[str, str]) -> str:
    """The text for a RUN: the ARGs that its program found, counted, and its command line."""
    found = [f"|{len(arguments)}", *(f"{name}={value}" for name, value in arguments.items())] if arguments else []
    return " ".join(["RUN", *found, *words]) + _MADE


def _copied(instruction: tree.Copy | tree.Add, expander: Expander) -> str:
    flags = [
        f"--{name}={expander.text(value)}"
        for name, value in (("chown", instruction.chown), ("chmod", instruction.chmod))
        if value
    ]
    if instruction.link:
        flags.append("--link")
    paths = [expander.word(word) for word in instruction.paths]
    documents = [f"<<{document.mark.name}" for document in instruction.documents]
    return " ".join([instruction.name, *flags, *paths, *documents, expander.word(instruction.destination)])


def _argument(definition: tree.Definition, arguments: Mapping[str, str]) -> str:
    if definition.name in arguments:
        return f"{definition.name}={arguments[definition.name]}"
    return definition.name


def _quoted(words: Sequence[str]) -> str:
    """A list of words as Go's %q shows it."""
    return f"[{' '.join(json.dumps(word, ensure_ascii=False) for word in words)}]"


def _health(check: Healthcheck) -> str:
    times = [_duration(each) for each in (check.interval, check.timeout, check.start_period, check.start_interval)]
    return f"&{{{_quoted(check.test or ())} {' '.join(times)} '\\x{check.retries:02x}'}}"


def _duration(nanoseconds: int) -> str:
    """In quotes, as Go writes a duration: the largest units that are whole."""
    if nanoseconds % 1_000_000_000:
        return json.dumps(f"{nanoseconds / 1_000_000:g}ms")
    hours, rest = divmod(nanoseconds // 1_000_000_000, 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return f'"{hours}h{minutes}m{seconds}s"'
    return f'"{minutes}m{seconds}s"' if minutes else f'"{seconds}s"'
