"""The daemon: use-cases, a file per verb, over typed records; it decides, records and answers.

Belongs here: what a request means, the containers' state machine, events, restart policies, adoption after a crash, the
configuration of `sampand`. Does not: HTTP (`api`), kernel calls, how a container is started (`runtime`), how layers lie
on disk (`images`). May import every room above it in the order of rooms; never `api`, `client` or `cli`.
"""
