"""Run the application under gunicorn, and refuse to run it where that would be unsafe."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from typing import TYPE_CHECKING, Any

from cds.settings import Settings
from cds.telemetry import configure_logging, log
from cds.web.memory import share_arenas

if TYPE_CHECKING:
    from collections.abc import Callable

    from cds.services.knowledge import LiveKnowledge

# A worker that hangs is replaced after this time; the deadline of a call is far shorter.
_WORKER_TIMEOUT_S = 30
_KEEP_ALIVE_S = 5
_LONGEST_LINE = 4094
_MOST_HEADERS = 60


class CannotServe(Exception):  # noqa: N818 - reads as a sentence where it is raised
    """The settings do not allow to serve on this address; the message says what to do."""


def serve(
    settings: Settings, host: str, port: int, *, extend: Callable[[Any, Any], object] | None = None
) -> None:
    """Serve until stopped; returns when the last worker has ended.

    `extend` gets each worker's application and services: rooms beside the web come in here.
    """
    check_exposure(settings, host)
    settings = _with_own_address(settings, port)
    configure_logging()
    share_arenas()

    from cds.services.wiring import SetupFailed, prepare

    try:
        knowledge = prepare(settings)
    except SetupFailed as error:
        raise CannotServe(str(error)) from None
    check_certificate(settings)
    check_address(host, port)
    log().info(
        "serving",
        address=host,
        port=port,
        workers=settings.server.workers,
        threads=settings.server.threads,
    )
    if not settings.clients:
        log().warning(
            "open-loopback",
            problem="no client is registered: this machine is answered without a token",
        )
    _server(settings, knowledge, host, port, extend).run()


def check_exposure(settings: Settings, host: str) -> None:
    """Refuse an address that others can reach unless clients are registered and TLS is used."""
    if is_loopback(host):
        return
    if not settings.clients:
        raise CannotServe(
            f"{host} can be reached from other machines, and no client is registered.\n"
            "Register at least one under `clients:` in the settings file "
            "(id, issuer, jwks or jwks_file or jwks_url, fhir_base), or serve on 127.0.0.1."
        )
    server = settings.server
    if not server.behind_tls_proxy and not (server.tls_certificate and server.tls_key):
        raise CannotServe(
            f"{host} can be reached from other machines, and CDS Hooks requires TLS.\n"
            "Set server.tls_certificate and server.tls_key, "
            "or server.behind_tls_proxy: true when a proxy in front of this service ends TLS."
        )
    if not settings.public_base_url.startswith("https://"):
        raise CannotServe(
            "public_base_url must be the https address under which clients call this service."
        )


def check_certificate(settings: Settings) -> None:
    """Refuse a certificate or key that cannot be used, and say which."""
    certificate, key = settings.server.tls_certificate, settings.server.tls_key
    if certificate is None or key is None:
        return
    for name, file in (("tls_certificate", certificate), ("tls_key", key)):
        try:
            file.read_bytes()
        except OSError as error:
            raise CannotServe(f"server.{name} {file} cannot be read: {error.strerror}") from None
    try:
        # A key with a pass phrase would otherwise ask for it on a terminal that nobody watches.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, lambda: "")
    except (ssl.SSLError, ValueError):
        raise CannotServe(
            f"server.tls_certificate {certificate} and server.tls_key {key} are no certificate "
            "chain and its private key (PEM, without a pass phrase)"
        ) from None


def check_address(host: str, port: int) -> None:
    """Refuse at once an address that cannot be listened on, and say why."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise CannotServe(
            f"{host} port {port} cannot be listened on: {error.strerror}.\n"
            "Choose another with --port or --host, or stop what uses it."
        ) from None


def _with_own_address(settings: Settings, port: int) -> Settings:
    """Let links on cards point at the port in use when the settings name no public address."""
    if "public_base_url" in settings.model_fields_set or settings.clients:
        return settings
    return settings.model_copy(update={"public_base_url": f"http://127.0.0.1:{port}"})


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _server(
    settings: Settings,
    knowledge: LiveKnowledge,
    host: str,
    port: int,
    extend: Callable[[Any, Any], object] | None,
) -> Any:
    from gunicorn.app.base import BaseApplication

    # Imported here so that workers inherit the loaded modules; services are built in each worker,
    # after the fork, because neither database connections nor rule programs survive one.
    from cds.services.warmup import leave_out_of_garbage_search, warm_up
    from cds.services.wiring import build_services, forget_what_is_over
    from cds.web.app import create_app
    from cds.web.server_log import ServerLog

    class Server(BaseApplication):
        def load_config(self) -> None:
            options = {
                "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
                "workers": settings.server.workers,
                "threads": settings.server.threads,
                "worker_class": "cds.web.worker.Worker",
                "timeout": _WORKER_TIMEOUT_S,
                "keepalive": _KEEP_ALIVE_S,
                "limit_request_line": _LONGEST_LINE,
                "limit_request_fields": _MOST_HEADERS,
                "accesslog": None,
                "logger_class": ServerLog,
                # Nothing but the proxy's own headers may say where a request goes.
                "forwarder_headers": "",
                "control_socket_disable": True,
                "proc_name": "imatinib-tdm",
                "child_exit": _forget_worker_metrics,
            }
            if settings.server.tls_certificate and settings.server.tls_key:
                options["certfile"] = str(settings.server.tls_certificate)
                options["keyfile"] = str(settings.server.tls_key)
            for name, value in options.items():
                if value is not None:
                    self.cfg.set(name, value)

        def load(self) -> Any:
            services = build_services(settings, knowledge=knowledge)
            warm_up(services.knowledge, services.clock.now())
            knowledge.follow()
            forget_what_is_over(services)
            app = create_app(services)
            if extend is not None:
                extend(app, services)
            leave_out_of_garbage_search()
            return app

    return Server()


def _forget_worker_metrics(_server: object, worker: Any) -> None:
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)
