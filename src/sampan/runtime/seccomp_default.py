"""The profile of a container that asks for none: what Docker's default allows, said by subject.

The rule is to deny: a call that is not named here answers EPERM, one newer than the profile ENOSYS (see
`seccomp_compile`). Names and conditions are those of moby/profiles 0.2.3. Two things are held tighter than the letter of
Docker's profile, by the compiler: the family of `socket` is compared as the 32 bits that the kernel reads, and x32 is not
there at all. What is denied, and why, is in docs/seccomp.md.
"""

from functools import cache

from sampan.runtime.seccomp_policy import Conditions, Profile, Rule
from sampan.spec import oci_runtime as oci

_EPERM = 1
_ENOSYS = 38

_FILES = """
    access cachestat chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2
    fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64
    fdatasync flock fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents
    getdents64 inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl lchown lchown32 link linkat listmount
    _llseek lseek lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2 pipe pipe2
    pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv rename renameat renameat2
    rmdir sendfile sendfile64 splice stat stat64 statfs statfs64 statmount statx symlink symlinkat sync sync_file_range
    syncfs tee truncate truncate64 umask unlink unlinkat utime utimensat utimensat_time64 utimes vmsplice write writev
"""
_EXTENDED_ATTRIBUTES = """
    fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr listxattrat llistxattr
    lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat
"""
_WAITING = """
    epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2
    io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit _newselect poll ppoll
    ppoll_time64 pselect6 pselect6_time64 select signalfd signalfd4 timerfd_create timerfd_gettime timerfd_gettime64
    timerfd_settime timerfd_settime64
"""
_MEMORY = """
    brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2 mprotect
    mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_mrelease remap_file_pages
"""
_PROCESSES = """
    capget capset execve execveat exit exit_group fork getcpu getpgid getpgrp getpid getppid getpriority getrlimit
    getrusage getsid gettid get_thread_area ioprio_get ioprio_set pause pidfd_open prctl prlimit64 restart_syscall rseq
    sched_getaffinity sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min sched_getscheduler
    sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler
    sched_yield setpgid setpriority setrlimit setsid set_thread_area set_tid_address sysinfo ugetrlimit uname uretprobe
    vfork wait4 waitid waitpid
"""
_IDENTITY = """
    getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid getresgid32 getresuid
    getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setregid
    setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setuid setuid32
"""
_SANDBOXES = "landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp"
_SIGNALS = """
    kill pidfd_send_signal rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
    rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn tgkill tkill
"""
_LOCKS = """
    futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake get_robust_list set_robust_list
"""
# The clock's rate may be asked for; the kernel wants CAP_SYS_TIME to change it.
_TIME = """
    adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
    clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create timer_delete
    timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 times
"""
# `socketcall` hides the family behind a pointer that a filter cannot follow: 32-bit programs need it (docs/seccomp.md).
_SOCKETS = """
    accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64 recvmsg
    send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair
"""
_IPC = """
    ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink
    msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget
"""
_RANDOM = "getrandom"
_ALWAYS = (
    _FILES,
    _EXTENDED_ATTRIBUTES,
    _WAITING,
    _MEMORY,
    _PROCESSES,
    _IDENTITY,
    _SANDBOXES,
    _SIGNALS,
    _LOCKS,
    _TIME,
    _SOCKETS,
    _IPC,
    _RANDOM,
)

_WITH_CAPABILITY = {
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_SYS_ADMIN": """
        bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules
        lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname
        sethostname setns syslog umount umount2 unshare
    """,
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module finit_module init_module",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    "CAP_SYS_RAWIO": "ioperm iopl",
    "CAP_SYS_TIME": "clock_settime clock_settime64 settimeofday stime",
    "CAP_SYS_TTY_CONFIG": "vhangup",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYSLOG": "syslog",
    "CAP_BPF": "bpf",
    "CAP_PERFMON": "perf_event_open",
}
_ON_ARCHITECTURE = {
    ("arm", "arm64"): "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2",
    ("amd64", "x32"): "arch_prctl",
    ("amd64", "x32", "x86"): "modify_ldt",
}

# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. clone(2) cannot ask for a time namespace.
_NEW_NAMESPACES = 0x7E020000
# Linux, 32-bit Linux (PER_LINUX32), each with UNAME26, and the question what it is now.
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
_AF_ALG = 38
_AF_VSOCK = 40


def _allow(names: str, *args: oci.SeccompArg, **conditions: Conditions) -> Rule:
    return Rule(oci.SeccompRule(tuple(names.split()), "SCMP_ACT_ALLOW", args=args), **conditions)


@cache
def default_profile() -> Profile:
    """The built-in profile (`seccomp=builtin`)."""
    may_make_namespaces = Conditions(caps=("CAP_SYS_ADMIN",))
    return Profile(
        default_action="SCMP_ACT_ERRNO",
        default_errno=_EPERM,
        arch_map={
            "SCMP_ARCH_X86_64": ("SCMP_ARCH_X86", "SCMP_ARCH_X32"),
            "SCMP_ARCH_AARCH64": ("SCMP_ARCH_ARM",),
        },
        rules=(
            *(_allow(names) for names in _ALWAYS),
            # Before 4.8 a tracer could change the number of a call after the filter had passed it.
            _allow("process_vm_readv process_vm_writev ptrace", includes=Conditions(min_kernel=(4, 8))),
            # AF_ALG reaches the kernel's cryptography, AF_VSOCK the hypervisor: neither is namespaced.
            _allow("socket", oci.SeccompArg(0, _AF_ALG, op="SCMP_CMP_LT")),
            _allow("socket", oci.SeccompArg(0, _AF_ALG + 1, op="SCMP_CMP_EQ")),
            _allow("socket", oci.SeccompArg(0, _AF_VSOCK, op="SCMP_CMP_GT")),
            *(_allow("personality", oci.SeccompArg(0, value)) for value in _PERSONALITIES),
            *(_allow(names, includes=Conditions(arches=arches)) for arches, names in _ON_ARCHITECTURE.items()),
            *(_allow(names, includes=Conditions(caps=(cap,))) for cap, names in _WITH_CAPABILITY.items()),
            _allow(
                "clone",
                oci.SeccompArg(0, _NEW_NAMESPACES, 0, "SCMP_CMP_MASKED_EQ"),
                excludes=may_make_namespaces,
            ),
            # Its flags lie in memory, where no filter can look; ENOSYS makes the C library use clone.
            Rule(oci.SeccompRule(("clone3",), "SCMP_ACT_ERRNO", errno_ret=_ENOSYS), excludes=may_make_namespaces),
        ),
    )
