"""A live demo: writes logs as a busy server would, and runs Tailrace on them until Ctrl-C.

What you see: server errors picked out of the access log, and application messages with each traceback
as one event. All requests go to `archive.jsonl`. After 20 seconds the access log is rotated, and nothing is lost.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
PATHS = [
    "/",
    "/login",
    "/cart",
    "/api/v1/orders",
    "/api/v1/items/42",
    "/static/app.js",
    "/search?q=lamp",
]
AGENTS = ["Mozilla/5.0 (X11; Linux x86_64) Firefox/143.0", "curl/8.14.1", "kube-probe/1.33"]
CODES = [200] * 40 + [304] * 5 + [404] * 3 + [500, 503]
TRACEBACK = """Traceback (most recent call last):
  File "/srv/shop/checkout.py", line 88, in pay
    receipt = gateway.charge(order.total)
  File "/srv/shop/gateway.py", line 31, in charge
    raise GatewayTimeout(f"no answer within {self.timeout} s")
shop.gateway.GatewayTimeout: no answer within 5 s
"""


def access_line(pick: random.Random) -> str:
    now = datetime.now(UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
    address = f"203.0.113.{pick.randrange(1, 255)}"
    method = pick.choice(["GET", "GET", "GET", "POST"])
    return (
        f'{address} - - [{now}] "{method} {pick.choice(PATHS)} HTTP/1.1" {pick.choice(CODES)} '
        f'{pick.randrange(90, 9000)} "-" "{pick.choice(AGENTS)}"\n'
    )


def app_text(pick: random.Random) -> str:
    if pick.random() < 0.15:
        return TRACEBACK
    return f"order {pick.randrange(1000, 9999)} accepted, total {pick.randrange(5, 300)} EUR\n"


def write_logs(folder: Path, ended: threading.Event) -> None:
    """Some 40 requests and an application message each second; one rotation after 20 seconds."""
    pick = random.Random(7)
    access, app = folder / "access.log", folder / "app.log"
    for tick in range(1_000_000):
        with access.open("a") as file:
            file.writelines(access_line(pick) for _ in range(4))
        if tick % 10 == 0:
            with app.open("a") as file:
                file.write(app_text(pick))
        if tick == 200:
            access.rename(folder / "access.log.1")
        if ended.wait(0.1):
            return


def free_port(wanted: int) -> int:
    """The wanted port, or a free one if somebody has it."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no port is free")


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="tailrace-demo-"))
    seconds = float(os.environ.get("DEMO_SECONDS", "0")) or None
    port = free_port(2020)
    print(
        __doc__,
        f"Live page: http://127.0.0.1:{port}/ (open it in a browser)",
        f"Logs, positions and archive: {folder}\n",
        sep="\n",
        flush=True,
    )
    ended = threading.Event()
    writer = threading.Thread(target=write_logs, args=(folder, ended))
    writer.start()
    command = [str(Path(sys.executable).with_name("tailrace")), "-c", str(HERE / "demo.yaml")]
    agent = subprocess.Popen(
        command, env={**os.environ, "DEMO": str(folder), "DEMO_PORT": str(port)}
    )
    try:
        agent.wait(seconds)
    except (KeyboardInterrupt, subprocess.TimeoutExpired):
        agent.send_signal(signal.SIGINT)
        agent.wait()
    ended.set()
    writer.join()
    archive = folder / "archive.jsonl"
    count = sum(1 for _ in archive.open()) if archive.exists() else 0
    print(f"\n{count} requests were archived. Until next time.")
    shutil.rmtree(folder)
    return agent.returncode


if __name__ == "__main__":
    sys.exit(main())
