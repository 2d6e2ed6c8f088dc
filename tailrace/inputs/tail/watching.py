"""How a change of a file is noticed: inotify, or looking at regular intervals."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import struct
from collections.abc import Callable
from typing import Protocol

from tailrace.inputs.tail.files import File

MODIFY, ATTRIB, MOVED_TO, CREATE = 0x2, 0x4, 0x80, 0x100
DELETE_SELF, MOVE_SELF, UNMOUNT = 0x400, 0x800, 0x2000
OVERFLOW, IGNORED, ONLY_DIRECTORY = 0x4000, 0x8000, 0x1000000
FILE_EVENTS = MODIFY | ATTRIB | MOVE_SELF | DELETE_SELF
NAME_EVENTS = ATTRIB | MOVE_SELF | DELETE_SELF | UNMOUNT
DIRECTORY_EVENTS = CREATE | MOVED_TO | ONLY_DIRECTORY
HEADER = struct.Struct("iIII")
READ_BYTES = 65536
NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC


class Observer(Protocol):
    """Who is told."""

    def on_data(self, file: File) -> None:
        """The file was written to."""

    def on_name(self, file: File) -> None:
        """The file was renamed, deleted or linked."""

    def on_entry(self, path: str) -> None:
        """A directory has a new entry."""

    def on_overflow(self) -> None:
        """Changes were missed: look at everything."""


class Watcher(Protocol):
    """Watches files, and directories for new ones."""

    def add(self, file: File) -> None: ...

    def remove(self, file: File) -> None: ...

    def watch_directory(self, path: str) -> None: ...

    def close(self) -> None: ...


class Inotify:
    """Changes as the kernel reports them."""

    def __init__(self, observer: Observer, warn: Callable[[str], None]) -> None:
        self._observer = observer
        self._warn = warn
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(NONBLOCK_CLOEXEC)
        if self._fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"inotify: {os.strerror(number)}")
        self._files: dict[int, File] = {}
        self._directories: dict[int, str] = {}
        self._watched: set[str] = set()
        self._full = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._read)

    def add(self, file: File) -> None:
        # By descriptor, not by path: the name may be another file's by now.
        watch = self._watch(f"/proc/self/fd/{file.fd}", FILE_EVENTS)
        if watch >= 0:
            file.watch = watch
            self._files[watch] = file

    def watch_directory(self, path: str) -> None:
        if path in self._watched:
            return
        watch = self._watch(path or ".", DIRECTORY_EVENTS)
        if watch >= 0:
            self._directories[watch] = path
            self._watched.add(path)

    def _watch(self, path: str, events: int) -> int:
        watch: int = self._libc.inotify_add_watch(self._fd, os.fsencode(path), events)
        if watch < 0 and ctypes.get_errno() == errno.ENOSPC and not self._full:
            self._full = True
            self._warn(
                "inotify: no more watches (fs.inotify.max_user_watches); "
                "further files are looked at every progress_check_interval"
            )
        return watch

    def remove(self, file: File) -> None:
        if self._files.pop(file.watch, None) is not None:
            self._libc.inotify_rm_watch(self._fd, file.watch)
        file.watch = -1

    def _read(self) -> None:
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            watch, mask, _, length = HEADER.unpack_from(data, at)
            at += HEADER.size
            name = data[at : at + length].rstrip(b"\0")
            at += length
            self._tell(watch, mask, name)

    def _tell(self, watch: int, mask: int, name: bytes) -> None:
        if mask & OVERFLOW:
            self._observer.on_overflow()
        elif mask & IGNORED:
            self._files.pop(watch, None)
            self._watched.discard(self._directories.pop(watch, ""))
        elif (file := self._files.get(watch)) is not None:
            self._observer.on_data(file)
            if mask & NAME_EVENTS:
                self._observer.on_name(file)
        elif (directory := self._directories.get(watch)) is not None:
            self._observer.on_entry(os.path.join(directory, os.fsdecode(name)))

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)


class Polling:
    """Nothing reports changes: whoever owns this looks at the files at an interval (`inotify_watcher off`)."""

    def add(self, file: File) -> None:
        """Nothing to register."""

    def remove(self, file: File) -> None:
        """Nothing to forget."""

    def watch_directory(self, path: str) -> None:
        """New files are found by scanning."""

    def close(self) -> None:
        """Nothing to close."""
