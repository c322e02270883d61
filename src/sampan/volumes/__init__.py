"""Volumes: directories that outlive containers, by name, and what is copied into a fresh one.

Belongs here: the driver `local`, records of volumes, rules about names and removal. Does not belong: mounting, the question
which containers use a volume (callers say). May import: errors, spec, kernel, files, state.
"""
