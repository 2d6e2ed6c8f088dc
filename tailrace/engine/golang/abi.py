"""The C structures and functions between the agent and a Go plugin.

Layouts: `output/flb_output.h`, `input/flb_input.h` and both `flb_plugin.h` of github.com/fluent/fluent-bit-go; the agent's own structures may
be longer than the binding knows.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from typing import Any

from tailrace.plugin.log import Log

INPUT, OUTPUT, CUSTOM = 1, 2, 3
"""Kinds of plugins (`type` of a definition)."""

GOLANG = 11
"""The only `proxy` there is."""

ERROR, OK, RETRY = 0, 1, 2
"""What the functions return."""


class Definition(ctypes.Structure):
    """Filled by FLBPluginRegister."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("proxy", ctypes.c_int),
        ("flags", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("description", ctypes.c_char_p),
        ("event_type", ctypes.c_int),
        ("config_map", ctypes.c_void_p),
    )


GET_PROPERTY = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
GET_METRICS = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
LOG_PRINT = ctypes.CFUNCTYPE(
    None, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p
)
LOG_CHECK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


class Api(ctypes.Structure):
    """What a plugin may call."""

    _fields_ = (
        ("output_get_property", GET_PROPERTY),
        ("input_get_property", GET_PROPERTY),
        ("output_get_cmt_instance", GET_METRICS),
        ("input_get_cmt_instance", GET_METRICS),
        ("log_print", LOG_PRINT),
        ("input_log_check", LOG_CHECK),
        ("output_log_check", LOG_CHECK),
        ("custom_get_property", GET_PROPERTY),
        ("custom_log_check", LOG_CHECK),
    )


class ProxyContext(ctypes.Structure):
    """Where FLBPluginInit leaves the plugin's own context.

    The original keeps an input's in the second place, behind a number; the published binding writes into the first.
    """

    _fields_ = (("first", ctypes.c_void_p), ("second", ctypes.c_void_p), ("rest", ctypes.c_void_p))

    @property
    def remote(self) -> int | None:
        found: int | None = self.second or self.first
        return found


class PluginStruct(ctypes.Structure):
    """What FLBPluginInit gets; the places of callbacks behind `context` are the agent's own and stay empty."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("api", ctypes.POINTER(Api)),
        ("instance", ctypes.c_void_p),
        ("context", ctypes.POINTER(ProxyContext)),
        ("callbacks", ctypes.c_void_p * 8),
    )


class Handle:
    """One instance as its Go code sees it: options by name, and the log.

    It owns the memory that Go has pointers to, so it must live as long as the instance.
    """

    def __init__(self, name: str, properties: Mapping[str, str], log: Log) -> None:
        self._log = log
        self._texts = {
            key.lower().encode(errors="surrogateescape"): ctypes.create_string_buffer(
                value.encode(errors="surrogateescape")
            )
            for key, value in properties.items()
        }
        self._callbacks: list[Any] = []
        get = self._callback(GET_PROPERTY, self.get_property)
        no_metrics = self._callback(GET_METRICS, lambda instance: None)
        check = self._callback(LOG_CHECK, self.is_logged)
        self._api = Api(
            output_get_property=get,
            input_get_property=get,
            output_get_cmt_instance=no_metrics,
            input_get_cmt_instance=no_metrics,
            log_print=self._callback(LOG_PRINT, self.log_print),
            input_log_check=check,
            output_log_check=check,
            custom_get_property=get,
            custom_log_check=check,
        )
        self.context = ProxyContext()
        self.struct = PluginStruct(
            name=name.encode(),
            api=ctypes.pointer(self._api),
            instance=1,
            context=ctypes.pointer(self.context),
        )

    def _callback(self, kind: Callable[..., Any], function: Callable[..., Any]) -> Any:
        made = kind(function)
        self._callbacks.append(made)
        return made

    def get_property(self, key: bytes | None, instance: int | None) -> int | None:
        """The address of an option's text; None (NULL) if it is not given. Names ignore letter case."""
        found = self._texts.get((key or b"").lower())
        return None if found is None else ctypes.addressof(found)

    def is_logged(self, instance: int | None, level: int) -> int:
        return int(0 < level <= self._log.level)

    def log_print(
        self, level: int, file: bytes | None, line: int, text: bytes | None, first: int | None
    ) -> None:
        """A line for the log. The function takes more arguments in C; of them only that of a plain `%s` can be read."""
        message = text or b""
        if message == b"%s" and first:
            message = ctypes.string_at(first)
        writers = (
            self._log.error,
            self._log.warn,
            self._log.info,
            self._log.debug,
            self._log.trace,
        )
        writers[min(max(level, 1), 5) - 1](message.decode(errors="replace").rstrip())
