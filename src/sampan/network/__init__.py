"""Bridges, addresses, the firewall, published ports, and what a container's resolv.conf, hosts and hostname say.

The daemon's side plans and keeps the host in order (`networks.Networks` is its door); `attach` is the launcher's side
and is the only module here that it may load. Not here: the system calls and netlink messages themselves (`kernel`), who
starts a container when (`runtime`, `daemon`), and the API's bodies (`spec`).

May import `errors`, `spec`, `kernel`, `files`. Never `cgroups`, `logs`, `registry`, `runtime` or anything below.
"""
