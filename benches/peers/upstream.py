"""A small MCP server with one tool that reads: `upstream.py stdio`, or `upstream.py http`, which says its port."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOOL = {
    "name": "get_order",
    "description": "Reads an order.",
    "inputSchema": {"type": "object", "properties": {"order": {"type": "string"}, "amount": {"type": "integer"}}},
    "annotations": {"readOnlyHint": True},
}
STATELESS = "2026-07-28"


def answer(asked):
    method = asked.get("method")
    kept = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    if method == "initialize":
        return {
            "protocolVersion": asked["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "tiny", "version": "1"},
        }
    if method == "server/discover":
        return {**kept, "supportedVersions": [STATELESS], "capabilities": {"tools": {}}}
    if method == "tools/list":
        return {**kept, "tools": [TOOL]}
    if method == "tools/call":
        return {"resultType": "complete", "content": [{"type": "text", "text": "paid"}]}
    return {}


def reply(asked):
    return json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": answer(asked)})


def stdio():
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" in asked:
            sys.stdout.write(reply(asked) + "\n")
            sys.stdout.flush()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = reply(asked).encode() if "id" in asked else b""
        self.send_response(200 if body else 202)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.send_error(405)

    def log_message(self, *_):
        pass


def http():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    {"stdio": stdio, "http": http}[sys.argv[1]]()
