# Sourced by tests/vm/run: makes the machine's disk, kernel and initial ramdisk in the directory $place.
#
# The disk is a Debian root with the tree's virtual environment and a unit that takes the tree from the second disk and runs
# tests/vm/guest. What it is made of is in `made_from`; when that changes it is made anew. The smoke's has few packages, as it is
# made in each ./check all of a fresh machine; the long runs' has what the corpus and the volumes ask for, too.
# shellcheck shell=bash

suite=bookworm
packages=apparmor,busybox-static,ca-certificates,criu,crun,dbus,initramfs-tools,iproute2,kmod,libpam-systemd,linux-image-amd64
packages=$packages,nftables,procps,python3,python3-venv,runc,systemd-sysv,udev,uidmap
programs=apache2-utils,attr,buildah,cifs-utils,docker-registry,docker.io,fuse-overlayfs,git,nfs-kernel-server,passt,passwd,samba
programs=$programs,skopeo,slirp4netns,ufw,xfsprogs
# What those would start; a test starts what it needs.
idle="containerd.service docker.service docker.socket docker-registry.service nfs-blkmap.service nfs-client.target nfs-server.service
    nmbd.service rpcbind.service rpcbind.socket samba-ad-dc.service smbd.service ufw.service winbind.service"

made_from() { cksum pyproject.toml scripts/setup.sh tests/fresh/debian.sh tests/vm/disk.sh tests/vm/check.service; }

make_disk() {
    local root="$place/root" unit
    rm -rf --one-file-system "$root" "$place/disk"
    mkdir -p "$root"
    say "making a Debian machine ($suite), kept in $place"
    [ "$(cat "$place/packages" 2>/dev/null)" = "$packages" ] || make_base
    tar -xf "$place/root.tar" -C "$root" --numeric-owner
    carry_settings "$root" "$suite"
    mkdir "$root/sampan"
    tree | tar -xf - -C "$root/sampan"
    # What the tests import; what judges their style is not run in there.
    # shellcheck disable=SC2016
    inside "$root" bash -eu -c '
        top=/sampan
        . scripts/setup.sh
        make_venv ""
        "$venv/bin/python" - >/tmp/needed <<"NEEDED"
import tomllib

dev = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["dev"]
print(*(name for name in dev if not name.startswith(("codespell", "mypy", "ruff", "types-"))), sep="\n")
NEEDED
        logged "$venv/bin/python" -m pip install --no-input -r /tmp/needed
    ' || die "the tree's virtual environment could not be made in the machine's root"
    rm -f "$root/etc/resolv.conf"
    cp tests/vm/check.service "$root/etc/systemd/system/sampan-check.service"
    ln -s ../sampan-check.service "$root/etc/systemd/system/multi-user.target.wants/"
    # The command that is compared with where there is a newer one than Debian's.
    carry_over "$root" /usr/local/bin/docker
    for unit in $idle; do ln -sf /dev/null "$root/etc/systemd/system/$unit"; done
    mv "$root"/boot/vmlinuz-* "$place/kernel"
    mv "$root"/boot/initrd.img-* "$place/initrd"
    truncate -s 6G "$place/disk"
    mkfs.ext4 -q -F -d "$root" "$place/disk"
    rm -rf --one-file-system "$root"
    made_from >"$place/made-from"
}

make_base() {
    rm -f "$place/packages"
    # Only the disk's driver and its file system: a whole initial ramdisk takes an emulated machine a minute to unpack.
    # shellcheck disable=SC2016
    make_debian "$suite" "$place/root.tar" --include="$packages" \
        --essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d" && echo MODULES=list >"$1/etc/initramfs-tools/conf.d/small"' \
        --essential-hook='printf "virtio_pci\nvirtio_blk\next4\n" >"$1/etc/initramfs-tools/modules"'
    printf '%s' "$packages" >"$place/packages"
}

# The working tree as it is, not only what was committed.
tree() { git ls-files -z --cached --others --exclude-standard | tar -c --null --ignore-failed-read -T - 2>/dev/null; }
