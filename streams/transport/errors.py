"""The exceptions of `streams.transport`, in the tree of `streams.errors`."""

from __future__ import annotations

from streams.errors import BrokerError, MarqueeError


class MergeError(MarqueeError):
    """Records were offered, or a batch was asked for, in a way that cannot keep the order."""


class SeekError(BrokerError):
    """The log does not reach as far as our own state says that we have read."""


class RepeatedDeliveryError(BrokerError):
    """The broker keeps giving records that lie before the place that we asked for."""


class PublishError(BrokerError):
    """A record that we published was refused or was not acknowledged in time."""


class EmbeddedBrokerError(BrokerError):
    """The embedded broker could not be started."""
