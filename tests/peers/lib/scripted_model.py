"""A model that says what a script says, in the three dialects of coding agents: Anthropic Messages, OpenAI Responses and
Gemini, each as a stream. Nothing of it is random, so what a client does is what the client does.

A script is a list of steps: `("tool", name, input)` calls a tool, `("say", text)` ends the turn, and a function is called
before the step behind it, when the client has come so far. What the client sends
back about its tools is kept in `heard`, so that a test can say what the model was told.
"""

import http.server
import json
import threading


class ScriptedModel:
    """Server on a port of its own. `play` begins a new script."""

    def __init__(self):
        self.steps, self.heard, self.tools = [], [], []
        self.lock = threading.Lock()
        model = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.answer(b"{}", "application/json")

            do_HEAD = do_GET

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                try:
                    asked = json.loads(body or b"{}")
                except ValueError:
                    asked = {}
                path = self.path.split("?")[0]
                if path.endswith("/count_tokens") or path.endswith(":countTokens"):
                    self.answer(b'{"input_tokens": 1, "totalTokens": 1}', "application/json")
                elif path.endswith("/messages"):
                    self.stream(model.anthropic(asked))
                elif path.endswith("/responses"):
                    self.stream(model.openai(asked))
                elif "streamGenerateContent" in path:
                    self.stream(model.gemini(asked))
                elif path.endswith(":generateContent"):
                    self.answer(json.dumps(model.gemini_whole(asked)).encode(), "application/json")
                else:
                    self.answer(b"{}", "application/json")

            def stream(self, events):
                lines = [
                    (f"event: {name}\n" if name else "") + f"data: {json.dumps(data)}\n\n" for name, data in events
                ]
                self.answer("".join(lines).encode(), "text/event-stream")

            def answer(self, body, kind):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def play(self, *steps):
        with self.lock:
            self.steps, self.heard = list(steps), []

    def next(self, has_tools):
        """Next step. Requests without tools are the client's own errands (titles, summaries)."""
        with self.lock:
            if not has_tools:
                return ("say", "{}")
            while self.steps and callable(self.steps[0]):
                self.steps.pop(0)()
            return self.steps.pop(0) if self.steps else ("say", "done")

    def hear(self, call, text):
        with self.lock:
            if (call, text) not in self.heard:
                self.heard.append((call, text))

    def told(self):
        """All that the model was told about its calls, as one text."""
        with self.lock:
            return "\n".join(text for _, text in self.heard)

    def anthropic(self, asked):
        for message in asked.get("messages", []):
            for part in message["content"] if isinstance(message["content"], list) else []:
                if part.get("type") == "tool_result":
                    self.hear(part.get("tool_use_id"), flat(part.get("content")))
        self.tools = [tool.get("name") for tool in asked.get("tools", [])] or self.tools
        step = self.next(bool(asked.get("tools")))
        usage = {"input_tokens": 1, "output_tokens": 1}
        start = {"id": "msg_1", "type": "message", "role": "assistant", "model": asked.get("model"), "content": []}
        yield "message_start", {"type": "message_start", "message": {**start, "usage": usage, "stop_reason": None}}
        if step[0] == "tool":
            block = {"type": "tool_use", "id": f"toolu_{len(self.heard):02}", "name": step[1], "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(step[2])}
        else:
            block, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": step[1]}
        yield "content_block_start", {"type": "content_block_start", "index": 0, "content_block": block}
        yield "content_block_delta", {"type": "content_block_delta", "index": 0, "delta": delta}
        yield "content_block_stop", {"type": "content_block_stop", "index": 0}
        why = "tool_use" if step[0] == "tool" else "end_turn"
        yield "message_delta", {"type": "message_delta", "delta": {"stop_reason": why}, "usage": usage}
        yield "message_stop", {"type": "message_stop"}

    def openai(self, asked):
        for item in asked.get("input", []) if isinstance(asked.get("input"), list) else []:
            if str(item.get("type", "")).endswith("_call_output"):
                self.hear(item.get("call_id"), flat(item.get("output")))
        self.tools = [tool.get("name") or tool.get("type") for tool in asked.get("tools", [])] or self.tools
        more = [tool for item in asked.get("input", []) if isinstance(item, dict) for tool in item.get("tools", [])]
        self.tools = [tool.get("name") or tool.get("type") for tool in more] or self.tools
        step = self.next(bool(asked.get("tools") or more))
        if step[0] == "tool":
            item = {"type": "function_call", "call_id": f"call_{len(self.heard):02}", "name": step[1]}
            if step[1].startswith("mcp__"):
                _, server, name = step[1].split("__", 2)
                item |= {"name": name, "namespace": f"mcp__{server}"}
            if isinstance(step[2], str):
                item |= {"type": "custom_tool_call", "input": step[2]}
            else:
                item |= {"arguments": json.dumps(step[2])}
        else:
            item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": step[1]}]}
        usage = {"input_tokens": 1, "input_tokens_details": None, "output_tokens": 1, "total_tokens": 2}
        yield "response.created", {"type": "response.created", "response": {"id": "resp_1"}}
        yield "response.output_item.done", {"type": "response.output_item.done", "output_index": 0, "item": item}
        done = {"id": "resp_1", "usage": usage | {"output_tokens_details": None}}
        yield "response.completed", {"type": "response.completed", "response": done}

    def gemini_whole(self, asked):
        for content in asked.get("contents", []):
            for part in content.get("parts", []):
                if answered := part.get("functionResponse"):
                    self.hear(answered.get("id"), flat(answered.get("response")))
        declared = [f for tool in asked.get("tools", []) for f in tool.get("functionDeclarations", [])]
        self.tools = [one.get("name") for one in declared] or self.tools
        step = self.next(bool(declared))
        if step[0] == "tool":
            part = {"functionCall": {"name": step[1], "args": step[2]}}
        else:
            part = {"text": step[1]}
        content = {"role": "model", "parts": [part]}
        return {
            "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
        }

    def gemini(self, asked):
        yield "", self.gemini_whole(asked)


def flat(value):
    """Text of what a client says about a tool, whatever its shape."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
