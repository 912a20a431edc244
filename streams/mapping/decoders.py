"""From what a configuration says of its topics to the decoder of each kind of record, and one word for all of it."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from streams.contract.absent import Withdrawn
from streams.contract.codec import Decode, Headers, decoder, encode
from streams.contract.events import Interaction, Item, Record, Request, User
from streams.mapping.catalogue import item_decoder
from streams.mapping.cloudevents import unwrapping
from streams.mapping.interactions import interaction_decoder
from streams.mapping.paths import parse
from streams.mapping.shapes import InteractionShape, ItemShape, Mappings, Shape, names_of

Decoders = Mapping[type[Record], Decode]
KINDS: Final[dict[str, type[Record]]] = {"interactions": Interaction, "items": Item, "users": User, "requests": Request}


def decoders_of(mappings: Mappings) -> Decoders:
    """The decoder of each kind of record that others write.

    Raises:
      SettingsError: a mapping that cannot be followed.
    """
    return _decoders(msgspec.json.encode(mappings))


def decoder_of(kind: type[Record], shape: Shape | None, *, ids: Callable[[bytes, int], str] | None = None) -> Decode:
    """The decoder of one kind; ``shape`` None: of the contract's own. ``ids``: as of `interaction_decoder`."""
    decode: Decode
    if isinstance(shape, InteractionShape):
        decode = interaction_decoder(shape, ids=ids)
    elif isinstance(shape, ItemShape):
        decode = item_decoder(shape)
    else:
        decode = decoder(kind)  # type: ignore[assignment]
    return unwrapping(decode) if shape is not None and shape.envelope == "cloudevents" else decode


def digest_of(mappings: Mappings) -> str:
    """One word for what decides how records are read; empty where all have the contract's own shape."""
    told = msgspec.json.encode(mappings, order="deterministic")
    return "" if mappings == Mappings() else hashlib.blake2b(told, digest_size=8).hexdigest()


def user_fields(mappings: Mappings) -> frozenset[str]:
    """Names of the field that has a user's id, wherever it lies: for looking into records that cannot be read."""
    shape = mappings.interactions
    names = names_of(shape.user) if isinstance(shape, InteractionShape) else []
    paths = [parse(name) for name in names]
    return frozenset({"user_id", *(path.steps[-1].name for path in paths if path.steps)})


def as_ours(
    decode: Decode, key: bytes | None, value: bytes | None, at_ms: int, headers: Headers
) -> tuple[bytes | None, bytes | None]:
    """Key and value of a record of the catalogue as the contract has them; what is refused stays as it is."""
    item = None if value is None else decode(value, at_ms, key, headers)
    if isinstance(item, Item):
        return item.item_id.encode("utf-8", "replace"), encode(item)
    return (item.item_id.encode("utf-8", "replace"), None) if isinstance(item, Withdrawn) else (key, value)


@functools.lru_cache(maxsize=16)
def _decoders(told: bytes) -> Decoders:
    from streams.mapping.shapes import mappings_of

    mappings = mappings_of(msgspec.json.decode(told), where="[mapping]")
    made: dict[Any, Decode] = {kind: decoder_of(kind, getattr(mappings, name)) for name, kind in KINDS.items()}
    return MappingProxyType(made)


PLAIN: Final = decoders_of(Mappings())
"""Where nothing is mapped."""
