"""The tests: `unit` needs nothing, `kernel` and the lanes beside it need root and a real kernel (see `requires.py`)."""
