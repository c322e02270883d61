# Sourced after scripts/setup.sh by what needs a Debian root: tests/fresh/run and tests/vm/run.
#
# What a person would have set up on such a machine is carried over: apt's sources and options, pip's configuration and the
# indexes it names on this machine's disk, certificates, proxies, name servers.
# shellcheck shell=bash

host_suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")

# make_debian SUITE OUT [OPTION …]: a minbase root as a tar, OUT; the options are mmdebstrap's. Its mounts are seen by nobody else.
make_debian() {
    local suite=$1 out=$2 mirror
    shift 2
    install_packages mmdebstrap
    mirror=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb  *\(\[[^]]*\] *\)\{0,1\}\([^ ]*\).*/\2/p' \
        /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null | head -n 1) || true
    mirror=${mirror:-http://deb.debian.org/debian}
    logged timeout -k 10 10m unshare --mount --propagation private \
        mmdebstrap --variant=minbase --format=tar "$@" "$suite" "$out.new" "$mirror" ||
        die "no Debian root ($suite) could be made from $mirror: above is what mmdebstrap said; is the archive reachable?"
    mv "$out.new" "$out"
}

# carry_over ROOT PATH …: copy each existing path to the same place in the new root.
carry_over() {
    local root=$1 path
    shift
    for path in "$@"; do
        if [ -e "$path" ]; then
            mkdir -p "$root$(dirname "$path")"
            cp -rL "$path" "$root$(dirname "$path")/"
        fi
    done
}

# carry_settings ROOT SUITE: what this machine's apt and pip were told.
carry_settings() {
    local root=$1 suite=$2
    carry_over "$root" /etc/resolv.conf /etc/hosts /etc/apt/apt.conf.d /etc/apt/auth.conf.d /etc/pip.conf \
        /etc/ssl/certs/ca-certificates.crt /usr/local/share/ca-certificates
    if [ "$suite" = "$host_suite" ]; then
        carry_over "$root" /etc/apt/sources.list /etc/apt/sources.list.d
    fi
    if [ -e "$HOME/.config/pip/pip.conf" ]; then
        mkdir -p "$root/root/.config/pip"
        cp "$HOME/.config/pip/pip.conf" "$root/root/.config/pip/"
    fi
}

# Directories on this machine that pip's configuration names.
local_indexes() {
    cat /etc/pip.conf "$HOME/.config/pip/pip.conf" "$HOME/.pip/pip.conf" 2>/dev/null |
        tr ' =' '\n\n' | sed -n 's,^file://,,; s,^\(/[^ ]*\)/simple/*$,\1,p; s,^\(/[^ ]*wheels*\)/*$,\1,p' | sort -u
}

# The environment that reaches the registries, as NAME=VALUE lines.
kept_environment() {
    local name
    compgen -e | grep -E '^(PIP_|SSL_CERT|REQUESTS_CA|CURL_CA|.*_proxy$|.*_PROXY$|LANG$|TERM$|CI$)' |
        while IFS= read -r name; do printf '%s=%s\n' "$name" "${!name}"; done
}

# inside ROOT WORDS …: run a command with ROOT as its root, in namespaces of its own; the network is this machine's.
inside() {
    local root=$1 kept indexes
    shift
    mapfile -t kept < <(kept_environment)
    mapfile -t indexes < <(local_indexes)
    # shellcheck disable=SC2016
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "${kept[@]}" \
        unshare --mount --pid --uts --ipc --fork --kill-child --propagation private bash -c '
            set -eu
            root=$1; shift
            mount --bind "$root" "$root"
            mount -t proc proc "$root/proc"
            mount --rbind /sys "$root/sys"
            mount --rbind /dev "$root/dev"
            mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
            mount -t tmpfs -o mode=755 tmpfs "$root/run"
            while [ "$1" != -- ]; do
                mkdir -p "$root$1"; mount --bind -o ro "$1" "$root$1"; shift
            done
            shift
            cd "$root"
            mkdir -p .old
            pivot_root . .old
            umount -l /.old
            rmdir /.old 2>/dev/null || true
            hostname fresh
            cd /sampan
            exec "$@" </dev/null
        ' inside "$root" "${indexes[@]}" -- "$@"
}
