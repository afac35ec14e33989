"""A world of tools as an MCP server."""

import threading
import time

import mcp_types as t
import uvicorn
from mcp.server.lowlevel import Server


class Serving:
    """An MCP server on the official SDK, over Streamable HTTP, as long as the `with` block lives. What stands behind it
    has `tools()` and `call(name, arguments)`, in the SDK's types."""

    def __init__(self, name, behind, port):
        async def list_tools(context, params):
            return t.ListToolsResult(tools=behind.tools())

        async def call_tool(context, params):
            return behind.call(params.name, params.arguments or {})

        server = Server(name, version="1", on_list_tools=list_tools, on_call_tool=call_tool)
        config = uvicorn.Config(server.streamable_http_app(), host="127.0.0.1", port=port, log_level="warning")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        end = time.monotonic() + 30
        while not self.server.started:
            if time.monotonic() > end or not self.thread.is_alive():
                raise RuntimeError("the MCP server does not start")
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        self.server.should_exit = True
        self.thread.join(10)
