"""Who hands out numbered records and knows which of them the agent owes."""

import json
import random
import threading
import time
import urllib.error
import urllib.request
import zlib


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


class Poster(threading.Thread):
    """Posts records over HTTP, the same ones until they are acknowledged; from then on they are owed."""

    def __init__(self, ledger, url, seed):
        super().__init__(daemon=True)
        self.ledger, self.url, self.pick = ledger, url, random.Random(seed)
        self.pausing, self.ended = threading.Event(), threading.Event()
        self.acknowledged = 0

    def run(self):
        while not self.ended.is_set():
            if self.pausing.is_set():
                time.sleep(0.02)
                continue
            records = [self.ledger.issue("http", self.pick) for _ in range(3)]
            while not self.post(records) and not self.ended.is_set():
                time.sleep(0.05)
            time.sleep(0.03)

    def post(self, records):
        request = urllib.request.Request(
            self.url, json.dumps(records).encode(), {"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                if answer.status >= 300:
                    return False
        except (OSError, urllib.error.URLError, ValueError):
            return False
        except Exception as error:  # http.client's own
            if type(error).__module__ != "http.client":
                raise
            return False
        self.ledger.owe(record["id"] for record in records)
        self.acknowledged += 1
        return True
