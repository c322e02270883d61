"""The Dockerfile language: text becomes a typed tree with positions, and what the tree means is said in one place. Pure.

Belongs here: lines, words and variables, instructions, stages, scopes of ARG, what an instruction changes in an image's
configuration, `.dockerignore`, the checks of `build --check`. Does not belong: files, images, running anything (build,
images, daemon). Text comes from outside and may be hostile: every fault is a `faults.DockerfileError`, and the time taken
grows with the text and not with what it would expand to. May import: errors, spec.

    text ── script ──> logical lines ── reading ──> instructions ── parse ──> Dockerfile: stages
                                                                                 │
                        arguments, configuration, stages  <── build, images ─────┤
                        checks  <── `sampan build --check` ──────────────────────┘
"""
