"""The daemon about itself, truthfully: version and info."""

import hashlib
import os
import platform
import sys
import time
from collections.abc import Callable

from sampan.cgroups.means import Means
from sampan.daemon import registry_settings, runtimes
from sampan.daemon.config import DaemonConfig
from sampan.daemon.engine import Engine
from sampan.daemon.oci import Surroundings
from sampan.daemon.states import Status
from sampan.daemon.times import rfc3339
from sampan.host.facts import Facts, Limits, security_options, warnings
from sampan.images.images import Images
from sampan.logs.options import DRIVERS
from sampan.registry.settings import Settings
from sampan.spec import system as s
from sampan.version import VERSION

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class SystemApi:
    """Implements `api.backend.System`."""

    def __init__(self, engine: Engine, images: Images, facts: Facts, registries: Callable[[], Settings]) -> None:
        self._engine = engine
        self._images = images
        self._facts = facts
        self._registries = registries

    async def version(self) -> s.Version:
        """Who is speaking; API versions are filled in by the API."""
        architecture = _ARCHITECTURES.get(self._facts.machine, self._facts.machine)
        details = {"Python": platform.python_version(), "Os": "linux", "Arch": architecture}
        return s.Version(
            platform=s.PlatformName(name="Sampan"),
            components=(s.Component(name="Engine", version=VERSION, details=details),),
            version=VERSION,
            go_version=f"python{platform.python_version()}",
            os="linux",
            arch=architecture,
            kernel_version=self._facts.kernel,
            experimental=self._engine.config.experimental,
        )

    async def info(self) -> s.Info:
        """The daemon, its host and what it can do."""
        engine, facts, config = self._engine, self._facts, self._engine.config
        states = [container.state.status for container in engine.containers]
        means = engine.means
        registries = self._registries()
        proxies = registry_settings.shown_proxies(registries.proxies)
        return s.Info(
            id=identity(engine),
            containers=len(states),
            containers_running=sum(status in (Status.RUNNING, Status.RESTARTING) for status in states),
            containers_paused=states.count(Status.PAUSED),
            containers_stopped=sum(status in (Status.CREATED, Status.EXITED, Status.DEAD) for status in states),
            images=self._images.count(),
            driver=engine.layers.driver,
            driver_status=_driver_status(engine.layers.driver, str(config.data_root)),
            docker_root_dir=str(config.data_root),
            plugins=s.PluginsInfo(
                volume=tuple(sorted(("local", *engine.plugins.active("VolumeDriver")))),
                network=("bridge", "host", "null", *engine.plugins.active("NetworkDriver")),
                authorization=engine.config.authorization_plugins or None,
                log=(*(driver for driver in DRIVERS if driver != "none"), *engine.plugins.active("LogDriver")),
            ),
            memory_limit=means.memory,
            swap_limit=means.swap,
            cpu_cfs_period=means.cpu_quota,
            cpu_cfs_quota=means.cpu_quota,
            cpu_shares=means.cpu_shares,
            cpu_set=means.cpuset,
            pids_limit=means.pids,
            ipv4_forwarding=facts.ipv4_forwarding,
            debug=config.debug,
            nfd=len(os.listdir("/proc/self/fd")),
            oom_kill_disable=means.oom_kill_disable,
            kernel_memory_tcp=means.kernel_tcp,
            n_goroutines=len(engine.tasks),
            system_time=rfc3339(time.time_ns()),
            logging_driver=config.log_driver,
            cgroup_driver=_cgroup_driver(engine.around),
            cgroup_version=facts.cgroup_version,
            n_events_listener=engine.events.listeners,
            kernel_version=facts.kernel,
            operating_system=facts.operating_system,
            os_version=facts.os_version,
            architecture=facts.machine,
            ncpu=facts.cpus,
            mem_total=facts.memory,
            registry_config=registry_settings.shown(registries),
            http_proxy=proxies.http,
            https_proxy=proxies.https,
            no_proxy=proxies.no_proxy,
            name=facts.name,
            labels=config.labels,
            cdi_spec_dirs=config.cdi_spec_dirs,
            experimental_build=config.experimental,
            server_version=VERSION,
            runtimes=_runtimes(config),
            default_runtime=config.default_runtime,
            live_restore_enabled=config.live_restore,
            init_binary="sampan",
            security_options=_security(engine, facts),
            default_address_pools=tuple(s.AddressPool(base=p.base, size=p.size) for p in config.address_pools) or None,
            firewall_backend=s.FirewallInfo(driver="nftables"),
            warnings=tuple(warnings(facts, _limits(means))) or None,
        )


def _runtimes(config: DaemonConfig) -> dict[str, s.Runtime]:
    own = {runtimes.OWN: s.Runtime(path=f"{sys.executable} (Sampan's own runtime)")}
    return own | {
        name: s.Runtime(path=each.path, runtime_args=each.arguments or None) for name, each in config.runtimes.items()
    }


def _security(engine: Engine, facts: Facts) -> tuple[str, ...]:
    config, remapped = engine.config, engine.users.default is not None
    return tuple(
        security_options(
            facts,
            config.seccomp_profile,
            config.no_new_privileges,
            engine.around.cgroup_v2,
            remapped=remapped,
            rootless=config.rootless,
        )
    )


def _cgroup_driver(around: Surroundings) -> str:
    if around.without_groups:
        return "none"
    return "systemd" if around.systemd else "cgroupfs"


def _limits(means: Means) -> Limits:
    """What was found by trying, for the warnings about what was not."""
    return Limits(
        memory=means.memory,
        swap=means.swap,
        oom_kill_disable=means.oom_kill_disable,
        cpu_shares=means.cpu_shares,
        cpu_cfs=means.cpu_quota,
        cpuset=means.cpuset,
        blkio_weight=means.blkio_weight,
        blkio_weight_device=means.blkio_weight_device,
        blkio_throttle=means.blkio_throttle,
    )


def identity(engine: Engine) -> str:
    """The daemon's id: the same as long as its data root is."""
    digest = hashlib.sha256(f"sampan {engine.instance}".encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"


def _driver_status(driver: str, data_root: str) -> tuple[tuple[str, str], ...]:
    return (("Btrfs", ""),) if driver == "btrfs" else (("Backing Filesystem", _file_system(data_root)),)


def _file_system(path: str) -> str:
    """The type of the file system that `path` lies on, from its mount: a subvolume of btrfs has a device that no mount shows."""
    descriptor = os.open(path, os.O_PATH)
    try:
        with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as file:
            wanted = next((line.split()[1] for line in file if line.startswith("mnt_id:")), "")
    finally:
        os.close(descriptor)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields, _, after = line.partition(" - ")
            if fields.split(" ", 1)[0] == wanted:
                return after.split(" ", 1)[0]
    return "unknown"
