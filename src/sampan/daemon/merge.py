"""A request made complete: what the image adds to it, and the daemon's defaults. Pure, in Docker's order of precedence."""

import msgspec

from sampan.daemon import environment
from sampan.daemon.config import DaemonConfig
from sampan.errors import InvalidParameter
from sampan.logs.options import is_shipped
from sampan.runtime import profile_files
from sampan.spec.containers import ContainerConfig, CreateRequest
from sampan.spec.health import HealthConfig
from sampan.spec.host_config import HostConfig, LogConfig, RestartPolicy
from sampan.spec.images import ImageConfig

_FIELDS = ContainerConfig.__struct_fields__


def with_image(request: CreateRequest, image: ImageConfig | None) -> ContainerConfig:
    """The portable part of `request` with what `image` says where the request is silent. Raises InvalidParameter."""
    values = {name: getattr(request, name) for name in _FIELDS}
    if values["working_dir"]:
        values["working_dir"] = _clean(values["working_dir"])
    values["labels"] = dict(request.labels or {})
    if image is not None:
        _add_image(values, request, image)
    if values["entrypoint"] == ("",):
        values["entrypoint"] = None
    if not values["entrypoint"] and not values["cmd"]:
        raise InvalidParameter("no command specified")
    return ContainerConfig(**values)


def over(asked: ContainerConfig, below: ContainerConfig) -> ContainerConfig:
    """`asked` with what `below` says where it is silent: a committed image's configuration over the container's."""
    values: dict[str, object] = {name: getattr(asked, name) for name in _FIELDS}
    _add_image(values, asked, below)
    return ContainerConfig(**values)  # type: ignore[arg-type]  # the members' own values


def _add_image(values: dict[str, object], request: ContainerConfig, image: ImageConfig | ContainerConfig) -> None:
    values["user"] = request.user or image.user
    values["working_dir"] = values["working_dir"] or image.working_dir
    values["stop_signal"] = request.stop_signal or image.stop_signal
    values["env"] = environment.merged_with_image(request.env or (), image.env or ())
    values["labels"] = {**(image.labels or {}), **(request.labels or {})}
    for name in ("exposed_ports", "volumes"):
        values[name] = {**(getattr(request, name) or {}), **(getattr(image, name) or {})} or getattr(image, name)
    if not request.entrypoint:
        if not request.cmd:
            values["cmd"] = image.cmd
        if request.entrypoint is None:
            values["entrypoint"] = image.entrypoint
    values["healthcheck"] = _health(request.healthcheck, image.healthcheck)


def _health(asked: HealthConfig | None, image: HealthConfig | None) -> HealthConfig | None:
    if asked is None or image is None:
        return asked or image
    return HealthConfig(
        **{name: getattr(asked, name) or getattr(image, name) for name in HealthConfig.__struct_fields__}
    )


def _clean(path: str) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def program(config: ContainerConfig) -> tuple[str, tuple[str, ...]]:
    """What is executed, and its arguments."""
    words = (*(config.entrypoint or ()), *(config.cmd or ()))
    return words[0], words[1:]


def with_defaults(host: HostConfig, defaults: DaemonConfig, *, cgroup_v2: bool, thermal: tuple[str, ...]) -> HostConfig:
    """`host` with the daemon's defaults where the request is silent; modes that name a container are resolved elsewhere."""
    changes: dict[str, object] = {}
    if host.network_mode in ("", "default"):
        changes["network_mode"] = "bridge" if defaults.bridge else "none"
    if not host.shm_size:
        changes["shm_size"] = defaults.shm_size
    if not host.ipc_mode:
        changes["ipc_mode"] = defaults.ipc_mode
    if not host.cgroupns_mode:
        changes["cgroupns_mode"] = _cgroup_namespace(host, defaults, cgroup_v2)
    if not host.restart_policy.name:
        changes["restart_policy"] = RestartPolicy(
            name="no", maximum_retry_count=host.restart_policy.maximum_retry_count
        )
    changes["log_config"] = _log_config(host.log_config, defaults)
    if not host.runtime:
        changes["runtime"] = defaults.default_runtime
    if host.oom_kill_disable is None:
        changes["oom_kill_disable"] = False
    if host.memory > 0 and host.memory_swap == 0:
        # A memory limit alone allows as much swap again.
        changes["memory_swap"] = 2 * host.memory
    options = host.security_opt or ()
    unlabelled = host.privileged or host.ipc_mode == "host" or host.pid_mode == "host"
    if unlabelled and not any(option.startswith("label") for option in options):
        changes["security_opt"] = (*options, "label=disable")
    changes["masked_paths"] = profile_files.shown_masked_paths(host.masked_paths, host.privileged, thermal)
    changes["readonly_paths"] = profile_files.shown_read_only_paths(host.readonly_paths, host.privileged)
    return msgspec.structs.replace(host, **changes)


def _log_config(asked: LogConfig, defaults: DaemonConfig) -> LogConfig:
    """The daemon's options fill in for its own driver, those of a shipped log's local copy for every one, as in Docker."""
    driver = asked.type or defaults.log_driver
    same = driver == defaults.log_driver
    inherited = {
        name: value
        for name, value in defaults.log_opts.items()
        if same or (is_shipped(driver) and name.startswith("cache-"))
    }
    return LogConfig(type=driver, config={**inherited, **(asked.config or {})})


def _cgroup_namespace(host: HostConfig, defaults: DaemonConfig, cgroup_v2: bool) -> str:
    """On v1 a privileged container stays in the host's, whatever the daemon's default says."""
    if defaults.rootless:
        # The machine's can be neither joined nor shown, and must not be (CVE-2023-25809).
        return "private"
    if host.privileged and not cgroup_v2:
        return "host"
    return defaults.cgroupns_mode or ("private" if cgroup_v2 else "host")
