"""TLS contexts from options, made anew when their files change."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tailrace.config import ConfigError
from tailrace.net.options import TLS_VERSIONS, ProxyTLSOptions, TLSOptions, tls_version
from tailrace.plugin.log import Log

VERSIONS = dict(
    zip(
        TLS_VERSIONS,
        (
            ssl.TLSVersion.TLSv1,
            ssl.TLSVersion.TLSv1_1,
            ssl.TLSVersion.TLSv1_2,
            ssl.TLSVersion.TLSv1_3,
        ),
        strict=True,
    )
)


class ContextKeeper:
    """One SSL context; `current()` gives a new one when a certificate file has changed.

    A file that can't be used any more is told, and the context that works is kept.
    """

    def __init__(self, make: Callable[[], ssl.SSLContext], files: Sequence[Path], log: Log) -> None:
        self._make = make
        self._files = files
        self._log = log
        self._context = make()
        self._state = self._look()

    def current(self) -> ssl.SSLContext:
        state = self._look()
        if state == self._state:
            return self._context
        self._state = state
        try:
            self._context = self._make()
            self._log.info("tls: the certificates have changed and are read anew")
        except ConfigError as error:
            self._log.error(
                f"tls: the changed certificates can't be used, the old ones stay: {error}"
            )
        return self._context

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [file_state(path) for path in self._files]


def file_state(path: Path) -> tuple[int, int, int] | None:
    try:
        info = os.stat(path)
    except OSError:
        return None
    return info.st_mtime_ns, info.st_size, info.st_ino


def client_tls(
    options: TLSOptions, config_dir: Path, log: Log, protocols: Sequence[str] = ()
) -> ContextKeeper | None:
    """The context of a client; None if `tls` is off. `ConfigError` if a file or value can't be used.

    `protocols` are offered by ALPN.
    """
    if not options.tls:
        return None
    return ContextKeeper(
        lambda: _client_context(options, config_dir, protocols), _files(options, config_dir), log
    )


def server_tls(
    options: TLSOptions, config_dir: Path, log: Log, protocols: Sequence[str] = ()
) -> ssl.SSLContext | None:
    """The context of a server; each handshake takes the certificates as they are on disk then.

    `protocols` are offered by ALPN.
    """
    if not options.tls:
        return None
    keeper = ContextKeeper(
        lambda: _server_context(options, config_dir, protocols), _files(options, config_dir), log
    )
    first = keeper.current()

    def choose(handshake: Any, name: str | None, context: ssl.SSLContext) -> None:
        current = keeper.current()
        if handshake.context is not current:
            handshake.context = current

    first.sni_callback = choose
    return first


def proxy_tls(options: ProxyTLSOptions, config_dir: Path) -> ssl.SSLContext:
    """The context for an `https://` proxy."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = options.verify and options.verify_hostname
    context.verify_mode = ssl.CERT_REQUIRED if options.verify else ssl.CERT_NONE
    if options.verify:
        _trust(context, options.ca_file, options.ca_path, config_dir, "tls.proxy.")
    return context


def _files(options: TLSOptions, config_dir: Path) -> list[Path]:
    named = (options.tls_ca_file, options.tls_crt_file, options.tls_key_file)
    return [config_dir / name for name in named if name]


def _client_context(
    options: TLSOptions, config_dir: Path, protocols: Sequence[str]
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = options.tls_verify and options.tls_verify_hostname
    context.verify_mode = ssl.CERT_REQUIRED if options.tls_verify else ssl.CERT_NONE
    if options.tls_verify:
        _trust(context, options.tls_ca_file, options.tls_ca_path, config_dir, "tls.")
    _own_certificate(context, options, config_dir)
    _limits(context, options)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def _server_context(
    options: TLSOptions, config_dir: Path, protocols: Sequence[str]
) -> ssl.SSLContext:
    if not options.tls_crt_file or not options.tls_key_file:
        raise ConfigError(
            "tls is on, but there is no certificate to serve.",
            "Give tls.crt_file and tls.key_file.",
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _own_certificate(context, options, config_dir)
    if options.tls_verify_client_cert:
        if not options.tls_ca_file and not options.tls_ca_path:
            raise ConfigError(
                "tls.verify_client_cert is on, but no authority is named.", "Give tls.ca_file."
            )
        _trust(context, options.tls_ca_file, options.tls_ca_path, config_dir, "tls.")
        context.verify_mode = ssl.CERT_REQUIRED
    _limits(context, options)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def _trust(
    context: ssl.SSLContext, ca_file: str, ca_path: str, config_dir: Path, prefix: str
) -> None:
    if not ca_file and not ca_path:
        context.load_default_certs()
        return
    try:
        context.load_verify_locations(
            str(config_dir / ca_file) if ca_file else None,
            str(config_dir / ca_path) if ca_path else None,
        )
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"{prefix}ca_file: '{ca_file or ca_path}' can't be used: {reason(error)}.",
            "Give a PEM file of certificates.",
        ) from error


def _own_certificate(context: ssl.SSLContext, options: TLSOptions, config_dir: Path) -> None:
    certificate, key = options.tls_crt_file, options.tls_key_file
    if not certificate:
        if key:
            raise ConfigError("tls.key_file is given without tls.crt_file.", "Give both.")
        return
    try:
        context.load_cert_chain(
            config_dir / certificate,
            config_dir / key if key else None,
            lambda: options.tls_key_passwd,
        )
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"tls.crt_file: '{certificate}' with tls.key_file '{key}' can't be used: {reason(error)}.",
            "Give the certificate and its private key as PEM files, and tls.key_passwd if the key has one.",
        ) from error


def _limits(context: ssl.SSLContext, options: TLSOptions) -> None:
    if options.tls_min_version:
        context.minimum_version = _version("tls.min_version", options.tls_min_version)
    if options.tls_max_version:
        context.maximum_version = _version("tls.max_version", options.tls_max_version)
    if options.tls_ciphers:
        try:
            context.set_ciphers(options.tls_ciphers)
        except ssl.SSLError as error:
            raise ConfigError(
                f"tls.ciphers: '{options.tls_ciphers}' names no cipher that is known.",
                "Give names in OpenSSL's notation, with colons between.",
            ) from error


def _version(name: str, value: str) -> ssl.TLSVersion:
    found = VERSIONS.get(tls_version(value))
    if found is None:
        raise ConfigError(f"{name}: '{value}' is not known.", f"Give one of {', '.join(VERSIONS)}.")
    return found


def reason(error: OSError) -> str:
    """What went wrong, without numbers and file names of the library."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return str(error.reason or error).replace("_", " ").lower()
    if error.errno and error.errno > 0 and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)  # asyncio has words of its own: "Connect call failed"
    return error.strerror or str(error)
