"""The runtime environment: launcher, monitor and init, and the plan that they carry out.

Belongs here: how one program becomes a container, is attached to, resized, reaped and recorded. Does not: images, names,
restart policies, HTTP. May import `logs`, `network`, `cgroups`, `files`, `kernel`, `spec` and `errors`; the launcher's side
(`launcher`, `monitor`, `init` and what they load) imports a closed list of standard modules besides `kernel`.
"""
