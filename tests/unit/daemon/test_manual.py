"""What is written about options is what they are."""

from pathlib import Path

from sampan.daemon.manual import table, usage
from sampan.daemon.options import BY_KEY, OPTIONS, Verdict

DOCUMENT = Path(__file__).parents[3] / "docs" / "daemon.md"

# Every key that Docker 28 takes in daemon.json (daemon/config of moby v28.5.2, with the flags' names where they differ).
DOCKER_28 = """
    allow-direct-routing allow-nondistributable-artifacts authorization-plugins bip bip6 bridge bridge-accept-fwmark builder
    cdi-spec-dirs cgroup-parent containerd containerd-namespace containerd-plugin-namespace cpu-rt-period cpu-rt-runtime
    cri-containerd data-root debug default-address-pools default-cgroupns-mode default-gateway default-gateway-v6
    default-ipc-mode default-network-opts default-runtime default-shm-size default-ulimits deprecated-key-path dns dns-opts
    dns-search exec-opts exec-root experimental features firewall-backend fixed-cidr fixed-cidr-v6 group host-gateway-ip
    host-gateway-ips hosts http-proxy https-proxy icc init init-path insecure-registries ip ip-forward ip-forward-no-drop
    ip-masq ip6tables iptables ipv6 labels live-restore log-driver log-format log-level log-opts max-concurrent-downloads
    max-concurrent-uploads max-download-attempts metrics-addr min-api-version mtu network-control-plane-mtu
    network-diagnostic-port no-new-privileges no-proxy node-generic-resources pidfile raw-logs registry-mirrors rootless
    runtimes seccomp-profile selinux-enabled shutdown-timeout storage-driver storage-opts swarm-default-advertise-addr
    swarm-raft-election-tick swarm-raft-heartbeat-tick tls tlscacert tlscert tlskey tlsverify userland-proxy
    userland-proxy-path userns-remap
"""


def test_the_document_has_the_table() -> None:
    assert table() in DOCUMENT.read_text(), "docs/daemon.md: put sampan.daemon.manual.table() there"


def test_each_of_dockers_keys_has_a_verdict() -> None:
    assert [key for key in DOCKER_28.split() if key not in BY_KEY] == []


def test_usage_names_every_honoured_flag() -> None:
    text = usage()
    for option in OPTIONS:
        if option.verdict is Verdict.HONOURED and option.flag_name:
            assert f"--{option.flag_name}" in text
