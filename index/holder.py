"""The one place that says what is live: replaced whole, never changed, never by something older."""

from typing import Generic, Protocol, TypeVar, runtime_checkable

from index.errors import StaleVersionError


@runtime_checkable
class Versioned(Protocol):
    """Something with a rising version."""

    @property
    def version(self) -> int:
        """A whole number; what is newer has a larger one."""
        ...


T = TypeVar("T", bound=Versioned)


class Holder(Generic[T]):
    """What is live. Readers take ``current`` once for a batch, and so see all old or all new.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Serving:
    ...     version: int
    >>> holder = Holder(Serving(1))
    >>> holder.swap(Serving(2))
    >>> holder.current
    Serving(version=2)
    """

    def __init__(self, first: T) -> None:
        """``first`` is live."""
        self._current = first

    @property
    def current(self) -> T:
        """What is live now."""
        return self._current

    def swap(self, new: T) -> None:
        """Make ``new`` live, in one assignment. One thread swaps.

        Raises:
          StaleVersionError: ``new`` is not newer than what is live.
        """
        if new.version <= self._current.version:
            raise StaleVersionError(f"version {new.version} is not newer than {self._current.version}; drop it")
        self._current = new
