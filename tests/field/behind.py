"""A domain's world behind the definitions of its tools, as an MCP server wants it."""

import copy

import mcp_types as t
from kit import ToolError, text_of


def loosened(schema):
    """A world is smaller than the server: no field of an output is required."""
    if isinstance(schema, list):
        return [loosened(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: loosened(part) for name, part in schema.items() if name != "required" or not isinstance(part, list)}


class Behind:
    """The world may be exchanged between runs; the definitions stay."""

    def __init__(self, definitions):
        self.world = None
        self.listed = [t.Tool.model_validate(definition) for definition in definitions]
        for tool in self.listed:
            tool.output_schema = tool.output_schema and {**loosened(tool.output_schema), "type": "object"}
        self.outputs = {tool.name: tool.output_schema for tool in self.listed if tool.output_schema}

    def tools(self):
        return self.listed

    def call(self, name, arguments):
        try:
            value = self.world.call(name, copy.deepcopy(arguments))
        except ToolError as error:
            return t.CallToolResult(content=[t.TextContent(type="text", text=str(error))], is_error=True)
        content = [t.TextContent(type="text", text=text_of(value))]
        schema = self.outputs.get(name)
        if schema is None:
            return t.CallToolResult(content=content)
        # What is no object stands under one name, as the SDKs do it; of some servers that is JSON as text.
        if isinstance(value, dict) and not schema.get("x-fastmcp-wrap-result"):
            return t.CallToolResult(content=content, structured_content=value)
        is_text = schema.get("properties", {}).get("result", {}).get("type") == "string"
        return t.CallToolResult(content=content, structured_content={"result": text_of(value) if is_text else value})
