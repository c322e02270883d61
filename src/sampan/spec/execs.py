"""Execs: one more process in a running container."""

from sampan.spec.document import Document, Names, sent, wire
from sampan.spec.host_config import ConsoleSize


class ExecCreateRequest(Document, frozen=True):
    """Body of POST /containers/{id}/exec. `detach_keys` in the client's notation (`ctrl-p,ctrl-q`)."""

    user: str = sent("")
    privileged: bool = sent(False)
    tty: bool = sent(False)
    console_size: ConsoleSize | None = None
    attach_stdin: bool = sent(False)
    attach_stderr: bool = sent(False)
    attach_stdout: bool = sent(False)
    detach_keys: str = sent("")
    env: Names | None = sent(None)
    working_dir: str = sent("")
    cmd: Names | None = sent(None)


class ExecStartRequest(Document, frozen=True):
    """Body of POST /exec/{id}/start."""

    detach: bool = sent(False)
    tty: bool = sent(False)
    console_size: ConsoleSize | None = None


class ExecCreateResponse(Document, frozen=True):
    """The new exec's id."""

    id: str


class ProcessConfig(Document, frozen=True, rename=None):
    """The program of an exec; these names are lower case on the wire."""

    tty: bool = sent(False)
    entrypoint: str = sent("")
    arguments: Names = sent(())
    privileged: bool | None = None
    user: str = ""


class ExecInspect(Document, frozen=True, rename=wire(id="ID", container_id="ContainerID")):
    """Answer of GET /exec/{id}/json. `exit_code` is None while it runs, `detach_keys` is base64 in Docker's answer."""

    id: str
    running: bool = sent(False)
    exit_code: int | None = sent(None)
    process_config: ProcessConfig = sent(ProcessConfig())
    open_stdin: bool = sent(False)
    open_stderr: bool = sent(False)
    open_stdout: bool = sent(False)
    can_remove: bool = sent(False)
    container_id: str = sent("")
    detach_keys: str = sent("")
    pid: int = sent(0)
