"""An ordinary user's engine: the world in which a daemon without root runs, made, checked and taken down.

Belongs here: where the files of such a daemon are, subordinate ids, the user namespace and what stands in it, the program that
leads out of its network namespace, and the keeper, which holds all of that while daemons come and go (docs/rootless.md).
Does not: what a daemon does once it runs; it is the ordinary one, and asks `host.mapped` where the kernel treats it differently.
May import `network` (the order in which sockets are asked for), `host`, `kernel` and `errors`. Loaded by the command: imports
late what costs time.
"""
