"""The exceptions of `streams`, as one tree: what stops a command or a process, and why.

Data that breaks the contract is never an exception here: it is a `Rejected` value and goes to the dead letters.
An error's text says what was expected, what came and what to do, because the command prints it as it is.
"""

from __future__ import annotations


class MarqueeError(Exception):
    """Anything that Marquee itself reports; the base of the tree."""


class SettingsError(MarqueeError):
    """A setting is missing, misspelt or out of range."""


class ContractError(MarqueeError):
    """Our own code asked for an event, a topic or a field that the contract does not have."""


class BrokerError(MarqueeError):
    """The broker refused, failed or answered something unexpected."""


class BrokerUnavailableError(BrokerError):
    """No broker answers at the configured address."""


class BrokerRefusedError(BrokerError):
    """A broker is there, and user, password, certificate or rights do not open it."""


class TopicMismatchError(BrokerError):
    """A topic exists, but not as the contract describes it."""


class DeliveryError(BrokerError):
    """A record that had to reach a topic did not."""


class ReplayError(MarqueeError):
    """An event log could not be found, fetched, read or played."""


class LogFormatError(ReplayError):
    """A file is there, but it is not an event log that we can read."""


class FetchError(ReplayError):
    """A public log could not be fetched, or is not the one whose checksum we know."""


class EvaluationError(ReplayError):
    """A log cannot be judged as it was asked for."""


class DurabilityError(MarqueeError):
    """Durable state could not be written or read back."""


class SnapshotError(DurabilityError):
    """A snapshot is torn, tampered with, of an unknown format, or cannot be written."""


class StoreError(DurabilityError):
    """The store of the snapshots does not let us in, or not to the end: nothing is known of what it holds."""


class StoreUnavailableError(StoreError):
    """The store of the snapshots does not answer; later it may."""


class LedgerError(DurabilityError):
    """The ledger, the log and this version and configuration do not belong together."""


class SecondTrainerError(DurabilityError):
    """Another trainer learns from the same topics."""


class ErasureError(DurabilityError):
    """Users could not be forgotten; nothing was adopted."""


class RoleError(MarqueeError):
    """A role could not be started or ended unexpectedly."""


class TextEncoderError(MarqueeError):
    """The files of a pretrained text encoder are not there, or are others than those we know."""


class DeadLetterError(MarqueeError):
    """A dead letter is not there, or cannot be redriven as it was asked for."""
