"""Dockerfiles and what they are read as: beside each `good/NAME.dockerfile` its tree, beside each wrong one its error."""
