"""A contender in Python's standard library alone: a worked example for authors who add their own.

It does the whole work of docs/CONTRACT.md on every request, and is written to be read, not to win: a thread
serves a connection, two pools cap what all threads open. Set the contract's variables and run it.
"""

import hmac
import json
import math
import os
import queue
import re
import signal
import sys
import time
import traceback
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import postgres

NEW_MOVIE = {"title": str, "year": int, "director": str, "genre": str, "rating": float}
PRODUCT = {"id": str, "title": str, "price": float, "inStock": bool, "tags": list, "rating": float,
           "description": str, "vendor": {"id": str, "name": str}}
SELECT_USER = "SELECT id, name, email, address, city, country FROM users WHERE id = $1"

BODY_MAX_BYTES = 64 * 1024
UPSTREAM_BODY_MAX_BYTES = 1024 * 1024
# Bounds the wait for a free connection, then every wait for the upstream (not the sum of them).
WAIT_MAX_S = 5

BEARER = re.compile(r"bearer +([\w-]+\.[\w-]+)\.([\w-]+)", re.ASCII | re.IGNORECASE)

# Exact types, because True is an instance of int.
FITS = {
    str: lambda value: type(value) is str,
    bool: lambda value: type(value) is bool,
    int: lambda value: type(value) is int and -(2**31) <= value < 2**31,
    float: lambda value: type(value) in (int, float) and abs(value) <= sys.float_info.max,
    list: lambda value: type(value) is list and all(type(item) is str for item in value),
}


class Refused(Exception):
    """A row of the contract's error table. What caused a 5xx is logged, never sent."""

    def __init__(self, status, phrase, headers=(), **detail):
        self.answer = status, {"error": phrase, **detail}, dict(headers)


class Unfit(ValueError):
    """JSON, but not what is wanted; the message names the field."""


def encode(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def parse(data):
    """Strict JSON, else ValueError. An object becomes a tuple of pairs, so that a field given twice shows."""
    try:
        # int() refuses NaN and Infinity, which are not JSON.
        value = json.loads(data.decode(), object_pairs_hook=tuple, parse_constant=int)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if b"\\u" in data:
        encode(value)  # Fails for half a surrogate pair, which no answer could carry.
    return value


def pick(value, shape):
    """The fields of `shape` out of a parsed object, in its order; others are dropped."""
    if type(value) is not tuple:
        raise Unfit("must be an object")
    names, given = [name for name, _ in value], dict(value)
    for name, kind in shape.items():
        if type(kind) is dict:
            given[name] = pick(given.get(name), kind)
        elif names.count(name) != 1 or not FITS[kind](given[name]):
            raise Unfit(f"{name}: must be given once, as {kind.__name__}")
    return {name: given[name] for name in shape}


def verify(authorization, secret):
    """The user whom `Bearer <JWT>` names, else ValueError."""
    token = BEARER.fullmatch(authorization.strip())
    if not token:
        raise ValueError("no bearer token")
    signed, signature = token[1].encode(), token[2].encode()
    expected = urlsafe_b64encode(hmac.digest(secret, signed, "sha256")).rstrip(b"=")
    if not hmac.compare_digest(signature, expected):
        raise ValueError("bad signature")
    header, claims = (parse(urlsafe_b64decode(part + b"==")) for part in signed.split(b"."))
    user = pick(claims, {"sub": str, "name": str})
    times = pick(claims, {name: float for name in ("exp", "nbf", "iat") if name in dict(claims)})
    if pick(header, {"alg": str}) != {"alg": "HS256"} or not all(user.values()):
        raise ValueError("another algorithm, or an empty claim")
    if not times.get("nbf", -math.inf) <= time.time() < times.get("exp", math.inf):
        raise ValueError("not valid now")
    return {"id": user["sub"], "name": user["name"]}


class Pool:
    """At most `size` connections, opened on demand, the last one returned lent first."""

    def __init__(self, size, connect):
        self.connect, self.slots = connect, queue.LifoQueue()
        for _ in range(size):
            self.slots.put(None)

    def run(self, exchange):
        """What `exchange` makes of a connection. If a kept one has gone stale, a new one tries once more."""
        connection = self.slots.get(timeout=WAIT_MAX_S)
        try:
            if connection:
                try:
                    return exchange(connection)
                except ConnectionError:
                    connection.close()
            connection = None
            connection = self.connect()
            return exchange(connection)
        except postgres.Error:
            raise  # An answer like any other: the connection is in order.
        except Exception:
            if connection:
                connection.close()
            connection = None
            raise
        finally:
            self.slots.put(connection)


class Handler(BaseHTTPRequestHandler):
    """One connection: http.server parses its requests, `answer` answers each of them."""

    protocol_version = "HTTP/1.1"
    timeout = 75
    # Head and body leave in one write, at once: the second of two could wait 40 ms for a delayed ACK.
    wbufsize = -1
    disable_nagle_algorithm = True
    error_content_type, error_message_format = "application/json", '{"error":"bad request"}'

    def answer(self):
        self.unread = 0
        try:
            self.unread = self.body_length()
            status, value, headers = self.route()
        except Refused as refused:
            status, value, headers = refused.answer
            if status >= 500:
                sys.stderr.write(f"{status}: {refused.__cause__!r}\n")
        except OSError:
            raise  # The client has gone.
        except Exception:
            traceback.print_exc()
            status, value, headers = 500, {"error": "internal error"}, {}
        if self.unread > BODY_MAX_BYTES:
            headers["Connection"] = "close"
        body = encode(value)
        headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        self.send_response(status)
        for header in headers.items():
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)
        self.wfile.flush()
        # Left unread, a refused body would pass for the next request, or reset the connection.
        self.rfile.read(min(self.unread, 16 * BODY_MAX_BYTES))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def log_message(self, *_):
        """Nothing is logged per request."""

    def route(self):
        path = self.path.partition("?")[0]
        if path not in self.routes:
            raise Refused(404, "not found")
        allowed, endpoint = self.routes[path]
        if self.command not in allowed.split(", "):
            raise Refused(405, "method not allowed", {"Allow": allowed})
        return endpoint(self)

    def info(self):
        info = {"id": "info-1", "name": "Benchmark Info", "count": 42, "ratio": 3.14159, "active": True,
                "tags": ["alpha", "beta", "gamma"], "createdAt": "2026-01-01T00:00:00Z",
                "nested": {"level": 2, "label": "nested"}}
        return 200, info, {"x-response-id": str(uuid.uuid4())}

    def add_movie(self):
        user = self.user()
        try:
            movie = pick(parse(self.body()), NEW_MOVIE)
        except Unfit as misfit:
            raise Refused(422, "invalid body", detail=str(misfit)) from None
        except ValueError:
            raise Refused(400, "malformed body") from None
        return 201, {**movie, "id": str(uuid.uuid4()), "user": user}, {}

    def catalog(self):
        try:
            return 200, self.server.upstream.run(self.server.fetch_product), {}
        except (TimeoutError, queue.Empty) as cause:
            raise Refused(504, "upstream timeout") from cause
        except (OSError, HTTPException, ValueError) as cause:
            raise Refused(502, "upstream unavailable") from cause

    def profile(self):
        sub = self.user()["id"]
        if "\0" in sub:
            raise Refused(404, "user not found")  # Postgres would refuse the text as such.
        try:
            rows = self.server.database.run(lambda connection: connection.query(SELECT_USER, sub))
        except (postgres.Error, OSError, queue.Empty) as cause:
            raise Refused(503, "database unavailable", {"Retry-After": "1"}) from cause
        if not rows:
            raise Refused(404, "user not found")
        return 200, rows[0], {}

    routes = {
        "/info": ("GET, HEAD", info),
        "/movies": ("POST", add_movie),
        "/catalog": ("GET, HEAD", catalog),
        "/proxy": ("GET, HEAD", catalog),
        "/users/me": ("GET, HEAD", profile),
    }

    def user(self):
        try:
            (authorization,) = self.headers.get_all("Authorization", [])
            return verify(authorization, self.server.secret)
        except ValueError:
            raise Refused(401, "invalid token", {"WWW-Authenticate": "Bearer"}) from None

    def body_length(self):
        lengths = self.headers.get_all("Content-Length", ["0"])
        # http.server decodes no chunks, and a body of unknown length leaves no way to the next request.
        if "Transfer-Encoding" in self.headers or len(lengths) > 1 or not re.fullmatch(r"\d{1,18}", lengths[0]):
            raise Refused(411, "length required", {"Connection": "close"})
        return int(lengths[0])

    def body(self):
        if self.headers.get_content_type() != "application/json":
            raise Refused(415, "unsupported media type")
        if self.unread > BODY_MAX_BYTES:
            raise Refused(413, "body too large")
        self.wfile.flush()  # "100 Continue" may be waiting there.
        length, self.unread = self.unread, 0
        return self.rfile.read(length)


def setting(name, convert=str, default=None):
    """A variable's value; one that is missing, empty or invalid ends the start with a line that names it."""
    text = os.environ.get(name, default)
    try:
        if text:
            return convert(text)
    except ValueError:
        pass
    print(f"{name} is {'invalid' if text else 'missing or empty'}", file=sys.stderr)
    sys.exit(2)


class Contender(ThreadingHTTPServer):
    """The listener, and what its connections share."""

    request_queue_size = 1024
    daemon_threads = True

    def __init__(self):
        self.secret = setting("JWT_SECRET").encode()
        url, key = setting("UPSTREAM_URL", urlsplit), setting("UPSTREAM_API_KEY")
        self.call = "GET", url.path.rstrip("/") + "/data", None, {"Authorization": f"Bearer {key}"}
        self.upstream = Pool(
            setting("UPSTREAM_POOL_SIZE", int, "64"),
            lambda: HTTPConnection(url.hostname, url.port, timeout=WAIT_MAX_S),
        )
        session = setting("DB_HOST"), setting("DB_PORT", int), *map(setting, ("DB_NAME", "DB_USER", "DB_PASSWORD"))
        self.database = Pool(setting("DB_POOL_SIZE", int, "64"), lambda: postgres.Connection(*session))
        super().__init__((setting("HOST", default="0.0.0.0"), setting("PORT", int, "8000")), Handler)

    def fetch_product(self, connection):
        connection.request(*self.call)
        response = connection.getresponse()
        body = response.read(UPSTREAM_BODY_MAX_BYTES + 1)
        if response.status != 200 or len(body) > UPSTREAM_BODY_MAX_BYTES:
            raise ValueError(f"status {response.status} and {len(body)} bytes from the upstream")
        return pick(parse(body), PRODUCT)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


if __name__ == "__main__":
    for stop in (signal.SIGTERM, signal.SIGINT):
        # At once: nothing outlives a request, and sys.exit could meet threads that still print.
        signal.signal(stop, lambda *_: os._exit(0))
    Contender().serve_forever()
