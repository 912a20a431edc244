"""What goes wrong in `index`, as a tree under one base class."""


class VectorIndexError(Exception):
    """Base of every error that `index` raises on purpose."""
