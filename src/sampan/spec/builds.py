"""What `POST /build` is asked for, parsed and typed, and the documents that come with it."""

from collections.abc import Mapping

from sampan.spec.document import Document, Int64, sent
from sampan.spec.host_config import Ulimit
from sampan.spec.registries import AuthConfig


class BuildPart(Document, frozen=True, rename="pascal"):
    """One `--output`, `--cache-from` or `--cache-to`: what it is, and what stands behind it."""

    type: str = ""
    attrs: Mapping[str, str] = {}


class BuildOptions(Document, frozen=True, kw_only=True):
    """The query of a build. What an absent member means is Docker's; `credentials` by registry, of X-Registry-Config."""

    names: tuple[str, ...] = ()
    dockerfile: str = ""
    remote: str = ""
    quiet: bool = False
    no_cache: bool = False
    remove: bool = True
    force_remove: bool = False
    pull: bool = False
    memory: Int64 = 0
    memory_swap: Int64 = 0
    cpu_shares: Int64 = 0
    cpu_period: Int64 = 0
    cpu_quota: Int64 = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    cgroup_parent: str = ""
    shm_size: Int64 = 0
    ulimits: tuple[Ulimit, ...] = ()
    arguments: Mapping[str, str | None] = {}
    labels: Mapping[str, str] = {}
    network: str = ""
    extra_hosts: tuple[str, ...] = ()
    target: str = ""
    platform: str = ""
    squash: bool = False
    cache_from: tuple[BuildPart, ...] = ()
    cache_to: tuple[BuildPart, ...] = ()
    outputs: tuple[BuildPart, ...] = ()
    attests: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    entitlements: tuple[str, ...] = ()
    """`network.host`, `security.insecure`: what the client allows"""
    no_cache_filter: tuple[str, ...] = ()
    secrets: Mapping[str, bytes] = {}
    secret_names: tuple[str, ...] = ()
    """by their numbers in the body where they are not in `secrets`"""
    ssh: Mapping[str, str] = {}
    """sockets of agents, by id"""
    contexts: Mapping[str, str] = {}
    """`docker-image://REF`, `input:NAME` or a git repository, by name"""
    stamp: str = ""
    """what the client calls the files of the body, so that it need not send them again"""
    kept: bool = False
    """there is no body: the files of the stamp are meant"""
    layout: str = ""
    """named: the body holds `context/`, `contexts/NAME/` and `secrets/NUMBER`"""
    progress: str = ""
    """json: events instead of the classic lines"""
    credentials: Mapping[str, AuthConfig] = {}


class BuildResult(Document, frozen=True, rename="upper"):
    """The image that a build made, in its stream of progress."""

    id: str = sent("")


class BuildInfo(Document, frozen=True, rename="camel"):
    """A line of a build's progress that tells what was made. All other lines are those of `spec.images.Progress`."""

    aux: BuildResult = sent(BuildResult())
