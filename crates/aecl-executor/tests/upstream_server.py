"""A tiny MCP server on stdin and stdout, with every bad habit a real one may have.

Usage: upstream_server.py [legacy|modern|deaf] [journal]
The tools named below misbehave; each tool call that takes effect appends a line to the journal.
"""
import json, os, sys, threading, time

ERA = sys.argv[1] if len(sys.argv) > 1 else "legacy"
JOURNAL = sys.argv[2] if len(sys.argv) > 2 else None
OUT = threading.Lock()
TOOLS = ["echo", "slow", "die", "die_after", "twice", "garbage", "broken", "refuse", "fail", "long", "ask",
         "progress", "more_tools", "environment", "wide", "strange_id"]
EXTRA = []
ANSWERS = {}


def raw(text):
    with OUT:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def send(message):
    raw(json.dumps(message, separators=(",", ":")))


def journal(text):
    if JOURNAL:
        with open(JOURNAL, "a") as file:
            file.write(text + "\n")


def result(id, value):
    send({"jsonrpc": "2.0", "id": id, "result": value})


def text(value, error=False):
    return {"content": [{"type": "text", "text": value}], "isError": error}


def definition(name):
    return {"name": name, "description": "does " + name, "inputSchema": {"type": "object"}}


def call(id, name, arguments, meta):
    if name not in ("refuse", "die"):
        journal(name)
    if name == "echo":
        # By hand: numbers and spacing must come back as they are.
        raw('{"jsonrpc":"2.0","id":%s,"result":{ "content":[],  "big":12345678901234567890123, "one":1.0, "got":%s}}'
            % (json.dumps(id), json.dumps({"arguments": arguments, "meta": meta})))
    elif name == "slow":
        time.sleep(arguments.get("s", 30))
        result(id, text("slept"))
    elif name in ("die", "die_after"):
        os._exit(3)
    elif name == "twice":
        result(id, text("first"))
        result(id, text("second"))
    elif name == "garbage":
        raw("this is a log line that went to the wrong place")
        raw('{"jsonrpc":"2.0","id":"aecl-1","id":"aecl-2","result":{}}')
        result(id, text("after garbage"))
    elif name == "broken":
        send({"jsonrpc": "2.0", "id": id})
    elif name == "refuse":
        send({"jsonrpc": "2.0", "id": id, "error": {"code": -32602, "message": "no", "data": {"x": 1}}})
    elif name == "fail":
        result(id, text("the bank said no", error=True))
    elif name == "long":
        raw("x" * arguments.get("bytes", 100000))
    elif name == "deep":
        nested = "[" * arguments["levels"] + "]" * arguments["levels"]
        if arguments.get("unasked"):
            raw('{"jsonrpc":"2.0","method":"notifications/message","params":{"data":%s}}' % nested)
            raw('{"jsonrpc":"2.0","id":"srv-9","method":"sampling/createMessage","params":{"q":%s}}' % nested)
            result(id, text("said"))
        else:
            member = "error" if arguments.get("fails") else "result"
            raw('{"jsonrpc":"2.0","id":%s,"%s":{"code":1,"message":"x","data":%s}}' % (json.dumps(id), member, nested))
    elif name == "wide":
        result(id, text("y" * arguments.get("bytes", 100000)))
    elif name == "ask":
        ANSWERS.pop("srv-1", None)
        send({"jsonrpc": "2.0", "id": "srv-1", "method": "sampling/createMessage", "params": {"q": 1}})
        deadline = time.time() + 5
        while "srv-1" not in ANSWERS and time.time() < deadline:
            time.sleep(0.01)
        result(id, text(json.dumps(ANSWERS.get("srv-1"))))
    elif name == "progress":
        for token in (meta.get("progressToken"), "a token of nobody"):
            send({"jsonrpc": "2.0", "method": "notifications/progress",
                  "params": {"progressToken": token, "progress": 1}})
        result(id, text("done"))
    elif name == "more_tools":
        EXTRA.append("new_tool")
        send({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
        result(id, text("changed"))
    elif name == "grow":
        EXTRA.extend("t%d" % i for i in range(arguments["by"]))
        send({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
        result(id, text("grown"))
    elif name == "environment":
        result(id, text(json.dumps(dict(os.environ))))
    elif name == "strange_id":
        result("aecl-999999", text("nobody asked"))
        result(12, text("nobody asked"))
        result(id, text("ok"))
    else:
        send({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no such tool"}})


def handle(message):
    id, method, params = message.get("id"), message.get("method"), message.get("params") or {}
    if method is None:
        ANSWERS[id] = message.get("result", message.get("error"))
    elif method == "initialize" and ERA != "modern":
        journal("initialize " + params["protocolVersion"])
        result(id, {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {"listChanged": True}},
                    "serverInfo": {"name": "tiny", "version": "1"}, "extra": params["capabilities"]})
    elif method == "server/discover" and ERA == "modern":
        result(id, {"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {},
                    "ttlMs": 0, "cacheScope": "private"})
    elif method == "server/discover" and ERA == "deaf":
        pass
    elif method == "tools/list":
        names, length = TOOLS + EXTRA, 5 if len(EXTRA) < 100 else 500
        start = int(params.get("cursor", "0"))
        page = {"tools": [definition(name) for name in names[start:start + length]]}
        if start + length < len(names):
            page["nextCursor"] = str(start + length)
        result(id, page)
    elif method == "tools/call":
        arguments, meta = params.get("arguments", {}), params.get("_meta", {})
        threading.Thread(target=call, args=(id, params["name"], arguments, meta), daemon=True).start()
    elif method == "resources/read":
        result(id, {"contents": [], "params": params})
    elif method == "notifications/cancelled":
        journal("cancelled " + params["requestId"])
    elif id is not None:
        send({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "unknown method"}})


print("tiny server is up", file=sys.stderr)
for line in sys.stdin:
    handle(json.loads(line))
