"""Which of several platforms' images is this machine's, or the one that was asked for; by containerd's rules of variants."""

import functools
import os
from collections.abc import Sequence

from sampan.spec.oci_image import Descriptor, Image, Platform

_MACHINES = {
    "x86_64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armv8l": ("arm", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i686": ("386", ""),
}
_ALIASES = {
    "i386": ("386", ""),
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
}
# What x86-64-v2 to v4 need (System V psABI), as /proc/cpuinfo calls it.
_LEVELS = (
    ("v2", {"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"}),
    ("v3", {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"}),
    ("v4", {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}),
)
_CPUINFO_LIMIT = 1 << 16


def machine_architecture() -> str:
    """This machine as Go and the OCI call it."""
    machine = os.uname().machine
    return _MACHINES.get(machine, (machine, ""))[0]


@functools.cache
def machine_platform() -> Platform:
    """This machine with the highest variant that its processor can run."""
    machine = os.uname().machine
    architecture, variant = _MACHINES.get(machine, (machine, ""))
    if architecture == "amd64":
        variant = _amd64_level(_processor_flags())
    return Platform(architecture, "linux", variant=variant)


def builders_platform() -> Platform:
    """What this machine builds for when nobody says: BUILDPLATFORM.

    Without a variant of amd64: that is what the processor can do, not what the files need.
    """
    here = machine_platform()
    return Platform(here.architecture, here.os) if here.architecture == "amd64" else here


def platforms_of(text: str) -> tuple[Platform, ...]:
    """`linux/amd64,linux/arm64`, each once, in their order; nothing for ""."""
    return tuple(dict.fromkeys(parse_platform(one) for one in text.split(",") if one))


def _processor_flags() -> set[str]:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            text = file.read(_CPUINFO_LIMIT)
    except OSError:
        return set()
    lines = (line.partition(":") for line in text.split("\n"))
    return next((set(value.split()) for name, _, value in lines if name.strip() == "flags"), set())


def _amd64_level(flags: set[str]) -> str:
    reached = ""
    for level, needed in _LEVELS:
        if not needed <= flags:
            break
        reached = level
    return reached


def parse_platform(text: str) -> Platform:
    """`os/architecture[/variant]`, or one of the first two alone; "" is this machine."""
    parts = text.lower().split("/") if text else []
    if len(parts) >= 2:
        return normalised(Platform(parts[1], parts[0], variant=parts[2] if len(parts) > 2 else ""))
    machine = machine_platform()
    if not parts:
        return machine
    if parts[0] in ("linux", "windows", "darwin", "freebsd"):
        return Platform(machine.architecture, parts[0], variant=machine.variant)
    return normalised(Platform(parts[0], "linux"))


def normalised(platform: Platform) -> Platform:
    """The one spelling of a platform: `x86_64` is amd64, arm64's v8 goes without saying, arm alone is v7."""
    architecture, variant = platform.architecture.lower(), platform.variant.lower()
    if architecture in _ALIASES:
        architecture, own = _ALIASES[architecture]
        variant = own or variant
    if architecture == "amd64" and variant == "v1":
        variant = ""
    elif architecture == "arm64":
        variant = "" if variant in ("8", "v8", "v8.0") else {"9": "v9", "9.0": "v9", "v9.0": "v9"}.get(variant, variant)
    elif architecture == "arm":
        variant = f"v{variant}" if variant in ("5", "6", "7", "8") else variant or "v7"
    return Platform(architecture, platform.os.lower(), platform.os_version, platform.os_features, variant)


def platform_of(config: Image) -> Platform:
    """What an image's configuration says that it is for; this machine's kind where it says nothing."""
    return Platform(config.architecture or machine_architecture(), config.os or "linux", variant=config.variant)


def shown(platform: Platform) -> str:
    """`linux/arm64/v8`, as messages show it."""
    return "/".join(part for part in (platform.os, platform.architecture, platform.variant) if part)


def runs(platform: Platform) -> list[Platform]:
    """What a machine of that platform can run, the best first."""
    own = normalised(platform)
    found = [own]
    if own.architecture == "amd64":
        found += [_variant(own, "amd64", f"v{number}") for number in range(_number(own.variant) - 1, 0, -1)]
        found.append(_variant(own, "386", ""))
    elif own.architecture == "arm":
        found += [_variant(own, "arm", f"v{number}") for number in range(_number(own.variant) - 1, 4, -1)]
    elif own.architecture == "arm64":
        found = [_variant(own, "arm64", variant) for variant in _arm64_variants(own.variant or "v8")]
        found += [_variant(own, "arm", f"v{number}") for number in range(8, 4, -1)]
    return list(dict.fromkeys(normalised(each) for each in found))


def _number(variant: str) -> int:
    text = variant.removeprefix("v")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 3 else 0


def _arm64_variants(variant: str) -> list[str]:
    """v9.x runs v9.0 to v9.x, and v8.0 to v8.(x+5); v8.x all of v8 up to itself."""
    major, _, minor = variant.removeprefix("v").partition(".")
    if major not in ("8", "9") or not (minor or "0").isdecimal() or int(minor or 0) > 9:
        return [variant]
    ranges = [(8, int(minor or 0))] if major == "8" else [(9, int(minor or 0)), (8, min(int(minor or 0) + 5, 9))]
    return [f"v{number}.{low}" if low else f"v{number}" for number, top in ranges for low in range(top, -1, -1)]


def _variant(platform: Platform, architecture: str, variant: str) -> Platform:
    return Platform(architecture, platform.os, platform.os_version, platform.os_features, variant)


def fits(image: Platform, wanted: Platform) -> bool:
    """Whether an image whose configuration names `image` is what `wanted` asks for; one without a variant fits any."""
    own = normalised(image)
    choices = [_bare(choice) for choice in runs(wanted)]
    if _bare(own) in choices:
        return True
    return not image.variant and (own.os, own.architecture) == choices[0][:2]


def choose(descriptors: Sequence[Descriptor], wanted: Platform | None = None) -> Descriptor | None:
    """The entry of an index that suits `wanted` (this machine) best; else the first that names no platform; else None.

    Entries for the platform `unknown` are attestations, not images.
    """
    ranks = {_bare(choice): rank for rank, choice in enumerate(runs(wanted or machine_platform()))}
    best: tuple[int, Descriptor] | None = None
    for descriptor in descriptors:
        platform = descriptor.platform
        silent = platform is None or not (platform.architecture or platform.os)
        rank = len(ranks) if silent or platform is None else ranks.get(_bare(normalised(platform)))
        if rank is not None and (best is None or rank < best[0]):
            best = (rank, descriptor)
    return best[1] if best else None


def _bare(platform: Platform) -> tuple[str, str, str]:
    return platform.os, platform.architecture, platform.variant
