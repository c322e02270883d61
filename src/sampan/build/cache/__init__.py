"""The build cache: what operations made before, found by their keys; why one was not found; what goes when room is short.

Belongs here: records and what they keep alive, the budget, explanations of misses, directories of cache mounts, caches that
travel. Does not belong: keys themselves (build.keys), running anything, when a collection is due (daemon). May import what build
may.

    key ── find ──▶ Record: a stack of layers ──────▶ held by the caller's lease, used as it is
     └───── miss ── explain ──▶ "the file src/main.py of the context changed"
            made ── keep ──▶ in memory ── settle ──▶ one transaction: records of the whole build
"""
