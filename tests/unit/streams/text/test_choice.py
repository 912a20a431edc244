"""Which encoder: every wish, with and without a snapshot, with and without the files."""

from __future__ import annotations

import pytest

from streams.errors import SettingsError
from streams.text.choice import chosen_encoder, saved_encoder


@pytest.mark.parametrize(
    ("wish", "saved", "is_there", "want"),
    [
        ("auto", None, True, "minilm"),
        ("auto", None, False, "hashed"),
        ("auto", "hashed", True, "hashed"),  # installing the encoder does not end a state's life
        ("auto", "minilm", True, "minilm"),
        ("hashed", None, True, "hashed"),
        ("hashed", "hashed", True, "hashed"),
        ("minilm", None, True, "minilm"),
        ("minilm", "minilm", True, "minilm"),
    ],
)
def test_what_is_chosen(wish: str, saved: str | None, is_there: bool, want: str) -> None:
    assert chosen_encoder(wish, saved=saved, is_there=is_there) == want  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wish", "saved", "is_there", "words"),
    [
        ("minilm", None, False, "text_encoder 'minilm' needs the encoder's files, got none"),
        ("auto", "minilm", False, "a snapshot that was learned with 'minilm' needs the encoder's files, got none"),
        ("minilm", "hashed", True, "text_encoder must be 'hashed' or 'auto', got 'minilm': the snapshot was learned"),
        ("hashed", "minilm", True, "text_encoder must be 'minilm' or 'auto', got 'hashed'"),
    ],
)
def test_what_is_refused(wish: str, saved: str | None, is_there: bool, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        chosen_encoder(wish, saved=saved, is_there=is_there)  # type: ignore[arg-type]
    assert words in str(caught.value)


def test_a_snapshot_says_what_it_was_learned_with() -> None:
    assert saved_encoder({"text_encoder": "minilm"}) == "minilm"
    assert saved_encoder({"text_encoder": "hashed"}) == "hashed"
    assert saved_encoder({}) == "hashed", "snapshots from before there was an encoder"
