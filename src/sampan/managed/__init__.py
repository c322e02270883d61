"""Managed plugins: plugins that come as images of their own, and that the engine runs itself.

What belongs here: the configuration of one and what may be set of it, the rights that it asks for, the bundle that it is run
from, bringing it from a registry and sending it there, where it lies, and how it is started, watched and stopped. What does
not: what is asked of a plugin once it runs (`plugins`, and the drivers of volumes, networks and logs), and who uses it (`daemon`).
May import `images` (references, downloads), `oci`, `runtime`, `registry` and the rooms below them.
"""
