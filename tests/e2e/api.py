"""A stand-in for the API of GitHub and of GitLab: what the scripts of ci/ talk to."""

import http.server
import json
import threading
from typing import Any


class Service:
    """An HTTP server that answers with what it was given and writes down what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answers: dict[str, Any] = {}
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                service.asked.append((self.command, self.path, json.loads(body) if body else None))
                service.headers.append(dict(self.headers))
                answer = service.answers.get(self.path.partition("&state")[0], {} if body else [])
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            do_GET = do_POST = do_PATCH = do_PUT = do  # noqa: N815 # names of http.server

            def log_message(self, *_: object) -> None:
                """Stay quiet."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
