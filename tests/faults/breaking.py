"""The faults. Each is a function of a world that breaks something once, and leaves it whole again."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import NamedTuple

from tests.faults.world import World


class Fault(NamedTuple):
    """`share`: how often it is injected in a long run, of 1,000 faults. `needs_mount`: a file system of its own.

    `bulk`: it is for a destination that answers for each event. `several`: it is for several processes.
    """

    name: str
    inject: Callable[[World], None]
    share: int
    needs_mount: bool = False
    bulk: bool = False
    several: bool = False


def sigkill(world):
    world.wait(0.05, 0.9)
    world.restart()


def sigkill_twice(world):
    """Killed again while it starts and delivers its backlog."""
    world.restart()
    world.wait(0.0, 0.8)
    world.restart()
    world.wait(0.3, 0.6)


def engine_killed(world):
    """One of several engines ends; its supervisor starts it again."""
    end = time.monotonic() + 40
    while not (engines := world.engines()) and time.monotonic() < end:
        time.sleep(0.05)
    world.wait(0.1, 0.6)
    with contextlib.suppress(ProcessLookupError):
        os.kill(world.pick.choice(engines), signal.SIGKILL)
    world.wait(0.1, 0.4)


def sigstop(world):
    world.agent.send_signal(signal.SIGSTOP)
    world.wait(0.1, 0.5)
    world.agent.send_signal(signal.SIGCONT)
    world.wait(0.1, 0.2)


def orderly_restart(world):
    world.wait(0.1, 0.5)
    world.agent.send_signal(signal.SIGTERM)
    world.agent.wait(30)
    world.start()


def sink_mode(mode, low, high):
    def inject(world):
        world.sink.mode = mode
        world.wait(low, high)
        world.sink.mode = "ok"
        world.wait(0.05, 0.2)

    return inject


def killed_while(mode):
    """The sink misbehaves, and the agent is killed meanwhile."""

    def inject(world):
        world.sink.mode = mode
        world.wait(0.2, 0.5)
        world.restart()
        world.wait(0.2, 0.5)
        world.sink.mode = "ok"

    return inject


def sink_gone(world):
    world.sink.close()
    world.wait(0.3, 0.8)
    world.sink.open()


def rotation(world):
    world.writer.rotate_wanted.set()
    world.wait(0.1, 0.3)


def rotation_and_kill(world):
    world.writer.rotate_wanted.set()
    world.wait(0.02, 0.1)
    world.kill()
    world.writer.rotate_wanted.set()
    world.wait(0.05, 0.1)
    world.start()


def full_disk(world):
    """The agent's disk has no room: filled, held so for a while with the sink away, then freed."""
    world.sink.mode = "500"
    filler = world.disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 14))
    world.wait(0.5, 1.0)
    world.sink.mode = "ok"
    world.wait(0.1, 0.3)
    filler.unlink()


def full_disk_and_kill(world):
    filler = world.disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 14))
    world.wait(0.2, 0.4)
    world.restart()
    world.wait(0.5, 0.9)
    filler.unlink()


def read_only_disk(world):
    """What is open for writing forbids it, so the agent is killed first and started on the read-only disk."""
    world.kill()
    with contextlib.suppress(subprocess.CalledProcessError):
        subprocess.run(["mount", "-o", "remount,ro", world.disk], check=True, capture_output=True)
    world.start()
    world.wait(0.8, 1.2)
    world.kill()
    subprocess.run(["mount", "-o", "remount,rw", world.disk], check=True, capture_output=True)
    world.start()


def clock_jump(world):
    for seconds in (3600, -7200, 0):
        (world.folder / "clock").write_text(str(seconds))
        world.wait(0.1, 0.3)


def chunk_files(world):
    return [path for path in (world.disk / "chunks").glob("*/*.flb") if path.is_file()]


def with_stored_chunks(world):
    """Stop the agent while chunks lie on its disk; those."""
    world.sink.mode = "500"
    end = time.monotonic() + 5
    while not (found := chunk_files(world)) and time.monotonic() < end:
        time.sleep(0.02)
    world.kill()
    return chunk_files(world) or found


def damaged_copy(change):
    """Beside the sound chunk files lie damaged copies of them when the agent starts: none of that may harm."""

    def inject(world):
        copies = []
        for path in with_stored_chunks(world)[:3]:
            data = change(bytearray(path.read_bytes()), world.pick)
            copy = path.with_name(
                f"1-{world.pick.randrange(10**9)}.{world.pick.randrange(10**9):09d}.flb"
            )
            copy.write_bytes(data)
            copies.append(copy)
        world.sink.mode = "ok"
        world.start()
        world.wait(0.4, 0.6)
        for copy in copies:
            copy.unlink(missing_ok=True)  # those of which nothing could be read

    return inject


def cut(data, pick):
    return data[: pick.randrange(len(data))]


def flip(data, pick):
    for _ in range(pick.randrange(1, 4)):
        data[pick.randrange(len(data))] ^= 1 << pick.randrange(8)
    return data


def junk(data, pick):
    return os.urandom(pick.randrange(200))


def expired_certificate(world):
    world.certificates.renew(expired=True)
    world.sink.drop()
    world.wait(0.3, 0.7)
    world.certificates.renew()


def new_authority(world):
    """The sink's certificate comes from another authority, and the agent's CA file changes with it."""
    world.certificates.renew_authority()
    world.sink.drop()
    world.wait(0.3, 0.6)


def no_dns(world):
    (world.folder / "no_dns").touch()
    world.sink.close()
    world.sink.open()
    world.wait(0.3, 0.8)
    (world.folder / "no_dns").unlink()


def other_filters(world):
    """What a reload changes: a filter, which all inputs share."""
    mark = world.pick.randrange(10**6)
    filters = f"[FILTER]\n    name record_modifier\n    match *\n    record mark {mark}\n"
    return lambda text: text + filters


def other_instances(world):
    """What a reload changes: options of all inputs and of the output, so that others take their place."""
    size = world.pick.randrange(4000, 9000)
    return lambda text: text.replace("[INPUT]\n", f"[INPUT]\n    mem_buf_limit {size}k\n").replace(
        "retry_limit no_limits", f"retry_limit no_limits\n    net.keepalive_max_recycle {size}"
    )


def reload(change, killed=False):
    def inject(world):
        world.wait(0.1, 0.4)
        world.reload(change(world))
        world.wait(0.0, 0.3)
        if killed:
            world.restart()
            world.wait(0.2, 0.5)

    return inject


FAULTS = [
    Fault("SIGKILL", sigkill, 200),
    Fault("SIGKILL, again while starting", sigkill_twice, 30),
    Fault("one of two engines killed", engine_killed, 20, several=True),
    Fault("SIGSTOP and SIGCONT", sigstop, 60),
    Fault("SIGTERM and start", orderly_restart, 40),
    Fault("reload with other filters", reload(other_filters), 30),
    Fault("reload with other inputs and outputs", reload(other_instances), 30),
    Fault("reload, SIGKILL meanwhile", reload(other_instances, killed=True), 20),
    Fault("connection reset", sink_mode("reset", 0.2, 0.6), 70),
    Fault("half-open connection (no answer)", sink_mode("silent", 0.8, 1.6), 40),
    Fault("slow answers", sink_mode("slow", 0.3, 0.8), 40),
    Fault("HTTP 429 with Retry-After", sink_mode("429", 0.2, 0.6), 60),
    Fault("HTTP 500", sink_mode("500", 0.2, 0.6), 70),
    Fault("HTTP 500 though it was taken", sink_mode("lies", 0.2, 0.5), 50),
    Fault("HTTP 500, SIGKILL meanwhile", killed_while("500"), 40),
    Fault("connection reset, SIGKILL meanwhile", killed_while("reset"), 30),
    Fault("sink gone", sink_gone, 60),
    Fault("rotation", rotation, 70),
    Fault("rotation, SIGKILL meanwhile", rotation_and_kill, 40),
    Fault("disk full", full_disk, 30, needs_mount=True),
    Fault("disk full, SIGKILL meanwhile", full_disk_and_kill, 10, needs_mount=True),
    Fault("disk read-only", read_only_disk, 10, needs_mount=True),
    Fault("clock jumps", clock_jump, 40),
    Fault("chunk files cut off", damaged_copy(cut), 30),
    Fault("bits flipped in chunk files", damaged_copy(flip), 30),
    Fault("chunk files of random bytes", damaged_copy(junk), 20),
    Fault("TLS certificate expired", expired_certificate, 40),
    Fault("TLS authority replaced", new_authority, 40),
    Fault("name resolution fails", no_dns, 40),
    Fault("some items of a bulk not taken", sink_mode("partial", 0.3, 0.7), 40, bulk=True),
    Fault("the same, SIGKILL meanwhile", killed_while("partial"), 30, bulk=True),
]
