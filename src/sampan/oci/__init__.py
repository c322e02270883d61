"""The command `sampan-oci`: Sampan's runtime as Docker, Podman and containerd call any OCI runtime.

What belongs here: bundles as others write them, the state directory, the commands of the runtime specification and of runc.
What does not: how a container is made (`runtime`), limited (`cgroups`) or named in a plan. No daemon, no images, no networks:
whoever calls has made them. May import `runtime`, `cgroups`, `files`, `host`, `kernel`, `spec`.
"""
