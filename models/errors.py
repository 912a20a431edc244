"""What goes wrong in `models`, as a tree under one base class.

Each error says what was expected, what came, and what to do. A file that needs a kind of its own adds it
here only if a caller must tell it apart; otherwise `ModelError` and a good message are enough.
"""


class ModelError(Exception):
    """Base of every error that `models` raises on purpose."""


class ConfigError(ModelError, ValueError):
    """A config holds a value outside its range, or values that contradict each other."""


class ShapeError(ModelError, ValueError):
    """An array has another shape or dtype than the function takes."""


class StateError(ModelError):
    """A saved state does not fit the model: a name is missing or unknown, or a fingerprint differs."""
