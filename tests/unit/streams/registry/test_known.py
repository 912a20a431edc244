"""What waits for a registry and what does not: away, never given, young, kept on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.contract import framed, languages, topics
from streams.contract.codec import decode
from streams.contract.events import Interaction
from streams.errors import SettingsError
from streams.registry import known
from streams.registry.client import AwayError, Client, Told
from streams.registry.known import GRACE_S, Schemas, transcoder_of, use_registry
from streams.registry_settings import RegistrySettings
from streams.setting_kinds import Secret
from tests import framed as write
from tests.factories import make_interaction

ID, OTHER = 900, 901
TOLD = Told(schema=json.dumps(languages.avro_schema(topics.INTERACTIONS)))


class Answers:
    """A registry that says one thing after the other, the last one again and again."""

    where = "http://registry.example"

    def __init__(self, *answers: Told | AwayError | None) -> None:
        self.answers = list(answers)
        self.asked: list[int] = []

    def schema(self, number: int) -> Told | None:
        self.asked.append(number)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, AwayError):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    for number in (ID, OTHER):
        framed.KNOWN.pop(number, None)


def schemas(folder: Path, *answers: Any) -> tuple[Schemas, Answers]:
    client: Any = Answers(*answers)
    return Schemas(client, folder), client


VALUE = write.avro(topics.INTERACTIONS, ID, make_interaction())


async def test_values_without_a_header_ask_nobody(tmp_path: Path):
    made, client = schemas(tmp_path, AwayError("x"))
    await made.ensure([None, b"", b"{}", b"\0", b"[1]"])
    made.ensure_now([b"{}"])
    assert client.asked == []


async def test_an_id_is_asked_once_and_kept(tmp_path: Path):
    made, client = schemas(tmp_path / "a", TOLD)
    await made.ensure([VALUE, VALUE, b"{}"])
    made.ensure_now([VALUE])
    assert client.asked == [ID]
    assert isinstance(decode(Interaction, VALUE, timestamp_ms=-1), Interaction)
    del framed.KNOWN[ID]
    again, away = schemas(tmp_path / "a", AwayError("gone"))
    await again.ensure([VALUE])
    assert away.asked == []
    assert isinstance(decode(Interaction, VALUE, timestamp_ms=-1), Interaction)


def test_records_wait_for_a_registry_that_is_away_however_long(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    made, _ = schemas(tmp_path, *[AwayError("status 503")] * 40, TOLD)
    waits_s = list(made._steps({ID}))
    assert waits_s[:4] == [0.5, 1.0, 2.0, 4.0]
    assert waits_s[4:] == [5.0] * 36
    assert callable(framed.KNOWN[ID])
    assert len(caplog.records) == 1  # one line, and one every half a minute
    assert "status 503" in caplog.text


def test_an_id_that_was_never_given_is_a_verdict_that_stays(tmp_path: Path):
    made, _ = schemas(tmp_path, None)
    assert list(made._steps({ID, OTHER})) == list(GRACE_S)
    for number in (ID, OTHER):
        assert "never gave" in str(framed.KNOWN.pop(number))
    later, asked = schemas(tmp_path, TOLD)
    assert list(later._steps({ID})) == []
    assert asked.asked == []
    assert "never gave" in str(framed.KNOWN[ID])


def test_an_id_that_is_younger_than_a_replica_s_knowledge_is_found(tmp_path: Path):
    made, _ = schemas(tmp_path, None, None, TOLD)
    assert list(made._steps({ID})) == list(GRACE_S[:2])
    assert callable(framed.KNOWN[ID])


def test_a_folder_that_cannot_be_written_is_no_reason_to_stop(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "file").touch()
    made, _ = schemas(tmp_path / "file" / "x", TOLD)
    assert list(made._steps({ID})) == []
    assert callable(framed.KNOWN[ID])
    assert "is not kept" in caplog.text


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (Told(schema="{}", kind="JSON"), "one of AVRO, PROTOBUF"),
        (Told(schema=TOLD.schema, references=[{"name": "x"}]), "refers to others"),
        (Told(schema="{"), "schema 5: expected an Avro schema"),
    ],
)
def test_schemas_that_cannot_be_used_are_reasons(told: Told, words: str):
    assert words in str(transcoder_of(5, told))


def test_settings_say_where_and_keep_the_password(tmp_path: Path):
    settings = RegistrySettings(url="https://r.example/apis/ccompat/v7", username="u", password=Secret("s3cret"))
    assert "s3cret" not in repr(settings)
    assert Client(settings)._headers["Authorization"].startswith("Basic ")
    use_registry(settings, cache_dir=tmp_path)
    assert known.is_used()
    use_registry(RegistrySettings(), cache_dir=tmp_path)
    assert not known.is_used()
    with pytest.raises(SettingsError, match="must begin with https"):
        RegistrySettings(url="http://r.example", username="u")
    with pytest.raises(SettingsError, match="must not both"):
        RegistrySettings(password=Secret("x"), password_file=tmp_path)
    with pytest.raises(SettingsError, match="http or https address"):
        RegistrySettings(url="ftp://r.example")


def test_a_registry_that_nobody_answers_for_is_away():
    with pytest.raises(AwayError, match="ConnectionRefusedError"):
        Client(RegistrySettings(url="http://127.0.0.1:1")).schema(1)
