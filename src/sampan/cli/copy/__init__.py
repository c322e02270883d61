"""`cp`'s own side: what its paths mean, local files as a tar, and a tar from a container into local files."""
