"""Exec, first step: one more process for a running container is described; nothing runs yet."""

from sampan.daemon import environment, oci, rootless
from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.daemon.execs import Exec
from sampan.daemon.states import Status
from sampan.errors import Conflict, InvalidParameter
from sampan.runtime import profile_capabilities, profile_options
from sampan.spec import detach_keys
from sampan.spec import oci_runtime as runtime
from sampan.spec.execs import ExecCreateRequest
from sampan.spec.ids import ExecId, new_id


def create(engine: Engine, reference: str, request: ExecCreateRequest) -> Exec:
    """Describe an exec. Raises InvalidParameter, NotFound, Conflict in Docker's wording."""
    container = active(engine, reference)
    if not request.cmd:
        raise InvalidParameter("No exec command specified")
    environment.check(request.env or ())
    if request.working_dir and not request.working_dir.startswith("/"):
        raise InvalidParameter(
            f"the working directory '{request.working_dir}' is invalid, it needs to be an absolute path"
        )
    made = Exec(
        id=ExecId(new_id()),
        container=container.id,
        request=request,
        detach_keys=_detach_keys(request.detach_keys),
        process=_process(engine, container, request),
    )
    engine.execs.add(made)
    engine.event(container, f"exec_create: {made.command}", {"execID": made.id})
    return made


def _detach_keys(text: str) -> bytes:
    try:
        return detach_keys.parse(text) if text else detach_keys.DEFAULT
    except ValueError as error:
        raise InvalidParameter(f"Invalid escape keys ({text}) provided") from error


def active(engine: Engine, reference: str) -> Container:
    """A container whose program runs. Raises NotFound, Conflict."""
    container = engine.find(reference)
    if not container.state.running:
        raise Conflict(f"container {container.id} is not running")
    if container.state.status is Status.PAUSED:
        raise Conflict(f"Container {reference} is paused, unpause the container before exec")
    if container.state.status is Status.RESTARTING:
        raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
    return container


def _process(engine: Engine, container: Container, request: ExecCreateRequest) -> runtime.Process:
    """The container's own process with what the request says in its place."""
    definition = container.definition
    config, host = definition.config, definition.host
    options = profile_options.parse(host.security_opt or (), no_new_privileges=engine.around.no_new_privileges)
    privileged = host.privileged or request.privileged
    caps = profile_capabilities.granted(host.cap_add or (), host.cap_drop or (), privileged, engine.around.capabilities)
    linked = engine.linked.environment(container, engine.wiring)
    base = environment.of_program(config.env or (), config.hostname, tty=request.tty, linked=linked)
    size = request.console_size
    return runtime.Process(
        args=request.cmd or (),
        env=environment.replaced(base, request.env or ()),
        cwd=request.working_dir or config.working_dir or "/",
        user=runtime.User(
            name=request.user or config.user, additional_groups=tuple(host.group_add or ()) if not request.user else ()
        ),
        terminal=request.tty,
        console_size=runtime.ConsoleSize(height=size[0], width=size[1]) if request.tty and size and any(size) else None,
        capabilities=profile_capabilities.as_sets(caps),
        rlimits=oci.rlimits(host, engine.around.ulimits),
        no_new_privileges=options.no_new_privileges,
        oom_score_adj=rootless.oom_score_adj(host.oom_score_adj, is_rootless=engine.around.rootless),
        # An exec's own `privileged` gives capabilities and nothing else, as in Docker.
        apparmor_profile=oci.apparmor_profile(options, engine.around, privileged=host.privileged),
    )
