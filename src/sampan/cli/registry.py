"""Which words name which command. A command's module is imported when the command is used, not before."""

from __future__ import annotations

from sampan.cli.failures import PROGRAM, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Command

    Row = tuple[str, str, str, str]

# words (the first spelling is the one help shows), module under verbs, name in it, summary
COMMANDS: tuple[Row, ...] = (
    ("run|container run", "run", "RUN", "Create a container from an image and run a program in it"),
    ("exec|container exec", "exec", "EXEC", "Run a program in a running container"),
    ("port|container port", "port", "PORT", "Show where published ports are reached"),
    ("ps|container ls|container list|container ps", "ps", "PS", "List containers"),
    ("images|image ls|image list", "images", "IMAGES", "List images"),
    ("version", "version", "VERSION", "Show the versions of client and daemon"),
    ("info|system info", "info", "INFO", "Show what the daemon and its host can do"),
    ("build|image build|builder build", "build", "BUILD", "Build an image from a Dockerfile"),
    ("attach|container attach", "attach", "ATTACH", "Connect this terminal to a running container"),
    ("checkpoint create", "checkpoints", "CREATE", "Write down the state of a running container"),
    ("checkpoint ls|checkpoint list", "checkpoints", "LIST", "List checkpoints of a container"),
    ("checkpoint rm|checkpoint remove", "checkpoints", "REMOVE", "Remove a checkpoint"),
    ("commit|container commit", "commit", "COMMIT", "Make an image of what a container changed"),
    ("cp|container cp", "cp", "CP", "Copy files between a container and this machine"),
    ("create|container create", "create", "CREATE", "Create a container without starting it"),
    ("diff|container diff", "diff", "DIFF", "List what a container changed in its file system"),
    ("events|system events", "events", "EVENTS", "Follow what happens in the daemon"),
    ("export|container export", "archives", "EXPORT", "Write a container's file system to a tar archive"),
    ("history|image history", "history", "HISTORY", "Show the steps that an image was made by"),
    ("import|image import", "archives", "IMPORT", "Make an image from a tar archive of a file system"),
    ("inspect", "inspect", "INSPECT", "Show everything about containers, images, networks or volumes"),
    ("kill|container kill", "lifecycle", "KILL", "Send a signal to running containers"),
    ("load|image load", "archives", "LOAD", "Load images from a tar archive"),
    ("logs|container logs", "logs", "LOGS", "Show what a container has written"),
    ("mount|container mount", "mount", "MOUNT", "Print where root sees a container's file system"),
    ("pause|container pause", "lifecycle", "PAUSE", "Let all processes of containers stand still"),
    ("pull|image pull", "pull", "PULL", "Bring an image from a registry"),
    ("push|image push", "push", "PUSH", "Send an image to a registry"),
    ("login", "login", "LOGIN", "Log in to a registry"),
    ("logout", "login", "LOGOUT", "Forget the login at a registry"),
    ("search", "search", "SEARCH", "Find images on Docker Hub"),
    ("rename|container rename", "lifecycle", "RENAME", "Give a container another name"),
    ("restart|container restart", "lifecycle", "RESTART", "Stop and start containers"),
    ("rm|container rm|container remove", "removal", "RM", "Remove containers"),
    ("rmi|image rm|image remove", "removal", "RMI", "Remove images"),
    ("save|image save", "archives", "SAVE", "Write images to a tar archive"),
    ("start|container start", "start", "START", "Start stopped containers"),
    ("stats|container stats", "stats", "STATS", "Show what containers use, as it goes on"),
    ("stop|container stop", "lifecycle", "STOP", "Stop running containers"),
    ("tag|image tag", "removal", "TAG", "Give an image another name"),
    ("top|container top", "top", "TOP", "Show the processes of a container"),
    ("umount|container umount", "mount", "UMOUNT", "Take back what `mount` made"),
    ("unpause|container unpause", "lifecycle", "UNPAUSE", "Let paused containers go on"),
    ("update|container update", "update", "UPDATE", "Change limits and restart policy of containers"),
    ("wait|container wait", "lifecycle", "WAIT", "Wait until containers end and print their exit codes"),
    ("context create", "contexts", "CREATE", "Create a context"),
    ("context export", "context_archives", "EXPORT", "Write a context to a tar archive, its keys included"),
    ("context import", "context_archives", "IMPORT", "Make a context from an archive"),
    ("context inspect", "contexts", "INSPECT", "Show everything about contexts"),
    ("context ls|context list", "contexts", "LIST", "List contexts"),
    ("context rm|context remove", "contexts", "REMOVE", "Remove contexts"),
    ("context show", "contexts", "SHOW", "Print the name of the context in use"),
    ("context update", "contexts", "UPDATE", "Change a context"),
    ("context use", "contexts", "USE", "Select the context that later commands use"),
    ("container inspect", "inspect", "INSPECT_CONTAINER", "Show everything about containers"),
    ("container prune", "prune", "PRUNE_CONTAINERS", "Remove all stopped containers"),
    ("image inspect", "inspect", "INSPECT_IMAGE", "Show everything about images"),
    ("image prune", "prune", "PRUNE_IMAGES", "Remove images that nothing uses"),
    ("builder df|builder du", "builder", "DF", "Show what the build cache holds"),
    ("builder mount-export", "cache_mounts", "EXPORT", "Write the files of a cache mount to a tar archive"),
    ("builder mount-import", "cache_mounts", "IMPORT", "Let a cache mount be what a tar archive holds"),
    ("builder prune", "builder", "PRUNE", "Remove build cache"),
    ("plugin create", "plugin_install", "CREATE", "Make a plugin of a directory"),
    ("plugin disable", "plugins", "DISABLE", "Stop a plugin"),
    ("plugin enable", "plugins", "ENABLE", "Start a plugin"),
    ("plugin inspect", "inspect", "INSPECT_PLUGIN", "Show everything about plugins"),
    ("plugin install", "plugin_install", "INSTALL", "Bring a plugin from a registry, and start it"),
    ("plugin ls|plugin list", "plugins", "LIST", "List managed plugins"),
    ("plugin push", "plugins", "PUSH", "Send a plugin to a registry"),
    ("plugin rm|plugin remove", "plugins", "REMOVE", "Remove plugins"),
    ("plugin set", "plugins", "SET", "Change settings of a plugin that is disabled"),
    ("plugin upgrade", "plugin_install", "UPGRADE", "Bring another version of a plugin that is disabled"),
    ("volume create", "volumes", "CREATE", "Create a volume"),
    ("volume export", "volume_archives", "EXPORT", "Write the files of a volume to a tar archive"),
    ("volume import", "volume_archives", "IMPORT", "Unpack a tar archive into a volume"),
    ("volume inspect", "inspect", "INSPECT_VOLUME", "Show everything about volumes"),
    ("volume ls|volume list", "volumes", "LIST", "List volumes"),
    ("volume prune", "prune", "PRUNE_VOLUMES", "Remove volumes that no container uses"),
    ("volume rm|volume remove", "volumes", "REMOVE", "Remove volumes"),
    ("network connect", "network_changes", "CONNECT", "Connect a container to a network"),
    ("network create", "network_changes", "CREATE", "Create a network"),
    ("network disconnect", "network_changes", "DISCONNECT", "Disconnect a container from a network"),
    ("network inspect", "network_inspect", "INSPECT", "Show everything about networks, or their rules"),
    ("network ls|network list", "networks", "LIST", "List networks"),
    ("system df", "disk", "DF", "Show what takes room on the disk"),
    ("network prune", "prune", "PRUNE_NETWORKS", "Remove networks in which no container stands"),
    ("network rm|network remove", "network_changes", "REMOVE", "Remove networks"),
    ("system prune", "system_prune", "PRUNE", "Remove what nothing uses"),
    ("system check", "check", "CHECK", "Look whether all that images need is whole on the disk; --repair mends it"),
    ("system debug", "debug", "DEBUG", "Pack a report for whoever looks for a fault; secrets are left out"),
    ("system check-host", "check_host", "CHECK_HOST", "Say for each feature whether this host has it, and why not"),
    (
        "rootless check",
        "rootless",
        "CHECK",
        "Say what a rootless daemon needs here, whether it is there, and what to do",
    ),
    ("rootless setup", "rootless", "SETUP", "Check that, start a rootless daemon, and let later commands start it"),
    ("rootless start", "rootless", "START", "Start this user's daemon"),
    ("rootless stop", "rootless", "STOP", "Stop this user's containers and daemon"),
    ("setup", "setup", "SETUP", "Let docker and other clients find Sampan; --undo takes it back"),
    ("completion", "completion", "COMPLETION", "Print the completion script of a shell"),
)
HIDDEN: tuple[Row, ...] = (("__complete", "completion", "COMPLETE", "What a completion script asks"),)
GROUPS = {
    "builder": "Manage the build cache",
    "checkpoint": "Manage checkpoints (a daemon in experimental mode)",
    "container": "Manage containers",
    "context": "Manage contexts: named daemons, shared with the docker command",
    "image": "Manage images",
    "network": "Manage networks",
    "plugin": "Manage plugins",
    "rootless": "Manage this user's own engine, without root",
    "system": "Manage the engine",
    "volume": "Manage volumes",
}
# What docker offers and this command does not yet: named, so that the answer is not "unknown command".
MISSING = frozenset(
    (  # noqa: SIM905
     "manifest,trust,config,node,secret,service,"
     "stack,swarm,"
     "volume update").split(",")
)  # fmt: skip


def spellings(row: Row) -> list[str]:
    """All the words that name the command of `row`."""
    return row[0].split("|")


_INDEX = {words: row for row in (*COMMANDS, *HIDDEN) for words in row[0].split("|")}


def split_path(words: list[str]) -> tuple[str, list[str]]:
    """The command's words ("run", "container ls", a bare group, or "") and what follows them. UsageError when unknown."""
    if not words:
        return "", []
    first, rest = words[0], words[1:]
    if first in GROUPS:
        if not rest or rest[0].startswith("-"):
            return first, rest
        path = f"{first} {rest[0]}"
        if path in _INDEX:
            return path, rest[1:]
        raise _unknown(path, first)
    if first in _INDEX and first not in GROUPS:
        return first, rest
    raise _unknown(first, "")


def _unknown(path: str, group: str) -> UsageError:
    if path in MISSING:
        return UsageError(f"{PROGRAM}: '{PROGRAM} {path}' is not implemented yet", group, code=1)
    return UsageError(f"{PROGRAM}: unknown command: {PROGRAM} {path}", group, code=1)


def is_group(path: str) -> bool:
    """Whether `path` names a group of commands and no command."""
    return path in GROUPS


def load(path: str) -> Command:
    """The command that `path` names; `split_path` has checked it."""
    row = _INDEX[path]
    module = __import__(f"sampan.cli.verbs.{row[1]}", fromlist=[row[2]])  # importlib itself costs 3 ms
    command: Command = getattr(module, row[2])
    return command


def aliases(path: str) -> list[str]:
    """Every spelling of the command at `path`."""
    return spellings(_INDEX[path])
