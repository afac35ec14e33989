"""A plain client: one socket, one request after the other, answers with a `Content-Length`."""

import json
import selectors
import socket


class Wire:
    def __init__(self, address, key=None):
        self.address, self.key = address, key
        self.socket, self.rest = None, b""

    def request(self, method, path, body=None, more=()):
        """The bytes of a request, which can be sent as often as one likes."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.address}"]
        if self.key:
            lines.append(f"Authorization: Bearer {self.key}")
        text = b"" if body is None else json.dumps(body).encode()
        lines += ["Content-Type: application/json", f"Content-Length: {len(text)}", *more]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + text

    def send(self, request):
        if self.socket is None:
            host, port = self.address.rsplit(":", 1)
            self.socket = socket.create_connection((host, int(port)), timeout=60)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.rest = b""
        self.socket.sendall(request)

    def receive(self):
        while (answer := self.taken()) is None:
            if not self.more():
                raise ConnectionError(f"{self.address} closed the connection before its answer")
        return answer

    def more(self):
        some = self.socket.recv(1 << 16)
        self.rest += some
        return bool(some)

    def taken(self):
        """One whole answer, once it is there."""
        end = self.rest.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = self.rest[:end].decode("latin-1")
        length, closes = 0, head.startswith("HTTP/1.0")
        for line in head.split("\r\n")[1:]:
            name, _, value = line.partition(":")
            if name.lower() == "content-length":
                length = int(value)
            elif name.lower() == "connection":
                closes = value.strip().lower() == "close"
        if len(self.rest) < end + 4 + length:
            return None
        body, self.rest = self.rest[end + 4 : end + 4 + length], self.rest[end + 4 + length :]
        if closes:
            self.close()
        return int(head.split(" ", 2)[1]), body

    def ask(self, request):
        self.send(request)
        return self.receive()

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None


def at_once(wires, talks):
    """Each connection has its own talk: a generator of requests, which is given each answer."""
    with selectors.DefaultSelector() as ready:
        for wire, talk in zip(wires, talks):
            wire.send(next(talk))
            ready.register(wire.socket, selectors.EVENT_READ, (wire, talk))
        left = len(wires)
        while left:
            for key, _ in ready.select(60) or stuck():
                wire, talk = key.data
                if not wire.more():
                    raise ConnectionError(f"{wire.address} closed a connection that was in use")
                while (answer := wire.taken()) is not None:
                    try:
                        wire.send(talk.send(answer))
                    except StopIteration:
                        ready.unregister(wire.socket)
                        left -= 1
                        break


def stuck():
    raise TimeoutError("nobody has answered for a minute")
