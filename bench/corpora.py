"""Seeded log lines: the same on every machine.

uniform   JSON of one shape, ASCII: what most benchmarks use
mixed     JSON of eight shapes, some nested, some lines that are no JSON
unicode   the shape of `uniform`, but names, paths and messages in ten languages, with emoji
apache    access log lines
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

LEVELS = ["info", "warn", "error", "debug"]
WORDS = ["request", "completed", "for", "user", "order", "cache", "miss", "retry", "queue", "flush"]
PHRASES = [
    "Anfrage für Müller erfüllt, schöne Grüße",
    "requête terminée, déjà vue à l'hôtel",
    "petición de José completada en año nuevo",
    "zamówienie użytkownika przyjęte, dziękuję",
    "запрос пользователя выполнен успешно",
    "το αίτημα ολοκληρώθηκε",
    "リクエストが完了しました",
    "用户请求已完成，缓存未命中",
    "요청이 완료되었습니다",
    "طلب المستخدم اكتمل",
    "deployed 🚀 all green ✅",
]
PATHS = ["/api/v1/users", "/api/v1/orders", "/health", "/static/app.js", "/login"]


def stamp(number: int) -> str:
    """The time of line `number`, a thousand lines to the second."""
    second = number // 1000
    clock = f"{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return f"2026-11-22T{clock}.{number % 1000:03d}Z"


def record(rng: random.Random, number: int) -> dict[str, Any]:
    return {
        "time": stamp(number),
        "level": rng.choice(LEVELS),
        "service": f"svc-{rng.randrange(20)}",
        "trace_id": f"{rng.getrandbits(128):032x}",
        "method": "GET",
        "path": rng.choice(PATHS),
        "status": rng.choice([200, 200, 200, 404, 500]),
        "latency_ms": round(rng.expovariate(0.05), 3),
        "message": f"request completed for user {rng.randrange(100000)}",
    }


def uniform(rng: random.Random, number: int) -> str:
    return json.dumps(record(rng, number))


def mixed(rng: random.Random, number: int) -> str:
    kind = rng.randrange(8)
    body = record(rng, number)
    if kind == 1:
        body["http"] = {
            "method": body.pop("method"),
            "path": body.pop("path"),
            "headers": {"host": "a.example"},
        }
    elif kind == 2:
        body = {
            "time": body["time"],
            "level": body["level"],
            "msg": " ".join(rng.choices(WORDS, k=40)),
        }
    elif kind == 3:
        body["tags"] = rng.sample(WORDS, 3)
        body["extra"] = None
    elif kind == 4:
        body[f"label_{rng.randrange(50)}"] = "x" * rng.randrange(200)
    elif kind == 5:
        body = {"time": body["time"], "level": body["level"], "ok": True, "n": rng.getrandbits(60)}
    elif kind == 6:
        body = dict(sorted(body.items(), key=lambda item: (item[0] != "time", item[0])))
    elif kind == 7 and number % 80 == 7:
        return f"{stamp(number)} plain text of a library that knows no JSON, number {number}"
    return json.dumps(body)


def unicode(rng: random.Random, number: int) -> str:
    body = record(rng, number)
    body["message"] = f"{rng.choice(PHRASES)} {number}"
    body["user"] = rng.choice(["José", "Zoë", "Łukasz", "Анна", "さくら"])
    del body["trace_id"]
    return json.dumps(body, ensure_ascii=False)


def apache(rng: random.Random, number: int) -> str:
    address = ".".join(str(rng.randrange(256)) for _ in range(4))
    return (
        f'{address} - - [22/Nov/2026:{stamp(number)[11:19]} +0000] "GET {rng.choice(PATHS)} HTTP/1.1" '
        f'{rng.choice([200, 404])} {rng.randrange(50000)} "https://example.com/" "curl/8.5.0"'
    )


KINDS: dict[str, Callable[[random.Random, int], str]] = {
    "uniform": uniform,
    "mixed": mixed,
    "unicode": unicode,
    "apache": apache,
}


def lines(kind: str, count: int) -> Iterator[str]:
    """`count` lines of a kind."""
    rng = random.Random(kind)
    make = KINDS[kind]
    return (make(rng, number) for number in range(count))


def corpus(folder: Path, kind: str, count: int) -> Path:
    """The file with `count` lines, made if it is not there yet."""
    path = folder / f"tailrace-{kind}-{count}.log"
    if not path.exists():
        part = path.with_suffix(".part")
        with part.open("w", encoding="utf-8") as out:
            out.writelines(f"{line}\n" for line in lines(kind, count))
        part.rename(path)
    return path
