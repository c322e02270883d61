"""Sampan: a container engine in Python that speaks the Docker Engine API."""
