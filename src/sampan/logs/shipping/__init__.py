"""The shipper: one process beside a daemon that sends bounded local logs on to syslog, fluentd, GELF and journald.

Belongs here: what is to be shipped (`jobs`), how far it got and what it missed (`source`), each wire format, the process itself
(`shipper`). Does not: who starts it (`runtime.shipper_port`) and when (`daemon`). It works without a daemon. May import what
`logs` may.
"""
