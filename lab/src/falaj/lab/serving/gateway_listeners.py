"""Envoy's listeners: TLS with clients' certificates, HTTP within bounds, and nothing that the client says of itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from falaj.lab.serving import gateway_access, gateway_guard
from falaj.lab.serving import gateway_limits as limits
from falaj.lab.serving.gateway_endpoints import read_from
from falaj.lab.serving.gateway_references import KeyPair

LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 - a type's name
_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
_FILTERS = "type.googleapis.com/envoy.extensions.filters"


@dataclass(frozen=True)
class ServedListener:
    """One listener of a Gateway that can be served."""

    name: str
    """Unique among all: ``<namespace>/<gateway>/<listener>``."""
    hostname: str
    """The server name that it answers to; empty: any."""
    certificates: Sequence[KeyPair]
    authorities: str | None
    """Who signs clients' certificates, PEM; None: no certificate is demanded."""

    @property
    def clients(self) -> str:
        """Return the name of what clients' certificates are judged by."""
        return f"{self.name}/clients"


@dataclass(frozen=True)
class Paths:
    """Where Envoy reads what may change without a connection noticing."""

    folder: Path

    def of(self, kind: str, name: str) -> Path:
        """Return the file of one of the ``secrets``, ``routes`` or ``endpoints``."""
        return self.folder / kind / f"{name.replace('/', '_').replace(':', '_')}.json"


def listener(name: str, port: int, served: Sequence[ServedListener], paths: Paths) -> dict[str, Any]:
    """Return all that a Gateway serves on one port, as one listener of Envoy on loopback."""
    return {
        "@type": LISTENER,
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "per_connection_buffer_limit_bytes": limits.CONNECTION_BYTES,
        "listener_filters_timeout": limits.FIRST_BYTES,
        "listener_filters": [
            {
                "name": "envoy.filters.listener.tls_inspector",
                "typed_config": {"@type": f"{_FILTERS}.listener.tls_inspector.v3.TlsInspector"},
            }
        ],
        "filter_chains": [_filter_chain(each, paths) for each in served],
    }


def _filter_chain(served: ServedListener, paths: Paths) -> dict[str, Any]:
    return {
        "name": served.name,
        **({"filter_chain_match": {"server_names": [served.hostname]}} if served.hostname else {}),
        "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": _tls(served, paths)},
        "transport_socket_connect_timeout": limits.HANDSHAKE,
        "filters": [
            {
                "name": "envoy.filters.network.connection_limit",
                "typed_config": {
                    "@type": f"{_FILTERS}.network.connection_limit.v3.ConnectionLimit",
                    "stat_prefix": _stat(served.name),
                    "max_connections": limits.CONNECTIONS,
                },
            },
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": _http(served, paths)},
        ],
    }


def _tls(served: ServedListener, paths: Paths) -> dict[str, Any]:
    def secret(name: str) -> dict[str, Any]:
        return {"name": name, "sds_config": read_from(paths.of("secrets", name))}

    common: dict[str, Any] = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3"},
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_certificate_sds_secret_configs": [secret(pair.name) for pair in served.certificates],
    }
    if served.authorities is not None:
        common["validation_context_sds_secret_config"] = secret(served.clients)
    return {
        "@type": _TLS,
        "common_tls_context": common,
        "require_client_certificate": served.authorities is not None,
        # A session that is resumed would outlive the certificate that it began with.
        "disable_stateless_session_resumption": True,
        "disable_stateful_session_resumption": True,
    }


def _http(served: ServedListener, paths: Paths) -> dict[str, Any]:
    ping = {"interval": limits.PING_EVERY, "timeout": limits.PING_ANSWER}
    return {
        "@type": f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": _stat(served.name),
        "codec_type": "AUTO",
        "rds": {"route_config_name": served.name, "config_source": read_from(paths.of("routes", served.name))},
        # Nobody is trusted for being near: headers that steer Envoy are taken off whoever sends them.
        "use_remote_address": True,
        "internal_address_config": {"cidr_ranges": []},
        "forward_client_cert_details": "SANITIZE_SET",
        "set_current_client_cert_details": {"uri": True, "dns": True, "subject": True},
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "strip_any_host_port": True,
        "max_request_headers_kb": limits.HEADER_KIBIBYTES,
        "common_http_protocol_options": {
            "max_headers_count": limits.HEADERS,
            "headers_with_underscores_action": "REJECT_REQUEST",
            "idle_timeout": limits.CONNECTION_IDLE,
        },
        "http2_protocol_options": {
            "max_concurrent_streams": limits.STREAMS,
            "initial_stream_window_size": limits.STREAM_WINDOW,
            "initial_connection_window_size": limits.CONNECTION_WINDOW,
            "connection_keepalive": ping,
        },
        "request_headers_timeout": limits.REQUEST_HEADERS,
        "request_timeout": limits.REQUEST,
        "stream_idle_timeout": f"{limits.STREAM_IDLE:g}s",
        "http_filters": [
            # Before all others: who may not call sends nothing on.
            gateway_access.guard(),
            _filter("body_size_limit", "BodySizeLimit", max_request_bytes=limits.REQUEST_BYTES),
            *gateway_guard.filters(),
            # Errors of gRPC are answers with the status 200: only this counts them.
            _filter("grpc_stats", "FilterConfig", stats_for_all_methods=False, emit_filter_state=False),
            _filter("router", "Router", suppress_envoy_headers=True),
        ],
        "access_log": [_refusals()],
    }


def _filter(name: str, message: str, **settings: Any) -> dict[str, Any]:
    config = {"@type": f"{_FILTERS}.http.{name}.v3.{message}", **settings}
    return {"name": f"envoy.filters.http.{name}", "typed_config": config}


def _refusals() -> dict[str, Any]:
    """Return the log of what was not served: who asked for what, and why it was not."""
    errors = {"comparison": {"op": "GE", "value": {"default_value": 400, "runtime_key": "falaj.logged_from"}}}
    line = {
        "time": "%START_TIME%",
        "client": "%DOWNSTREAM_PEER_URI_SAN%",
        "client_dns": "%DOWNSTREAM_PEER_DNS_SAN%",
        "method": "%REQ(:METHOD)%",
        "host": "%REQ(:AUTHORITY)%",
        "path": "%PATH(NQ)%",
        "status": "%RESPONSE_CODE%",
        "why": "%RESPONSE_CODE_DETAILS%",
        "service": "%UPSTREAM_CLUSTER%",
        "milliseconds": "%DURATION%",
    }
    return {
        "name": "envoy.access_loggers.stdout",
        "filter": {"status_code_filter": errors},
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {"json_format": line},
        },
    }


def certificate_secret(pair: KeyPair) -> dict[str, Any]:
    """Return a certificate and its key as Envoy reads them."""
    pem = {"certificate_chain": {"inline_string": pair.certificate}, "private_key": {"inline_string": pair.key}}
    return {"@type": SECRET, "name": pair.name, "tls_certificate": pem}


def clients_secret(served: ServedListener) -> dict[str, Any]:
    """Return whose signature makes a client's certificate valid."""
    context = {"trusted_ca": {"inline_string": served.authorities}}
    return {"@type": SECRET, "name": served.clients, "validation_context": context}


def _stat(name: str) -> str:
    return name.replace("/", "_")
