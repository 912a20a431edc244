"""What can go wrong in `index`, as one tree."""


class VectorIndexError(Exception):
    """Base of every error that this package raises on purpose."""


class BadVectorsError(VectorIndexError, ValueError):
    """Vectors or queries of the wrong shape or dtype, or with numbers that cannot be searched."""


class BadRowsError(VectorIndexError, ValueError):
    """Rows of the wrong shape or dtype, out of range, or named twice."""


class BadSearchError(VectorIndexError, ValueError):
    """A `k` or a mask that no search can obey."""


class StaleVersionError(VectorIndexError):
    """Something older than what is live was offered to take its place."""


class NotEnoughVectorsError(VectorIndexError, ValueError):
    """Fewer vectors than an approximate index needs to be trained."""
