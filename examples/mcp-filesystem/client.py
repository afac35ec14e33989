"""An MCP client of a few lines: one request a line, one answer a line.

Usage: client.py COMMAND...   reads calls from standard input, one JSON object `{"name", "arguments"}` a line,
and prints for each `done` or `error`, a tab, and the text that a model would see.
"""

import json
import subprocess
import sys

server = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
ids = iter(range(1, 1000))


def send(message):
    server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    server.stdin.flush()


def ask(method, params):
    number = next(ids)
    send({"id": number, "method": method, "params": params})
    for line in server.stdout:
        message = json.loads(line)
        if message.get("id") == number and ("result" in message or "error" in message):
            return message
    sys.exit("the server has gone")


hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "example", "version": "1"}}
ask("initialize", hello)
send({"method": "notifications/initialized"})
tools = ask("tools/list", {})["result"]["tools"]
print(f"tools\t{len(tools)}", flush=True)
for line in sys.stdin:
    answer = ask("tools/call", json.loads(line))
    result = answer.get("result", {})
    text = result.get("content", [{}])[0].get("text", "") or answer.get("error", {}).get("message", "")
    failed = "error" in answer or result.get("isError")
    print(f"{'error' if failed else 'done'}\t{text.strip()}".replace("\n", " "), flush=True)
server.stdin.close()
server.wait(timeout=20)
