"""A recommender's catalogue as named arrays and back: what it keeps on disk, so that a restart reads no topic whole.

What filters ask (`Facets`) goes with the records, place by place: rows are the trainer's, and may be others by then.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.recommend.vocab import texts_from_arrays, texts_to_arrays
from streams.cores.catalogue import decoded, is_timed
from streams.cores.facets import Filed
from streams.cores.serving import Serving

Arrays = dict[str, NDArray[Any]]
AT_ONCE: Final = 32_768
"""Items of a part: copying one holds up answers for some milliseconds."""


class Part(NamedTuple):
    """Some of the items: ids, records, and what is filed of those with a row (False: not filed)."""

    ids: Sequence[str]
    records: Sequence[bytes]
    is_filed: NDArray[np.bool_]
    filed: Filed


def part_of(serving: Serving, ids: Sequence[str]) -> Part:
    """What is known of these ids; those that were withdrawn meanwhile are left out."""
    kept = serving.catalogue.records
    ids = [item_id for item_id in ids if item_id in kept]
    rows = serving.items.rows(ids)
    is_filed = (rows > 0) & serving.facets.has(rows)
    return Part(ids, [kept[item_id] for item_id in ids], is_filed, serving.facets.filed(np.where(is_filed, rows, 0)))


def to_arrays(parts: Sequence[Part], withdrawn: Sequence[str], words: Mapping[str, Any]) -> Arrays:
    """The parts as arrays; ``words``: of `Facets.words`, taken after the last part."""
    arrays: Arrays = {}
    records = [record for part in parts for record in part.records]
    arrays["records"] = np.frombuffer(b"".join(records), np.uint8)
    arrays["record_ends"] = np.cumsum([len(record) for record in records], dtype=np.int64)
    arrays["ids"], arrays["id_ends"] = texts_to_arrays([item_id for part in parts for item_id in part.ids])
    arrays["withdrawn"], arrays["withdrawn_ends"] = texts_to_arrays(withdrawn)
    arrays["words"] = np.frombuffer(msgspec.json.encode(words), np.uint8)
    arrays["is_filed"] = np.concatenate([np.zeros(0, np.bool_), *(part.is_filed for part in parts)])
    for name in Filed._fields:
        columns = [getattr(part.filed, name) for part in parts]
        arrays[f"filed/{name}"] = np.concatenate(columns, axis=-1) if columns else np.zeros(0)
    arrays["timed"] = np.flatnonzero([b'"available_' in record for record in records]).astype(np.int64)
    return arrays


def restore(serving: Serving, arrays: Arrays) -> None:
    """Put the copy into a serving state that has its rows and no records yet.

    Raises:
      KeyError, ValueError: it is of another version.
    """
    data, ends = arrays["records"].tobytes(), arrays["record_ends"].tolist()
    ids = texts_from_arrays(arrays["ids"], arrays["id_ends"])
    starts = [0, *ends[:-1]] if ends else []
    catalogue, facets = serving.catalogue, serving.facets
    facets.learn_words(msgspec.json.decode(arrays["words"].tobytes()))
    filed = Filed(*(arrays[f"filed/{name}"] for name in Filed._fields))
    catalogue.records = {item_id: data[a:b] for item_id, a, b in zip(ids, starts, ends, strict=True)}
    for place in arrays["timed"].tolist():
        item = decoded(catalogue.records[ids[place]])
        if is_timed(item):
            catalogue.timed[item.item_id] = item
    catalogue.withdrawn = set(texts_from_arrays(arrays["withdrawn"], arrays["withdrawn_ends"]))
    catalogue.version += 1
    rows = serving.items.rows(ids)
    places = np.flatnonzero((rows > 0) & arrays["is_filed"])
    if len(places):
        facets.file(rows[places], filed, places)
    for place in np.flatnonzero((rows > 0) & ~arrays["is_filed"]).tolist():
        facets.put(int(rows[place]), decoded(catalogue.records[ids[place]]))
    serving.announced[rows[rows > 0]] = True
    gone = serving.items.rows(catalogue.withdrawn)
    serving.announced[gone] = False
    serving.announced[0] = False
