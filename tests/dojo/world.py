"""A suite of AgentDojo as an MCP server on the official SDK.

The suite's own functions do the work on an environment that the measurement exchanges between runs.
Names, descriptions and schemas are the suite's; results are structured as the SDK's own decorator
would do it: an object as it is, anything else under `result`.
"""

import mcp_types as t
import yaml
from agentdojo.functions_runtime import FunctionsRuntime
from agentdojo.task_suite.load_suites import get_suite
from pydantic import TypeAdapter

BENCHMARK = "v1.2.2"

# The parser of libyaml gives the same environments ten times as fast.
yaml.safe_load = lambda text: yaml.load(text, Loader=yaml.CSafeLoader)


class World:
    """One suite, and the environment in which its functions act now."""

    def __init__(self, name):
        self.suite = get_suite(BENCHMARK, name)
        self.runtime = FunctionsRuntime(self.suite.tools)
        self.environment = None
        self.returns = {tool.name: TypeAdapter(tool.return_type) for tool in self.suite.tools}

    def tools(self):
        return [
            t.Tool(
                name=tool.name,
                description=tool.description,
                input_schema=tool.parameters.model_json_schema() | {"type": "object"},
                output_schema=wrapped_schema(self.returns[tool.name].json_schema()),
            )
            for tool in self.suite.tools
        ]

    def call(self, name, arguments):
        value, error = self.runtime.run_function(self.environment, name, arguments)
        if error:
            return t.CallToolResult(content=[t.TextContent(type="text", text=error)], is_error=True)
        adapter = self.returns[name]
        plain = adapter.dump_python(value, mode="json", warnings=False)
        text = value if isinstance(value, str) else adapter.dump_json(value, indent=2, warnings=False).decode()
        structured = plain if isinstance(plain, dict) else {"result": plain}
        return t.CallToolResult(content=[t.TextContent(type="text", text=text)], structured_content=structured)


def wrapped_schema(schema):
    if schema.get("type") == "object":
        return schema
    inner = {key: value for key, value in schema.items() if key != "$defs"}
    wrapped = {"type": "object", "properties": {"result": inner}, "required": ["result"]}
    if "$defs" in schema:
        wrapped["$defs"] = schema["$defs"]
    return wrapped
