"""A RUN as it is run: the program with the shell in front of it, its heredocs, its environment."""

from sampan.build.operations import RunMount
from sampan.dockerfile.arguments import StageScope
from sampan.dockerfile.configuration import command_line
from sampan.dockerfile.heredocs import parse_mark
from sampan.dockerfile.instructions import Command
from sampan.dockerfile.mounts import Mount
from sampan.spec.oci_image import ImageConfig

SCRIPTS = "/dev/pipes"


def program(config: ImageConfig, command: Command) -> tuple[tuple[str, ...], tuple[str, str] | None]:
    """The arguments, and a script's name and content where the command is nothing but a heredoc with `#!`."""
    if not command.heredocs:
        return tuple(command_line(config, command)), None
    (text,) = command.words
    first = command.heredocs[0]
    script = None
    if parse_mark(text) is None:
        # The shell reads its heredocs itself.
        text += "".join(f"\n{heredoc.body}{heredoc.mark.name}" for heredoc in command.heredocs)
    elif first.body.startswith("#!"):
        script = (first.mark.name, first.content)
        text = f"{SCRIPTS}/{first.mark.name}"
    else:
        text = first.content
    whole = Command((text,), for_shell=True, at=command.at)
    return tuple(command_line(config, whole)), script


def environment_of(scope: StageScope, config: ImageConfig) -> tuple[str, ...]:
    """What a RUN's program finds: the ARGs that were declared, hidden by what ENV says; sorted, for their order says nothing."""
    return tuple(sorted(f"{name}={value}" for name, value in scope.variables(config).items()))


def planned_mount(mount: Mount, place: int) -> RunMount:
    """The mount, its tree being the input at `place`, -1 for none. What it is from is the input's business."""
    return RunMount(
        type=mount.type,
        target=mount.target,
        input=place,
        source=mount.source,
        read_only=mount.read_only,
        size=mount.size,
        identity=mount.identity,
        sharing=mount.sharing,
        required=mount.required,
        variable=mount.variable,
        mode=mount.mode,
        uid=mount.uid,
        gid=mount.gid,
    )
