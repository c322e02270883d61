"""Building images: Docker's classic protocol, the context in the body, the progress in the answer."""

from sampan.api import build_outputs, build_secrets
from sampan.api.backend import Backend
from sampan.api.form import Form
from sampan.api.platforms import platform_of_text
from sampan.api.progress import begun
from sampan.api.request import Request
from sampan.api.responses import Answer
from sampan.api.routing import Route, Support
from sampan.errors import InvalidParameter, NotImplementedHere
from sampan.registry.authconfig import registry_config
from sampan.spec.builds import BuildOptions
from sampan.spec.decoding import Reader
from sampan.spec.host_config import Ulimit

_ULIMITS = Reader(tuple[Ulimit, ...])
_ARGUMENTS = Reader(dict[str, str | None])
_LABELS = Reader(dict[str, str])
_NAMES = Reader(tuple[str, ...])
_ISOLATIONS = ("", "default", "process", "hyperv")
_DIGITS = 20
_NOTE = "version 2, which docker before 23 asks for without buildx, is not there: BuildKit is served by `POST /grpc`"


async def build(request: Request, backend: Backend) -> Answer:
    """Build an image of a context."""
    options = _options(request)
    return await begun(backend.builds.build(options, request.stream()))


def _options(request: Request) -> BuildOptions:
    form = request.form
    _refuse(form, request)
    arguments = form.document("buildargs", _ARGUMENTS, "error reading build args")
    labels = form.document("labels", _LABELS, "error reading labels")
    ends = build_outputs.read(form)
    memory = _numbers(form, "memory", "memswap", "cpushares", "cpuperiod", "cpuquota", "shmsize")
    return BuildOptions(
        names=tuple(name for name in form.all("t") if name),
        dockerfile=form.text("dockerfile"),
        remote=form.text("remote"),
        quiet=form.flag("q"),
        no_cache=form.flag("nocache"),
        remove=form.flag("rm", True),
        force_remove=form.flag("forcerm"),
        pull=form.flag("pull"),
        memory=memory["memory"],
        memory_swap=memory["memswap"],
        cpu_shares=memory["cpushares"],
        cpu_period=memory["cpuperiod"],
        cpu_quota=memory["cpuquota"],
        cpuset_cpus=form.text("cpusetcpus"),
        cpuset_mems=form.text("cpusetmems"),
        cgroup_parent=form.text("cgroupparent"),
        shm_size=memory["shmsize"],
        ulimits=form.document("ulimits", _ULIMITS, "error reading ulimit settings") or (),
        arguments=arguments or {},
        labels=labels or {},
        network=form.text("networkmode"),
        extra_hosts=form.all("extrahosts"),
        target=form.text("target"),
        platform=",".join(platform_of_text(one) for one in form.text("platform").split(",")),
        squash=form.flag("squash"),
        cache_from=ends.cache_from,
        cache_to=ends.cache_to,
        outputs=ends.outputs,
        attests=ends.attests,
        annotations=ends.annotations,
        entitlements=build_secrets.entitlements(form),
        no_cache_filter=form.document("nocachefilter", _NAMES, "error reading nocachefilter") or (),
        credentials=registry_config(request.headers.get(b"x-registry-config", b"").decode("latin-1")),
        progress=form.text("progress"),
        secret_names=build_secrets.secret_names(form),
        secrets=build_secrets.secret_values(request.headers),
        ssh=build_secrets.agents(form),
        contexts=build_secrets.contexts(form),
        layout=build_secrets.layout(form),
        stamp=build_secrets.stamp(form),
        kept=form.flag("kept"),
    )


def _refuse(form: Form, request: Request) -> None:
    """What Docker refuses too, and what is not there yet. Raises InvalidParameter, NotImplementedHere."""
    version = form.text("version", "1")
    if version == "2":
        raise NotImplementedHere(
            "not implemented by Sampan: BuildKit's builder in POST /build (version=2); use docker buildx, or set DOCKER_BUILDKIT=0"
        )
    if version not in ("", "1"):
        raise InvalidParameter(f"invalid version {version}")
    isolation = form.text("isolation").lower()
    if isolation not in _ISOLATIONS:
        raise InvalidParameter(f'unsupported isolation: "{form.text("isolation")}"')
    if isolation in ("process", "hyperv"):
        raise InvalidParameter(f'invalid isolation "{isolation}" on linux')
    if form.all("securityopt"):
        raise InvalidParameter("The daemon on this platform does not support setting security options on build")
    given = request.headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip()
    if given not in ("", "application/tar", "application/x-tar", "application/octet-stream"):
        raise InvalidParameter(f"Content-Type {given} is not supported: must be application/x-tar")


def _numbers(form: Form, *names: str) -> dict[str, int]:
    """Whole numbers; what is none counts as 0, as in Docker, but for the size of /dev/shm."""
    found = {}
    for name in names:
        text = form.text(name)[:_DIGITS]
        try:
            number = int(text or 0)
            found[name] = number if -(2**63) <= number < 2**63 else 0
        except ValueError as error:
            if name == "shmsize":
                raise InvalidParameter(f'strconv.ParseInt: parsing "{text}": invalid syntax') from error
            found[name] = 0
    return found


ROUTES = (Route("POST", "/build", build, Support.PARTIAL, _NOTE, follows=True),)
