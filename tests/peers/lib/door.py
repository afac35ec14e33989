"""A pass-through that adds a credential, for a client that cannot send one.

The bytes go through unread, with three exceptions in the head of a request: it adds
`Authorization`, it asks to close after the answer (so that each connection is one request),
and it puts the real server's address where `Host` and `Origin` name the door's.
"""

import asyncio
import threading


class Door:
    """Listens on a free port while the `with` block lives."""

    def __init__(self, port, bearer=None):
        self.target, self.bearer = port, bearer

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self.thread.start()
        ready.wait()
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    def _run(self, ready):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self._carry, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self.loop.run_forever()

    def _head(self, head):
        first, *rest = head.decode("latin-1").split("\r\n")
        lines = [first]
        for line in filter(None, rest):
            name, _, value = line.partition(":")
            kind = name.lower()
            if kind == "connection" or (kind == "authorization" and self.bearer):
                continue
            if kind in ("host", "origin"):
                value = value.replace(f":{self.port}", f":{self.target}")
            lines.append(f"{name}:{value}")
        lines.append("Connection: close")
        if self.bearer:
            lines.append(f"Authorization: Bearer {self.bearer}")
        return "\r\n".join(lines + ["", ""]).encode("latin-1")

    async def _carry(self, reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.close()
            return
        to_writer.write(self._head(head))
        # Whoever leaves first takes the other along: a closed stream means cancel.
        ways = [asyncio.create_task(self._pipe(reader, to_writer)), asyncio.create_task(self._pipe(to_reader, writer))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for side in (writer, to_writer):
            side.close()

    @staticmethod
    async def _pipe(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
