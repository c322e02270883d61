"""Control groups: where they are mounted, what a container's resources mean there, and the few file operations that do it.

`hierarchy` finds the trees (v1, v2, hybrid), `plan` turns resources into directories and writes (pure), `devices` the device
rules into a BPF program (pure), `apply` does what a plan says; the launcher loads it. What a limit may be asked for is the
daemon's to judge; here is only what the host can do. May import `errors`, `spec` and `kernel`.
"""
