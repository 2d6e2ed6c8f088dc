"""An HTTPS sink in threads that keeps what it took, and misbehaves when told to."""

import contextlib
import json
import random
import socket
import ssl
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RESET = struct.pack("ii", 1, 0)


class Sink:
    """`mode` says how it answers: ok, 429, 500, lies (takes it and says 500), reset, silent, slow,
    partial (takes some of the records, and says which)."""

    def __init__(self, ledger, certificates):
        self.ledger, self.certificates = ledger, certificates
        self.mode = "ok"
        self.requests = 0
        self.port = 0
        self.server = None
        self.connections = set()
        self.pick = random.Random(5)
        self.open()

    def open(self):
        """Listen (again), on the same port each time."""
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_POST(self):
                sink.answer(self)

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def finish_request(self, request, client_address):
                with contextlib.suppress(OSError, ValueError):
                    request.settimeout(10)
                    with sink.certificates.context.wrap_socket(request, server_side=True) as tls:
                        sink.connections.add(tls)
                        try:
                            super().finish_request(tls, client_address)
                        finally:
                            sink.connections.discard(tls)

            def handle_error(self, request, client_address):
                pass

        self.server = listening(lambda: Server(("127.0.0.1", self.port), Handler))
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self.thread.start()

    def close(self):
        """Stop listening: connections are refused from now on, and those that are open end."""
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
        self.drop()

    def drop(self):
        """End all connections."""
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def answer(self, handler):
        body = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        self.requests += 1
        mode = self.mode
        if mode == "reset":
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            handler.close_connection = True
            return
        if mode == "silent":
            end = time.monotonic() + 3
            while self.mode == "silent" and time.monotonic() < end:
                time.sleep(0.02)
            handler.close_connection = True
            return
        answers = []
        if mode in ("ok", "lies", "slow", "partial"):
            for line in body.splitlines():
                taken = mode != "partial" or self.pick.random() < 0.5
                answers.append(200 if taken else 503)
                if taken:
                    self.ledger.arrive(json.loads(line))
        if mode == "slow":
            time.sleep(0.3)
        status = {"429": 429, "500": 500, "lies": 500}.get(mode, 200)
        with contextlib.suppress(OSError):
            handler.send_response(status)
            text = json.dumps(answers).encode() if handler.headers.get("x-bulk") else b""
            handler.send_header("content-length", str(len(text)))
            if status == 429:
                handler.send_header("retry-after", "1")
            handler.end_headers()
            handler.wfile.write(text)


def listening(make, seconds=10.0):
    """Try until the port is free: for a moment somebody else's connection may have it."""
    end = time.monotonic() + seconds
    while True:
        try:
            return make()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


class Certificates:
    """A certificate authority of its own, and the sink's certificate of the moment."""

    def __init__(self, folder):
        self.folder = folder
        self.ca_file = folder / "ca.pem"
        self.renew_authority()

    def renew_authority(self):
        """Another authority; the agent's CA file holds it from now on."""
        from tests.faults.certificates import authority

        self.authority = authority()
        fresh = self.folder / "ca.new"
        fresh.write_bytes(self.authority.certificate)
        fresh.replace(self.ca_file)
        self.renew()

    def renew(self, expired=False):
        """Another certificate of the sink's."""
        certificate = self.folder / "sink.pem"
        certificate.write_bytes(self.authority.issue(expired))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.context = context
