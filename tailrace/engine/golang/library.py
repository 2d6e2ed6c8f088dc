"""Loading a shared object with a Go plugin in it, and registering that plugin."""

from __future__ import annotations

import atexit
import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tailrace.engine.golang import abi
from tailrace.plugin.registry import input_plugin, output_plugin

_loaded: dict[Path, Library] = {}


class LibraryError(Exception):
    """The file is no Go plugin that can be used here; the message says why."""


class Library:
    """A loaded shared object. Go code can't be unloaded, so it stays until the process ends."""

    def __init__(self, path: Path) -> None:
        try:
            self._dll = ctypes.CDLL(str(path))
        except OSError as error:
            raise LibraryError(str(error)) from error
        self.path = path
        self.definition = abi.Definition()
        before = self.find("FLBPluginPreRegister")
        if before is not None and before(0) == -1:
            raise LibraryError("its FLBPluginPreRegister refused")
        if self.find("FLBPluginRegister") is None:
            raise LibraryError(
                "it exports no FLBPluginRegister, so it is no plugin made with the Go binding"
            )
        code = self.function("FLBPluginRegister")(ctypes.byref(self.definition))
        if code == -1 or not self.definition.name:
            raise LibraryError("its FLBPluginRegister failed")
        if self.definition.proxy != abi.GOLANG:
            raise LibraryError(
                f"it is a plugin of kind {self.definition.proxy}, and only Go plugins (11) are known"
            )
        self.name: str = self.definition.name.decode(errors="replace").lower()
        if self.find("FLBPluginInit") is None:
            raise LibraryError("it exports no FLBPluginInit")
        free = ctypes.CDLL(None).free
        free.argtypes, free.restype = [ctypes.c_void_p], None
        self.free: Callable[[int], None] = free
        atexit.register(self.unregister)

    def find(self, symbol: str, *parameters: Any) -> Any:
        """A function that returns an int; None if there is none of this name."""
        try:
            found = self._dll[symbol]
        except AttributeError:
            return None
        if parameters:
            found.argtypes = parameters
        found.restype = ctypes.c_int
        return found

    def function(self, symbol: str) -> Any:
        """A function that takes one pointer and must be there."""
        found = self.find(symbol, ctypes.c_void_p)
        assert found is not None, symbol
        return found

    def unregister(self) -> None:
        """FLBPluginUnregister, when the process ends."""
        last = self.find("FLBPluginUnregister", ctypes.c_void_p)
        if last is not None:
            last(ctypes.byref(self.definition))


def load(path: Path) -> str:
    """Load a file, once, and register its plugin; gives the plugin's name. Raises `LibraryError`."""
    from tailrace.engine.golang.plugins import GoInput, GoOutput

    library = _loaded.get(path)
    if library is None:
        library = _loaded[path] = Library(path)
    parts = {"library": library, "__module__": GoInput.__module__, "__doc__": description(library)}
    if library.definition.type == abi.OUTPUT:
        output_plugin(library.name)(type("GoOutput", (GoOutput,), parts))
    elif library.definition.type == abi.INPUT:
        input_plugin(library.name)(type("GoInput", (GoInput,), parts))
    else:
        raise LibraryError("it is neither an input nor an output plugin, and others can't be used")
    return library.name


def description(library: Library) -> str:
    text: bytes = library.definition.description or b""
    return text.decode(errors="replace")
