"""What is told of slates: their bytes, from columns, without a record for every place.

What a place says but for its rank and score, its item and why it is there, is said again and again: the JSON of both is
kept, cut from that of a whole `SlateItem`, so that the contract is written in one place.
"""

from collections.abc import Sequence
from typing import Any, Final, cast

import msgspec
import numpy as np

from models.recommend.slating import Slates
from streams.contract import codec, rules
from streams.contract.events import AsOf, Request, Slate, SlateItem, Source
from streams.cores.serving import Serving
from streams.cores.showcase import Showcase, viewer_of

SOURCES: Final[tuple[Source, ...]] = ("popular", "tower", "successor", "fresh")
"""Words for `Slates.source`."""
REASONS: Final[dict[Source, str]] = {
    "successor": "goes with what you chose",
    "tower": "close to what you last chose",
    "popular": "much watched now",
    "fresh": "new here",
}
REASON_MOST: Final = 300
"""Characters of a reason; the contract allows a title as long as a whole reason."""
KEPT_MOST: Final = 1 << 18
"""Pieces of JSON kept of each kind, some 100 bytes each; beyond it they are made anew."""
_MIDDLE: Final = b'1,"score":0.5'
"""What stands between what is kept of a place: its rank and score. No text of JSON has a bare quote in it."""
_LAST: Final = b"},"
"""How a place ends."""
_RANKS: Final = tuple(b'%d,"score":' % rank for rank in range(rules.MAX_SLATE_ITEMS + 1))


class Telling:
    """Writes the slates of one `Serving`, each item with what `showcase` chooses for it."""

    def __init__(self, serving: Serving, showcase: Showcase) -> None:
        self._serving, self._showcase = serving, showcase
        self._version = -1
        self._items = _Items()
        self._reasons = _Reasons(serving)

    def slates(
        self,
        requests: Sequence[Request],
        lengths: Sequence[tuple[int, str | None]],
        made: Slates,
        *,
        generated_at_ms: int,
        offsets: dict[str, int],
    ) -> list[bytes]:
        """The bytes of one `Slate` a request, in order.

        Args:
          lengths: how long each was to be, and what was wrong with the request. made: those longer than 0, in order.
          generated_at_ms, offsets: what the slates say.
        """
        serving = self._serving
        as_of = _raw(codec.encode(AsOf(event_time_ms=serving.newest_ms, offsets=offsets)))
        model = _raw(codec.encode(serving.model))
        asked = [request for request, (k, _) in zip(requests, lengths, strict=True) if k > 0]
        items = iter(self._places(made, asked))
        return [
            codec.encode(
                Slate(
                    request_id=request.request_id,
                    user_id=request.user_id,
                    generated_at_ms=generated_at_ms,
                    as_of=as_of,
                    model=model,
                    k=k,
                    items=next(items) if k > 0 else [],
                    error=error,
                )
            )
            for request, (k, error) in zip(requests, lengths, strict=True)
        ]

    def _places(self, slates: Slates, asked: Sequence[Request]) -> list[Any]:
        """The items of each slate, as JSON."""
        self._forget()
        is_place = np.arange(slates.rows.shape[1]) < slates.filled[:, None]
        rows, because, propensity = slates.rows[is_place], slates.because[is_place], slates.propensity[is_place]
        causes = np.where(because > 0, because, -1 - slates.source[is_place].astype(np.int32))
        ends = list(map(self._reasons.__getitem__, causes.tolist()))
        for at in np.flatnonzero(slates.explored[is_place]).tolist():
            ends[at] = self._explored(int(causes[at]), float(propensity[at]))
        item_ids, (of_slate, place) = self._serving.items.keys_at(rows.tolist()), np.nonzero(is_place)
        if not self._showcase.knows_none_of(item_ids):
            self._add_assets(ends, item_ids, of_slate.tolist(), asked)
        parts = [b""] * (4 * len(rows))
        parts[0::4] = map(self._items.__getitem__, item_ids)
        parts[1::4] = map(_RANKS.__getitem__, (place + 1).tolist())
        parts[2::4] = msgspec.json.encode(slates.scores[is_place].tolist())[1:-1].split(b",") if len(rows) else []
        parts[3::4] = ends
        last = np.cumsum(4 * slates.filled).tolist()
        return [
            _raw(b"[%b]" % b"".join(parts[first:end])[:-1]) if end > first else []
            for first, end in zip([0, *last], last, strict=False)
        ]

    def _add_assets(
        self, ends: list[bytes], item_ids: Sequence[str], of_slate: Sequence[int], asked: Sequence[Request]
    ) -> None:
        """Say of each place what its item is shown with."""
        showcase, profiles = self._showcase, self._serving.profiles
        whom = [(viewer_of(one, profiles.get(one.user_id)), showcase.luck_of(one.request_id)) for one in asked]
        for at, stand in enumerate(showcase.stands_of(item_ids)):
            if stand is not None:
                ends[at] = ends[at][: -len(_LAST)] + stand.chosen(item_ids[at], *whom[of_slate[at]]) + _LAST

    def _forget(self) -> None:
        """Let go of what may have changed, or is too much."""
        if self._version != self._serving.catalogue.version or len(self._reasons) > KEPT_MOST:
            self._version = self._serving.catalogue.version
            self._reasons.clear()
        if len(self._items) > KEPT_MOST:
            self._items.clear()

    def _explored(self, cause: int, propensity: float) -> bytes:
        return _ending(*self._reasons.of(cause), explored=True, propensity=propensity)


class _Items(dict[str, bytes]):
    """How a place begins, by item id."""

    def __missing__(self, item_id: str) -> bytes:
        whole = codec.encode(SlateItem(item_id=item_id, rank=1, score=0.5, source="fresh"))
        begin = self[item_id] = whole.partition(_MIDDLE)[0]
        return begin


class _Reasons(dict[int, bytes]):
    """How a place ends: by the row of the user's item that led there, or -1 less the number of its source."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    def __missing__(self, cause: int) -> bytes:
        end = self[cause] = _ending(*self.of(cause))
        return end

    def of(self, cause: int) -> tuple[Source, str]:
        """Source and reason."""
        if cause < 0:
            source = SOURCES[-1 - cause]
            return source, REASONS[source]
        item_id = self._serving.items.key(cause)
        item = self._serving.catalogue.item(item_id)
        return "successor", f"often follows {(item.title if item else '') or item_id}"[:REASON_MOST]


def _ending(source: Source, reason: str, **wishes: Any) -> bytes:
    whole = codec.encode(SlateItem(item_id="", rank=1, score=0.5, source=source, reasons=[reason], **wishes))
    return whole.partition(_MIDDLE)[2].removesuffix(b"}") + _LAST


def _raw(value: bytes) -> Any:
    """JSON that goes into JSON as it is."""
    return cast(Any, msgspec.Raw(value))
