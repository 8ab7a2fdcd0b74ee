"""What the lab's gateway takes from a client and from a server, in numbers; each bounds memory, time or connections."""

MEBIBYTE = 1 << 20

REQUEST_BYTES = 16 * MEBIBYTE
"""The largest body of a request; a larger one is answered with 413. A stream of gRPC messages is one body."""
CONNECTION_BYTES = MEBIBYTE // 4
"""What is held of a connection, on either side, before its sender has to wait; larger bodies pass through in parts."""
RETRY_BYTES = MEBIBYTE
"""What is kept of a request to send it once more; a larger one is not sent again once its body has begun to leave."""
HEADER_KIBIBYTES = 32
"""The largest headers of a request, all together; larger ones are answered with 431."""
HEADERS = 100
"""The most headers of a request; more are answered with 431."""

CONNECTIONS = 1024
"""Connections of clients to one listener at a time; further ones are closed at once."""
STREAMS = 100
"""Requests at a time on one HTTP/2 connection."""
STREAM_WINDOW = 1 << 16
CONNECTION_WINDOW = MEBIBYTE
"""Bytes that a client may send ahead, for one request and on one connection, with HTTP/2."""
BACKEND_CONNECTIONS = 1024
BACKEND_REQUESTS = 1024
BACKEND_PENDING = 1024
"""Connections, requests, and requests that wait for a connection, of one Service at a time; further ones get 503."""

FIRST_BYTES = "5s"
"""How long a new connection may say nothing at all."""
HANDSHAKE = "10s"
"""How long TLS may take to be agreed on."""
REQUEST_HEADERS = "10s"
"""How long a request's headers may take to come."""
REQUEST = "60s"
"""How long a whole request may take to come; answered with 408."""
ANSWER = 60.0
"""Seconds until an answer must be complete, where the route says nothing else; answered with 504."""
STREAM_IDLE = 60.0
"""Seconds without a byte in either direction until a request is given up."""
CONNECTION_IDLE = "300s"
"""How long a client's connection may carry no request."""
BACKEND_IDLE = "30s"
"""How long a connection to a pod is kept without a request."""
BACKEND_CONNECT = "2s"
"""How long a connection to a pod may take to be made."""
PING_EVERY, PING_ANSWER = "30s", "10s"
"""How often an HTTP/2 connection is asked whether its other end is there, and how soon it must answer."""

ALL_CONNECTIONS = 10_000
"""Connections of clients to Envoy at a time, of all listeners."""
HEAP_BYTES = 512 * MEBIBYTE
"""Envoy's memory; almost full, it answers new requests with 503."""
HURRIED_IDLE = "5s"
"""How long a request may stand still when the memory is almost full."""

RETRIES = 3
"""How often a request that no pod has seen is given to another pod."""
RETRY_PICKS = 16
"""How often a pod is picked until it is one that has not failed the request: the dead are the least busy."""
EJECT_AFTER = 3
EJECTED_FOR = "5s"
"""After how many failed connections in a row a pod is left alone, and for how long at first."""
