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
        return t.CallToolResult(content=content, structured_content=structured(value, schema))


def structured(value, schema):
    """The value as its schema wants it: as it is, or under the one name that the schema has for what is no object."""
    fields = schema.get("properties", {})
    fits = isinstance(value, dict) and (value.keys() <= fields.keys() or schema.get("additionalProperties", True))
    if (fits and not schema.get("x-fastmcp-wrap-result")) or not fields:
        return value
    name, declared = next(iter(fields.items()))
    return {name: text_of(value) if declared.get("type") == "string" else value}
