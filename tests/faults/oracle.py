"""Who hands out numbered records and knows which of them the agent owes."""

import json
import random
import socket
import threading
import time
import urllib.error
import urllib.request
import zlib

import msgpack


class Ledger:
    """What was issued, what is owed, what arrived. All by record id."""

    def __init__(self):
        self.lock = threading.Lock()
        self.next_id = 0
        self.owed = set()
        self.arrived = {}
        self.wrong = []
        """What arrived and was never issued so."""

    def issue(self, source, pick):
        """A new record with a random payload and its checksum."""
        with self.lock:
            number, self.next_id = self.next_id, self.next_id + 1
        text = "".join(pick.choices('abcdefghij äß"\\', k=pick.randrange(10, 120)))
        return {"id": number, "from": source, "text": text, "sum": sum_of(number, source, text)}

    def owe(self, numbers):
        with self.lock:
            self.owed.update(numbers)

    def arrive(self, record):
        """The sink took a record."""
        with self.lock:
            number = record.get("id")
            given = (number, record.get("from"), record.get("text"))
            if (
                type(number) is not int
                or number >= self.next_id
                or sum_of(*given) != record.get("sum")
            ):
                self.wrong.append(record)
            else:
                self.arrived[number] = self.arrived.get(number, 0) + 1

    def missing(self):
        with self.lock:
            return self.owed - self.arrived.keys()

    def totals(self):
        """Issued, delivered, arrivals beyond the first of each record."""
        with self.lock:
            return self.next_id, len(self.arrived), sum(self.arrived.values()) - len(self.arrived)


def sum_of(number, source, text):
    return zlib.crc32(f"{number} {source} {text}".encode("utf-8", "surrogatepass"))


class FileWriter(threading.Thread):
    """Appends records to a file, which are owed from then on; renames the file away when told to."""

    def __init__(self, ledger, path, seed):
        super().__init__(daemon=True)
        self.ledger, self.path, self.pick = ledger, path, random.Random(seed)
        self.pausing, self.ended = threading.Event(), threading.Event()
        self.rotate_wanted = threading.Event()
        self.rotations = 0

    def run(self):
        file = self.path.open("a")
        while not self.ended.wait(0.02):
            if self.pausing.is_set():
                continue
            records = [self.ledger.issue("file", self.pick) for _ in range(6)]
            file.write("".join(json.dumps(record) + "\n" for record in records))
            file.flush()
            self.ledger.owe(record["id"] for record in records)
            if self.rotate_wanted.is_set():
                self.rotate_wanted.clear()
                file.close()
                self.rotations += 1
                self.path.rename(f"{self.path}.{self.rotations}")
                file = self.path.open("a")
        file.close()


class Client(threading.Thread):
    """Sends records, the same ones until they are acknowledged; from then on they are owed. `send` is each protocol's own."""

    name_of_source = ""

    def __init__(self, ledger, port, seed):
        super().__init__(daemon=True)
        self.ledger, self.port, self.pick = ledger, port, random.Random(seed)
        self.pausing, self.ended = threading.Event(), threading.Event()
        self.acknowledged = 0

    def run(self):
        while not self.ended.is_set():
            if self.pausing.is_set():
                time.sleep(0.02)
                continue
            records = [self.ledger.issue(self.name_of_source, self.pick) for _ in range(3)]
            while not self.is_acknowledged(records) and not self.ended.is_set():
                time.sleep(0.05)
            time.sleep(0.03)
        self.close()

    def is_acknowledged(self, records):
        if not self.send(records):
            return False
        self.ledger.owe(record["id"] for record in records)
        self.acknowledged += 1
        return True

    def close(self):
        """Nothing is sent any more."""


class Poster(Client):
    """HTTP."""

    name_of_source = "http"
    path = "/http"

    def send(self, records):
        url = f"http://127.0.0.1:{self.port}{self.path}"
        body = json.dumps(self.body(records)).encode()
        request = urllib.request.Request(url, body, {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status < 300
        except (OSError, urllib.error.URLError, ValueError):
            return False
        except Exception as error:  # http.client's own
            if type(error).__module__ != "http.client":
                raise
            return False

    def body(self, records):
        return records


class OtlpPoster(Poster):
    """OTLP over HTTP, logs in JSON: each record is the body of a log record, in one of two resources."""

    name_of_source = "otlp"
    path = "/v1/logs"

    def body(self, records):
        groups = {0: [], 1: []}
        for record in records:
            groups[record["id"] % 2].append(record)
        return {
            "resourceLogs": [
                {
                    "resource": {"attributes": [attribute("half", {"intValue": str(half)})]},
                    "scopeLogs": [{"scope": {"name": "faults"}, "logRecords": logs_of(group)}],
                }
                for half, group in groups.items()
                if group
            ]
        }


def logs_of(records):
    return [
        {
            "timeUnixNano": "1700000000000000000",
            "attributes": [attribute("meta", {"stringValue": "data"})],
            "body": {"kvlistValue": {"values": [attribute(*item) for item in values_of(record)]}},
        }
        for record in records
    ]


def attribute(key, value):
    return {"key": key, "value": value}


def values_of(record):
    for key, value in record.items():
        yield key, {"intValue": str(value)} if type(value) is int else {"stringValue": value}


class Forwarder(Client):
    """The Forward protocol with acknowledgements, its three modes in turn."""

    name_of_source = "forward"
    connection = None
    turn = 0

    def send(self, records):
        self.turn += 1
        option = {"chunk": f"{self.turn}"}
        messages, now = [], 1_700_000_000
        if self.turn % 3 == 0:
            entries = b"".join(msgpack.packb([now, record]) for record in records)
            messages.append(["forward", entries, option])
        elif self.turn % 3 == 1:
            messages.append(["forward", [[now, record] for record in records], option])
        else:
            messages += [["forward", now, record, option] for record in records]
        try:
            if self.connection is None:
                self.connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
            self.connection.sendall(b"".join(map(msgpack.packb, messages)))
            answers = msgpack.Unpacker()
            left = len(messages)
            while left:
                data = self.connection.recv(4096)
                if not data:
                    raise ConnectionError
                answers.feed(data)
                left -= sum(answer == {"ack": option["chunk"]} for answer in answers)
        except OSError:
            self.close()
            return False
        return True

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None
