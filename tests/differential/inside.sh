# What a process sees of its world, section by section. Run by busybox sh inside the container; read by views.py.
section() { echo "== $1"; }

section mountinfo; cat /proc/self/mountinfo
section status; cat /proc/self/status
section cgroup; cat /proc/self/cgroup
section limits; cat /proc/self/limits
section environment; env
section dev; ls -ln /dev /dev/pts /dev/shm 2>&1
section root; ls -la / | sed 's/[A-Z][a-z][a-z] .[0-9] [0-9:]* / /'
section network; ip -o addr; ip route
section files; cat /etc/hosts /etc/hostname /etc/resolv.conf
section names; hostname; cat /proc/sys/kernel/domainname
section score; cat /proc/self/oom_score_adj; pwd; umask; id
section descriptors; ls -l /proc/self/fd | sed 's/.*[0-9] \([0-9]* ->\)/\1/; s/[0-9]\{2,\}/N/g'
section session; sed 's/.*) //' /proc/1/stat | cut -d' ' -f3-6

section sysctls
for name in net/ipv4/ip_forward net/ipv4/ping_group_range net/ipv4/ip_unprivileged_port_start kernel/shmmax fs/mqueue/msg_max; do
    echo "$name $(cat /proc/sys/$name 2>&1)"
done

section masked
for name in /proc/kcore /proc/keys /proc/timer_list /proc/sched_debug /proc/scsi /proc/acpi /sys/firmware; do
    kind=$(ls -lnd $name 2>&1 | cut -c1-10)
    echo "$name $kind, bytes $(head -c 1 $name 2>/dev/null | wc -c), entries $(ls $name 2>/dev/null | grep -vc $name)"
done

section writable
for name in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /sys/kernel/mm /proc/irq/default_smp_affinity /etc/hosts /dev/null /x; do
    if [ -w $name ] || touch $name 2>/dev/null; then echo "$name yes"; else echo "$name no"; fi
done
