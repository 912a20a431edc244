"""What the contract raises. Bad bytes are never an exception: they come back as ``codec.Rejected``."""

from streams.errors import MarqueeError


class ContractError(MarqueeError):
    """Base of the contract's exceptions: the caller, not somebody's bytes, is wrong."""


class TopicNameError(ContractError):
    """Kafka would refuse this topic name."""


class UnknownTopicError(ContractError):
    """No such topic in the table."""
