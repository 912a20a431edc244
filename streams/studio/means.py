"""What this installation lets engines use: where its models lie, and a language model behind an address."""

from __future__ import annotations

import msgspec

from streams.settings import Settings


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A server that speaks OpenAI's chat protocol.

    Attributes:
      url: up to and without ``/chat/completions``. model: its name there. key: sent as a bearer; empty: none is.
    """

    url: str
    model: str
    key: str = ""

    def __repr__(self) -> str:
        return f"Endpoint(url={self.url!r}, model={self.model!r}, key=***)"


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What engines may use, beside what is installed.

    Attributes:
      models_dir: where `marquee fetch` puts models; empty: nowhere. cache_dir: what may be lost; empty: none.
      vision_dir: where weights of the vision models lie; empty: those that come with Marquee are used.
      chat: None where none is configured.
    """

    models_dir: str = ""
    cache_dir: str = ""
    vision_dir: str = ""
    chat: Endpoint | None = None


def means_of(settings: Settings) -> Means:
    """The means that the settings name.

    Raises:
      SettingsError: the key's file cannot be read, or holds none.
    """
    ours = settings.studio
    chat = None
    if ours.chat_url:
        chat = Endpoint(url=ours.chat_url, model=ours.chat_model, key=ours.read_chat_key().reveal())
    return Means(
        models_dir=str(settings.encoders_dir), cache_dir=str(settings.cache_dir), chat=chat,
        vision_dir="" if ours.vision_dir is None else str(ours.vision_dir.resolve()),
    )  # fmt: skip
