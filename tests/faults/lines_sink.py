"""An HTTP sink in a thread that keeps what it took, and fails when told to."""

import json
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Sink:
    """`lines` counts each text it answered 200 for. `failing` is how often it fails instead, in three ways."""

    def __init__(self, failing=0.0, seed=1):
        self.lines = {}
        self.failing = failing
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                with sink.lock:
                    way = sink.random.random() if sink.random.random() < sink.failing else None
                    if way is not None and way < 0.3:
                        self.close_connection = True  # no answer at all
                        return
                    if (
                        way is None or way >= 0.8
                    ):  # taken; with way >= 0.8 the answer says otherwise
                        sink.take(body)
                self.answer(200 if way is None else 503)

            def answer(self, status):
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.05}
        )
        self.thread.start()

    def take(self, body):
        for line in body.splitlines():
            text = json.loads(line)["log"]
            self.lines[text] = self.lines.get(text, 0) + 1

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
