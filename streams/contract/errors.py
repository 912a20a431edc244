"""What the contract raises. Bad bytes are never an exception: they come back as ``codec.Rejected``."""

from streams.errors import ContractError


class TopicNameError(ContractError):
    """Kafka would refuse this topic name."""


class EventTypeError(ContractError):
    """This type is not an event of the contract."""


class ArrayError(ContractError):
    """An array cannot go on the wire as it is."""


class CueError(ContractError):
    """A text is no subtitles."""
