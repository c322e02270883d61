"""Builds: from a Dockerfile's tree to a graph of operations, each keyed by the content of what goes into it.

Belongs here: operations and their keys, the plan that makes a graph of a Dockerfile; what runs it will follow. Does not belong:
the language itself (dockerfile), HTTP and progress (api, daemon). May import: errors, spec, dockerfile and everything below
images.

    Dockerfile + arguments + base images ── planning ──> Graph ── keys ──> one key for every operation

Planning and keys are pure: what must be looked at (an image, the context's files) is named by the graph, and its digest handed in.
"""
