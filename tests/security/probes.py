"""What a probe finds out from inside a container (amicontained), and how calls answer there: the same probe for any engine."""

# ruff: noqa: E501 - a line of the script stays in one piece

from sampan.runtime.seccomp_names import numbers
from tests.archives import PATH, Layer, busybox_rootfs, docker_archive
from tests.daemons import Daemon
from tests.security import elf

LOOK = r"""
grep -E '^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp|Uid|Gid|Groups):' /proc/self/status | tr -s '\t ' ' '
echo "uid_map: $(tr -s ' ' < /proc/self/uid_map)"
echo "devices: $(ls /dev | tr '\n' ' ')"
echo "oom: $(cat /proc/self/oom_score_adj)"
echo "umask: $(umask)"
for p in /proc /dev /dev/pts /sys /sys/fs/cgroup /dev/mqueue /dev/shm; do
  echo "mount $p: $(awk -v p=$p '$5 == p {n = index($0, " - "); split(substr($0, n + 3), t, " "); print $6, t[1]}' /proc/self/mountinfo | sort | head -1)"
done
for p in /proc/acpi /proc/asound /proc/bus /proc/fs /proc/interrupts /proc/irq /proc/kcore /proc/keys /proc/latency_stats /proc/sched_debug \
  /proc/scsi /proc/sys /proc/sysrq-trigger /proc/timer_list /proc/timer_stats /sys/firmware /sys/devices/virtual/powercap; do
  [ -e $p ] || { echo "path $p: absent"; continue; }
  if [ -d $p ]; then echo "path $p: $(ls -A $p | wc -l | sed 's/^0$/empty/; s/^[1-9].*/entries/') $(touch $p/x 2>/dev/null && echo writable)"
  else echo "path $p: $(stat -c %t:%T $p) $( (: >> $p) 2>/dev/null && echo opens)"; fi
done
for n in cgroup ipc mnt net pid user uts; do echo "namespace $n: $(readlink /proc/self/ns/$n)"; done
"""
"""A line for each thing, `name: value`."""

CALLS = {name: number for name, number in numbers("SCMP_ARCH_X86_64").items() if number < 1024}
_ENDLESS = (
    "pause",
    "rt_sigsuspend",
    "exit",
    "exit_group",
    "vfork",
    "rt_sigreturn",
    "restart_syscall",
    "sync",
    "kexec_load",
)
"""Calls that wait, end or say nothing with nonsense for arguments."""


def asked_calls() -> list[str]:
    """The calls that are tried."""
    return sorted(CALLS.keys() - set(_ENDLESS))


def load_probe(engine: Daemon) -> str:
    """An image with a program for each call, whose arguments are all -1: an address, a descriptor, a flag that nobody has."""
    layer = Layer()
    for name in asked_calls():
        layer.file(f"call/{name}", elf.call_64(CALLS[name], *([-1] * 6)), 0o755)
    archive = docker_archive("probe:latest", [busybox_rootfs(), layer.tar()], {"Cmd": ["sh"], "Env": [PATH]})
    outcome = engine.docker("load", stdin=archive)
    assert outcome.code == 0, outcome
    return "probe"


def seen(engine: Daemon, *options: str, image: str = "probe") -> dict[str, str]:
    """What LOOK says."""
    outcome = engine.docker("run", "--rm", "--net", "none", *options, image, "sh", "-c", LOOK, timeout=120)
    assert outcome.code == 0, outcome
    return {name: value.strip() for name, _, value in (line.partition(":") for line in outcome.text.splitlines())}


def answers(engine: Daemon, *options: str) -> dict[str, int]:
    """The error number of each call; 137 for one that did not come back."""
    script = "for p in /call/*; do timeout -s KILL 2 $p; echo ${p##*/} $?; done 2>/dev/null"
    outcome = engine.docker("run", "--rm", "--net", "none", *options, "probe", "sh", "-c", script, timeout=300)
    assert outcome.code == 0, outcome
    return {name: int(code) for name, code in (line.split() for line in outcome.text.splitlines())}
