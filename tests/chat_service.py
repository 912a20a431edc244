"""An OpenAI-compatible chat service on this machine, whose answers a test decides."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import msgspec

from streams.studio.speech_means import SpeechMeans


class Service(HTTPServer):
    """Answers by ``answer(lines)``; keeps what it was asked."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked, self.keys, self.status = [], [], 200
        self.answer = lambda lines: [line.upper() for line in lines]

    @property
    def means(self):
        return SpeechMeans(translate_url=f"http://127.0.0.1:{self.server_port}/v1", translate_model="m")


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self):
        question = msgspec.json.decode(self.rfile.read(int(self.headers["Content-Length"])))
        lines = msgspec.json.decode(question["messages"][1]["content"])
        self.server.asked.append((self.path, question, lines))
        self.server.keys.append(self.headers.get("Authorization"))
        said = self.server.answer(lines)
        text = said if isinstance(said, str) else f"Here you are: {msgspec.json.encode(said).decode()}"
        body = msgspec.json.encode({"choices": [{"message": {"content": text}}], "usage": {}})
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def chat_service() -> Iterator[Service]:
    """One that runs."""
    server = Service()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
