"""Translation against a service on this machine: batches, answers that are none, and where a key may go."""

from collections.abc import Iterator

import msgspec
import pytest

from streams.studio import chat_client, translation
from streams.studio.errors import EngineError
from streams.studio.speech_means import SpeechMeans
from tests.chat_service import Service, chat_service


@pytest.fixture
def service() -> Iterator[Service]:
    with chat_service() as server:
        yield server


def translate(service, lines, **changes):
    means = msgspec.structs.replace(service.means, **changes)
    return translation.translate(lines, source="en", target="de", means=means, seed=7)


def test_lines_are_asked_in_batches_and_come_back_in_order(service):
    lines = [f"line {n}" for n in range(translation.BATCH + 5)]
    assert translate(service, lines, translate_key="k") == [line.upper() for line in lines]
    assert [len(asked) for _, _, asked in service.asked] == [translation.BATCH, 5]
    path, question, _ = service.asked[0]
    assert path == "/v1/chat/completions"
    assert (question["model"], question["temperature"], question["seed"]) == ("m", 0, 7)
    assert "in de" in question["messages"][0]["content"]
    assert service.keys == ["Bearer k"] * 2


def test_an_answer_of_another_length_is_asked_again_line_by_line(service):
    service.answer = lambda lines: ["ONE"] if lines == ["one"] else ["x"] * 3 if len(lines) > 1 else "I cannot."
    assert translate(service, ["one", "two"]) == ["ONE", None]


def test_what_is_answered_is_made_plain(service):
    service.answer = lambda lines: ["<b>a</b>\n\x07b"] * len(lines)
    assert translate(service, ["one"]) == ["a b"]


def test_a_service_that_fails_is_a_reason(service):
    service.status = 503
    with pytest.raises(EngineError, match="status 200 .* got 503"):
        translate(service, ["one"])
    with pytest.raises(EngineError, match="is it there"):
        translate(service, ["one"], translate_url="http://127.0.0.1:9/v1")


def test_a_key_goes_by_https_or_nowhere(service):
    with pytest.raises(EngineError, match="expected https"):
        translate(service, ["one"], translate_url="http://models.example.com/v1", translate_key="k")
    for odd in ("se\ncret", "s\u20accret"):  # http.client would say the header, key and all
        with pytest.raises(EngineError, match="printable ASCII") as raised:
            translate(service, ["one"], translate_key=odd)
        assert "cret" not in str(raised.value)
    assert translate(service, ["one"], translate_key="k\n") == ["ONE"]
    assert "secret" not in repr(SpeechMeans(translate_key="secret"))
    assert [chat_client.is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "10.0.0.1")] == [True] * 3 + [
        False
    ]
