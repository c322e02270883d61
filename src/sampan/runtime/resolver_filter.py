"""What sampan-net may ask of the kernel once it serves: packets, time and memory, and one way into a container's network.

It reads what programs in containers send, as root of the host; one that was taken over finds no files, no programs and no
other process behind its sockets. It could still change packet filters, which it sets in containers that run already. Its
descriptors come by messages, and nothing is opened by a path any more.
"""

from sampan.runtime.seccomp_compile import compiled
from sampan.runtime.seccomp_names import is_known
from sampan.spec import oci_runtime as oci

_ALLOW, _REFUSE = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
_EPERM = 1
_AF_INET, _AF_INET6, _AF_NETLINK = 2, 10, 16
_NETLINK_NETFILTER = 12
_CLONE_NEWNET = 0x40000000

_SOCKETS = (
    "accept4 bind close connect getpeername getsockname getsockopt listen recvfrom recvmsg sendmsg sendto setsockopt "
    "shutdown"
)
_WAITING = "epoll_create1 epoll_ctl epoll_pwait epoll_wait poll ppoll select pselect6 clock_nanosleep nanosleep"
_PROCESS = (
    "brk clock_gettime exit exit_group fcntl fstat futex getegid geteuid getgid getpid getrandom gettid getuid gettimeofday "
    "ioctl lseek madvise mmap mprotect mremap munmap read restart_syscall rt_sigaction rt_sigprocmask rt_sigreturn "
    "sched_yield sigaltstack tgkill write"
)


def filter_of_resolver(machine: str) -> bytes:
    """The filter for a machine (`uname -m`); everything else fails with EPERM. Raises InvalidParameter for an unknown one."""
    plain = tuple(name for name in f"{_SOCKETS} {_WAITING} {_PROCESS}".split() if is_known(name))
    rules = (
        oci.SeccompRule(plain, _ALLOW),
        *(oci.SeccompRule(("socket",), _ALLOW, args=(oci.SeccompArg(0, family),)) for family in (_AF_INET, _AF_INET6)),
        # For the rules of a container that runs already (`network.resolver_sockets`).
        oci.SeccompRule(
            ("socket",), _ALLOW, args=(oci.SeccompArg(0, _AF_NETLINK), oci.SeccompArg(2, _NETLINK_NETFILTER))
        ),
        oci.SeccompRule(("setns",), _ALLOW, args=(oci.SeccompArg(1, _CLONE_NEWNET),)),
    )
    return compiled(oci.Seccomp(_REFUSE, _EPERM, (), rules), machine)
