"""A tiny PostgreSQL client: one connection, one query at a time, by the extended query protocol.

It speaks as much of https://www.postgresql.org/docs/current/protocol.html as the contender needs: trust,
cleartext and SCRAM-SHA-256 authentication, parameters and results as text, no TLS.
"""

import hashlib
import hmac
import re
import secrets
import socket
from base64 import b64decode, b64encode
from struct import pack, unpack, unpack_from

STATEMENT_TIMEOUT_S = 5
# The server ends a slow statement by itself; the socket's timeout is for a server that hangs.
SOCKET_TIMEOUT_S = STATEMENT_TIMEOUT_S + 1

TRUST, CLEARTEXT, SASL = 0, 3, 10


class Error(Exception):
    """The server's ErrorResponse: `code` is the SQLSTATE. The connection it came from can be used again."""

    def __init__(self, body):
        fields = {field[:1]: field[1:].decode(errors="replace") for field in body.split(b"\0")}
        self.code = fields[b"C"]
        super().__init__(f"{fields[b'M']} (SQLSTATE {self.code})")


class Connection:
    """A session ready for queries. After any exception but Error it is broken and of no further use."""

    def __init__(self, host, port, database, user, password):
        self.socket = socket.create_connection((host, port), SOCKET_TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.socket.makefile("rb")
        settings = ("user", user, "database", database, "client_encoding", "UTF8",
                    "statement_timeout", f"{STATEMENT_TIMEOUT_S}s")
        try:
            self.socket.sendall(message(b"", pack("!HH", 3, 0) + b"".join(map(string, settings)) + b"\0"))
            (method,) = unpack_from("!I", self.await_message(b"R"))
            if method == CLEARTEXT:
                self.socket.sendall(message(b"p", string(password)))
            elif method == SASL:
                self.authenticate_by_scram(password)
            elif method != TRUST:
                raise ConnectionError(f"authentication method {method} is not supported")
            self.await_message(b"Z")
        except Exception:
            self.close()
            raise

    def close(self):
        self.reader.close()
        self.socket.close()

    def query(self, sql, *parameters):
        """The rows of one statement as dicts by column; $1, $2, ... are bound to the texts `parameters`."""
        values = [parameter.encode() for parameter in parameters]
        bound = b"".join(pack("!I", len(value)) + value for value in values)
        self.socket.sendall(
            message(b"P", b"\0" + string(sql) + pack("!H", 0))
            + message(b"B", b"\0\0" + pack("!HH", 0, len(values)) + bound + pack("!H", 0))
            + message(b"D", b"P\0")
            + message(b"E", b"\0" + pack("!I", 0))
            + message(b"S")
        )
        columns, rows, error = [], [], None
        kind = b""
        while kind != b"Z":
            kind, body = self.receive()
            if kind == b"T":
                # A name ends with a zero byte; 18 bytes about origin, type and format follow it.
                columns = [name.decode() for name in re.findall(rb"(?s)([^\0]*)\0.{18}", body[2:])]
            elif kind == b"D":
                rows.append(dict(zip(columns, row_values(body))))
            elif kind == b"E":
                error = Error(body)
        if error:
            raise error
        return rows

    def authenticate_by_scram(self, password):
        """SCRAM-SHA-256 (RFC 5802, RFC 7677). Its user name is empty: the start-up message has named the user."""
        nonce = b64encode(secrets.token_bytes(18)).decode()
        client_first = f"n=,r={nonce}"
        opening = f"n,,{client_first}".encode()
        self.socket.sendall(message(b"p", string("SCRAM-SHA-256") + pack("!I", len(opening)) + opening))

        server_first = self.await_message(b"R")[4:].decode()
        given = dict(attribute.split("=", 1) for attribute in server_first.split(","))
        if not given["r"].startswith(nonce):
            raise ConnectionError("the server answered with another nonce")

        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), b64decode(given["s"]), int(given["i"]))
        client_final = f"c=biws,r={given['r']}"
        signed = f"{client_first},{server_first},{client_final}".encode()
        client_key = sign(salted, b"Client Key")
        signature = sign(hashlib.sha256(client_key).digest(), signed)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self.socket.sendall(message(b"p", f"{client_final},p={b64encode(proof).decode()}".encode()))

        verifier = b"v=" + b64encode(sign(sign(salted, b"Server Key"), signed))
        if not hmac.compare_digest(self.await_message(b"R")[4:], verifier):
            raise ConnectionError("the server does not know the password itself")

    def await_message(self, awaited):
        """The body of the next message of this kind; settings and notices before it are passed over."""
        while True:
            kind, body = self.receive()
            if kind == b"E":
                raise Error(body)
            if kind == awaited:
                return body

    def receive(self):
        kind, length = unpack("!cI", self.read(5))
        return kind, self.read(length - 4)

    def read(self, size):
        data = self.reader.read(size)
        if len(data) < size:
            raise ConnectionResetError("the server closed the connection")
        return data


def message(kind, body=b""):
    return kind + pack("!I", 4 + len(body)) + body


def string(text):
    return text.encode() + b"\0"


def sign(key, data):
    return hmac.digest(key, data, "sha256")


def row_values(body):
    at = 2
    while at < len(body):
        (length,) = unpack_from("!i", body, at)
        at += 4
        # NULL has the length -1 and no bytes.
        yield None if length < 0 else body[at : at + length].decode()
        at += max(length, 0)
