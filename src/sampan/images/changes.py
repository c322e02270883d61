"""Instructions that change a configuration and no files: for `import --change` and `commit --change`."""

from collections.abc import Sequence

from sampan.dockerfile.configuration import configure, environment
from sampan.dockerfile.faults import DockerfileError
from sampan.dockerfile.instructions import Cmd, Entrypoint, Instruction
from sampan.dockerfile.parse import instructions
from sampan.dockerfile.script import Script
from sampan.dockerfile.variables import Expander
from sampan.errors import InvalidParameter
from sampan.spec.oci_image import ImageConfig

_VALID = (
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
)


def apply_changes(config: ImageConfig, lines: Sequence[str]) -> ImageConfig:
    """`config` after the instructions. Raises InvalidParameter for one that is malformed or no change of a configuration."""
    script = Script("\n".join(lines))
    cmd_given = False
    try:
        for instruction in instructions(script):
            _check(instruction)
            expander = Expander(environment(config), script.escape, instruction.at)
            config = configure(config, instruction, expander, cmd_given)
            cmd_given = cmd_given or isinstance(instruction, Cmd)
    except DockerfileError as error:
        # There is no file whose line would mean anything to the one who asked.
        raise InvalidParameter(error.message) from None
    return config


def _check(instruction: Instruction) -> None:
    if instruction.name not in _VALID:
        raise InvalidParameter(f"{instruction.name} is not a valid change command")
    if isinstance(instruction, Cmd | Entrypoint) and instruction.command.for_shell and not instruction.command.words:
        raise InvalidParameter(f"{instruction.name} requires at least one argument")
