"""Stands in for Firecracker and for the agent in its machine: serves the API socket, writes down what it is
asked, and then says what the agent would. FAULT says where it goes wrong, RECORD where it writes. The line
above this file names them; `tests/firecracker.rs` puts it there."""

import json
import os
import socket
import struct
import sys
import threading
import time

KINDS = ["hello", "order", "order_end", "input", "input_end", "stdout", "stderr", "report", "left", "content", "bye",
         "open", "data", "shut", "taken", "close"]
api_path = sys.argv[sys.argv.index("--api-sock") + 1]
fault, _, step = FAULT.partition(" ")
asked = []
vsock_path = None
attempts = 0


def write_down(entry):
    asked.append(entry)
    with open(RECORD, "w") as file:
        json.dump({"arguments": sys.argv[1:], "uid": os.getuid(), "capabilities": capabilities(), "stdin": stdin(), "shown": shown(), "asked": asked}, file)


def capabilities():
    with open("/proc/self/status") as file:
        return next(line.split()[1] for line in file if line.startswith("CapEff"))


def shown():
    path = next((body["path_on_host"] for _, path, body in asked_of_drives() if path == "/drives/shown"), None)
    if path is None:
        return None
    with open(path, "rb") as disk:
        disk.seek(1024 + 56)
        kind = "ext4" if disk.read(2) == b"\x53\xef" else "no file system"
    try:
        open(path, "r+b")
        return kind
    except OSError:
        return kind + ", read-only"


def asked_of_drives():
    return [entry for entry in asked if isinstance(entry, list) and entry[1].startswith("/drives/")]


def stdin():
    return os.read(0, 1).decode()


def read_request(stream):
    head = b""
    while b"\r\n\r\n" not in head:
        more = stream.recv(4096)
        if not more:
            return None
        head += more
    head, _, body = head.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    while len(body) < length:
        body += stream.recv(4096)
    method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
    return method, path, json.loads(body)


def serve_api(listener):
    global vsock_path
    while True:
        stream, _ = listener.accept()
        request = read_request(stream)
        if request is None:
            continue
        method, path, body = request
        write_down([method, path, body])
        if path == "/vsock":
            vsock_path = body["uds_path"]
        if path == step:
            if fault == "refuse":
                words = b'{"fault_message": "no \x1b[31msuch thing"}'
                stream.sendall(b"HTTP/1.1 400 \r\nContent-Length: %d\r\n\r\n" % len(words) + words)
            elif fault == "nonsense":
                stream.sendall(b"SSH-2.0-OpenSSH\r\n")
            elif fault == "endless":
                stream.sendall(b"HTTP/1.1 200 \r\nContent-Length: 999999\r\n\r\n" + b"x" * 40000)
            elif fault == "hang":
                time.sleep(1000)
            elif fault == "die":
                print("cannot create the machine: no such device", file=sys.stderr, flush=True)
                os._exit(3)
            stream.close()
            continue
        if path == "/actions":
            line = socket.socket(socket.AF_UNIX)
            line.bind(vsock_path)
            line.listen()
            threading.Thread(target=serve_vsock, args=(line,), daemon=True).start()
        stream.sendall(b"HTTP/1.1 204 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n")


def serve_vsock(listener):
    global attempts
    while True:
        stream, _ = listener.accept()
        words = b""
        while not words.endswith(b"\n"):
            words += stream.recv(1)
        write_down(words.decode())
        attempts += 1
        if attempts < 3:
            # Nobody listens inside yet.
            stream.close()
            continue
        if fault == "connect":
            stream.sendall(b"WHAT\n" if step == "short" else b"x" * 100)
            continue
        stream.sendall(b"OK 1073741824\n")
        threading.Thread(target=agent, args=(stream,), daemon=True).start()


def number(value):
    return struct.pack("<Q", value)


def text(value):
    return number(len(value)) + value


def agent(stream):
    def say(kind, payload=b""):
        stream.sendall(struct.pack("<BI", KINDS.index(kind), len(payload)) + payload)

    def hear():
        head = b""
        while len(head) < 5:
            head += stream.recv(5 - len(head))
        kind, length = struct.unpack("<BI", head)
        payload = b""
        while len(payload) < length:
            payload += stream.recv(length - len(payload))
        return KINDS[kind], payload

    if fault == "silent":
        return time.sleep(1000)
    say("hello", number(2 if fault == "version" else 3))
    while hear()[0] != "order_end":
        pass
    if fault == "exec":
        return say("report", number(0) + text(b"exec") + number(2))
    say("report", number(1) + number(3) + number(1))
    if fault == "vanish":
        os._exit(1)
    if fault == "babble":
        return stream.sendall(b"\xff" * 100)
    if fault == "connections":
        for kind, payload in {
            "unasked": [("open", number(0))],
            "number": [("open", number(64))],
            "twice": [("open", number(1)), ("open", number(1))],
            "data": [("open", number(1)), ("data", number(2) + b"x")],
            "window": [("open", number(1))] + [("data", number(1) + b"x" * 60000)] * 2,
            "taken": [("taken", number((1 << 64) - 1) + number(1))],
            "short": [("open", b"1")],
            "reopened": [("open", number(1)), ("data", number(1) + b"x" * 60000), ("close", number(1)), ("open", number(1))],
            "shut twice": [("open", number(1)), ("shut", number(1)), ("shut", number(1))],
            "data after shut": [("open", number(1)), ("shut", number(1)), ("data", number(1) + b"x")],
        }[step]:
            say(kind, payload)
        return time.sleep(1000)
    if fault == "hangs":
        return time.sleep(1000)
    if fault == "long":
        return stream.sendall(struct.pack("<BI", KINDS.index("stdout"), 1 << 31))
    if fault == "flood":
        while True:
            say("left", number(0) + text(b"x") + number(0) + number(0o644) + number(1) + number(0))
    say("stdout", b"hello\n")
    kind, payload = hear()
    say("stderr", payload)
    say("left", number(0) + text(b"result") + number(1) + number(0o644) + number(1) + number(4))
    say("content", b"done")
    if shown():
        say("left", number(1) + text(b"gone") + number(7) + number(0o644) + number(1) + number(0))
        say("left", number(1) + text(b"dir") + number(8) + number(0o755) + number(2) + number(0))
    say("report", number(2) + number(5 << 8))
    say("report", number(3) + number(0) + number(0))
    say("bye")
    time.sleep(1000)


if fault == "missing":
    time.sleep(1000)
listener = socket.socket(socket.AF_UNIX)
listener.bind(api_path)
# The file is there before anybody listens.
time.sleep(0.1)
listener.listen()
serve_api(listener)
