# Sourced by ./try and ./check: makes a fresh Debian or Ubuntu machine ready, quietly and without questions.
#
# Needs root, a Python of 3.11 or later, apt and the machine's package registries as they are configured (apt's sources,
# proxies, PIP_INDEX_URL, pip.conf). Makes .build/venv and nothing else outside what apt installs. A second run does nothing.
# shellcheck shell=bash

build="$top/.build"
venv="$build/venv"
mkdir -p "$build"

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# Those of the Debian packages $@ that are not installed.
lacking() {
    local name
    for name in "$@"; do
        dpkg-query -W -f='${db:Status-Abbrev}\n' "$name" 2>/dev/null | grep -q '^ii' || printf '%s\n' "$name"
    done
}

# Run $@ with its output in a log file that is shown only when it fails.
logged() {
    local log="$build/setup.log"
    if ! "$@" >"$log" 2>&1 </dev/null; then
        tail -n 30 "$log" >&2
        return 1
    fi
}

# Install the Debian packages $@; services they bring are not started (policy-rc.d(8) of invoke-rc.d).
install_packages() {
    local wanted policy=/usr/sbin/policy-rc.d made='' failed=''
    wanted=$(lacking "$@")
    [ -n "$wanted" ] || return 0
    command -v apt-get >/dev/null || die "these packages are needed, and there is no apt-get: $(echo $wanted)"
    [ "$(id -u)" = 0 ] || die "root is needed to install: $(echo $wanted)"
    say "installing with apt: $(echo $wanted)"
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        made=yes
    fi
    # shellcheck disable=SC2086
    if ! logged apt_get install --no-install-recommends $wanted 2>/dev/null; then
        # A fresh machine has no index yet, an old one has a stale one.
        # shellcheck disable=SC2086
        { logged apt_get update && logged apt_get install --no-install-recommends $wanted; } || failed=yes
    fi
    [ -z "$made" ] || rm -f "$policy"
    [ -z "$failed" ] || die "apt could not install: $(echo $wanted)"
}

apt_get() { DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 "$@"; }

# The machine's own interpreter where it is new enough, else the first on PATH that is.
find_python() {
    local candidate
    for candidate in /usr/bin/python3 python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

# Make .build/venv hold this project (editable) and its extra $1 ("" or "dev"); later runs see by a stamp that it does.
make_venv() {
    local extra=$1 python stamp want
    python=$(find_python) || { install_packages python3; python=$(find_python) || die "Python 3.11 or later is needed"; }
    stamp="$venv/.stamp${extra:+-$extra}"
    want="$top $python $("$python" -V) $(cksum <"$top/pyproject.toml") $(cksum <"$top/scripts/setup.sh")"
    if [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then return 0; fi
    [ -e /etc/ssl/certs/ca-certificates.crt ] || install_packages ca-certificates
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        install_packages python3-venv
    fi
    say "preparing $venv (once)"
    if [ "$(cat "$venv/.made" 2>/dev/null)" != "$top $python $("$python" -V)" ]; then
        rm -rf "$venv"
        logged "$python" -m venv "$venv" || die "no virtual environment could be made"
        printf '%s' "$top $python $("$python" -V)" >"$venv/.made"
    fi
    logged "$venv/bin/python" -m pip install --disable-pip-version-check --no-input -e "$top${extra:+[$extra]}" ||
        die "pip could not install the project (the full log is in $build/setup.log)"
    # An editable install is not compiled by pip, and the launcher (python -B) never writes what it compiled.
    "$venv/bin/python" -m compileall -q "$top/src" || die "the sources could not be compiled"
    printf '%s' "$want" >"$stamp"
}
