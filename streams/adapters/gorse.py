"""Gorse: feedback (``FeedbackType,UserId,ItemId,Timestamp``) and items, as its REST interface and exports spell them.

https://gorse.io/docs/api/restful-api.html
"""

from __future__ import annotations

from typing import Any, Final

FEEDBACK: Final[dict[str, Any]] = {
    "user": ["UserId", "user_id"],
    "item": ["ItemId", "item_id"],
    "time": ["Timestamp", "time_stamp", "timestamp"],
    "time_unit": "auto",
    "action": ["FeedbackType", "feedback_type"],
    "words": {
        "read": "click", "view": "click", "watch": "play", "listen": "play", "star": "like", "favorite": "like",
        "upvote": "like", "unlike": "dislike", "downvote": "dislike", "buy": "purchase", "rating": "rate",
    },
    "value": ["Value", "value"],
    "optional": ["UserId", "user_id", "ItemId", "item_id", "Timestamp", "time_stamp", "timestamp", "FeedbackType",
                 "feedback_type", "Value", "value"],
}  # fmt: skip
ITEMS: Final[dict[str, Any]] = {
    "item": ["ItemId", "item_id"],
    "title": ["Comment", "comment"],
    "tags": ["Categories", "categories"],
    "published": ["Timestamp", "time_stamp", "timestamp"],
    "withdrawn": {"IsHidden": True},
    "optional": ["ItemId", "item_id", "Comment", "comment", "Categories", "categories", "Timestamp", "time_stamp",
                 "timestamp", "IsHidden"],
}  # fmt: skip


def is_feedback(names: set[str]) -> bool:
    """Whether a file with these columns or fields is Gorse's feedback."""
    return {"FeedbackType", "UserId", "ItemId"} <= names or {"feedback_type", "user_id", "item_id"} <= names


def is_items(names: set[str]) -> bool:
    """Whether it is its items."""
    return "ItemId" in names and bool({"IsHidden", "Categories", "Labels"} & names)
