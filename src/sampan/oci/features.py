"""`features`: what this runtime can do, as the specification's features.md has it."""

from sampan.kernel.caps import Cap
from sampan.oci.manner import MEMORY_FLAGS, MEMORY_MODES
from sampan.oci.mounts import OPTIONS
from sampan.oci.words import SPECIFICATION
from sampan.runtime.plan import NAMESPACE_FLAGS
from sampan.runtime.seccomp_names import AUDIT_ARCH
from sampan.runtime.seccomp_policy import ACTIONS, FLAGS, NOTIFY, OPERATORS
from sampan.version import VERSION as OURS


def features() -> dict[str, object]:
    """The document."""
    return {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": SPECIFICATION,
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "mountOptions": sorted(OPTIONS),
        "linux": {
            "namespaces": sorted(NAMESPACE_FLAGS),
            "capabilities": sorted(f"CAP_{cap.name}" for cap in Cap),
            "cgroup": {"v1": True, "v2": True, "systemd": True, "systemdUser": False, "rdma": True},
            "seccomp": {
                "enabled": True,
                "actions": sorted({*ACTIONS, NOTIFY}),
                "operators": sorted(OPERATORS),
                "archs": sorted(AUDIT_ARCH),
                "knownFlags": sorted(FLAGS),
                "supportedFlags": sorted(FLAGS),
            },
            "apparmor": {"enabled": True},
            "selinux": {"enabled": False},
            "intelRdt": {"enabled": False},
            "mountExtensions": {"idmap": {"enabled": True}},
            "memoryPolicy": {"modes": sorted(MEMORY_MODES), "flags": sorted(MEMORY_FLAGS)},
            "netDevices": {"enabled": False},
        },
        "annotations": {"org.sampan.version": OURS},
        "potentiallyUnsafeConfigAnnotations": [],
    }
