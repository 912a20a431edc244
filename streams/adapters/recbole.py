"""RecBole: atomic files, whose header says ``name:type``. https://recbole.io/docs/user_guide/data/atomic_files.html."""

from __future__ import annotations

from typing import Any, Final

INTER: Final[dict[str, Any]] = {
    "user": "user_id", "item": "item_id", "time": "timestamp", "time_unit": "s", "value": "rating",
    "optional": ["rating"],
}  # fmt: skip
ITEM: Final[dict[str, Any]] = {
    "item": "item_id", "title": ["movie_title", "title", "name"], "tags": ["class", "genre", "categories"],
    "tags_separator": " ", "published": "release_year", "published_unit": "year",
    "optional": ["movie_title", "title", "name", "class", "genre", "categories", "release_year"],
}  # fmt: skip
