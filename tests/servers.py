"""A mail server and a web server on this machine that keep what they are sent, for tests of messages."""

from __future__ import annotations

import base64
import datetime
import http.server
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class MailServer(socketserver.ThreadingTCPServer):
    """Speaks as much SMTP (RFC 5321, 3207, 4954) as a client needs to hand over a message."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, tls: ssl.SSLContext | None = None, refuse: str = "", slow: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), _Mail)
        self.tls, self.refuse, self.slow = tls, refuse, slow
        self.mails: list[dict[str, Any]] = []


class _Mail(socketserver.StreamRequestHandler):
    server: MailServer

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())
        self.wfile.flush()

    def finish(self) -> None:
        super().finish()
        self.connection.close()  # the server knows the socket below, not the one that TLS made of it

    def handle(self) -> None:
        time.sleep(self.server.slow)
        self.say("220 test ESMTP")
        mail: dict[str, Any] = {"to": [], "user": None, "tls": False}
        while line := self.rfile.readline():
            words = line.decode().strip()
            verb = words.upper().split(" ")[0]
            if verb == "EHLO":
                offers = ["250-test", "250-AUTH PLAIN"]
                offers += ["250-STARTTLS"] if self.server.tls and not mail["tls"] else []
                self.wfile.write("".join(f"{offer}\r\n" for offer in offers).encode())
                self.say("250 8BITMIME")
            elif verb == "STARTTLS" and self.server.tls:
                self.say("220 go ahead")
                try:
                    self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
                except ssl.SSLError:
                    return
                self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb")
                mail["tls"] = True
            elif verb == "AUTH":
                _, user, password = base64.b64decode(words.split(" ")[2]).decode().split("\0")
                mail["user"] = user
                self.say("235 welcome" if password == "open sesame" else "535 no: secret words")
            elif verb == "RCPT":
                refused = bool(self.server.refuse) and self.server.refuse in words
                self.say("550 no such person: secret words" if refused else "250 ok")
                mail["to"] += [] if refused else [words.split("<")[1].rstrip(">")]
            elif verb == "DATA":
                self.say("354 go on")
                text = b""
                while (part := self.rfile.readline()) != b".\r\n":
                    text += part
                self.server.mails.append(mail | {"text": text.decode()})
                self.say("250 kept")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")


class WebServer(http.server.ThreadingHTTPServer):
    """Keeps what is posted, and answers with one code."""

    def __init__(self, code: int = 204, slow: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), _Web)
        self.code, self.slow = code, slow
        self.posts: list[tuple[dict[str, str], bytes]] = []


class _Web(http.server.BaseHTTPRequestHandler):
    server: WebServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.server.slow)
        self.server.posts.append((dict(self.headers), body))
        self.send_response(self.server.code, "secret words")
        self.send_header("Location", f"http://127.0.0.1:{self.server.server_address[1]}/elsewhere")
        self.end_headers()

    def do_GET(self) -> None:
        self.server.posts.append(({}, b"GET"))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def running(server: Any) -> Iterator[Any]:
    """Serve meanwhile."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def certificate(folder: Path) -> Path:
    """A key and a certificate of this machine, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "localhost.pem"
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*plain) + made.public_bytes(serialization.Encoding.PEM))
    return path
