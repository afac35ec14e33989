"""An MCP server that has everything the conformance suite asks for.

Built on the official Python SDK, so that what the suite says about this server is a
statement about the protocol and not about us. `conformance.py` runs the suite against it
twice: once directly, once through the gateway. The names and texts are the suite's.

Usage: conformance_server.py PORT
"""

import asyncio
import json
import sys

import mcp_types as t
import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.streamable_http import EventMessage, EventStore
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, PromptsListChanged, ToolsListChanged
from mcp.shared.exceptions import MCPError

NAME = "conformance-peer"
CLIENT_CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
LOG_LEVEL = "io.modelcontextprotocol/logLevel"
MISSING_CAPABILITY = -32021

# One red pixel and one empty sound.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="

bus = InMemorySubscriptionBus()
subscribed: set[str] = set()


# --- words for results


def text(value):
    return t.TextContent(type="text", text=value)


def done(*content):
    return t.CallToolResult(content=[text(c) if isinstance(c, str) else c for c in content])


def image():
    return t.ImageContent(type="image", data=PNG, mime_type="image/png")


def embedded(uri, mime_type, body):
    return t.EmbeddedResource(
        type="resource", resource=t.TextResourceContents(uri=uri, mime_type=mime_type, text=body)
    )


def form(message, properties, required=None):
    schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return t.ElicitRequest(params=t.ElicitRequestFormParams(message=message, requested_schema=schema))


def sampling(prompt, max_tokens=100):
    message = t.SamplingMessage(role="user", content=text(prompt))
    return t.CreateMessageRequest(params=t.CreateMessageRequestParams(messages=[message], max_tokens=max_tokens))


def ask(requests, state=None):
    return t.InputRequiredResult(input_requests=requests, request_state=state)


def answer(params, key, kind):
    """The client's answer under `key`, or None when it is absent or not of this kind."""
    got = (params.input_responses or {}).get(key)
    return got if isinstance(got, kind) else None


# --- tools of both eras


async def log(ctx, message):
    # The stateless era sends log lines only to a request that asked for a level.
    modern = ctx.protocol_version >= "2026-07-28"
    if modern and not (ctx.meta or {}).get(LOG_LEVEL):
        return
    await ctx.session.send_log_message("info", message, logger=NAME, related_request_id=ctx.request_id)


async def simple_text(ctx, params):
    return done("This is a simple text response for testing.")


async def image_content(ctx, params):
    return done(image())


async def audio_content(ctx, params):
    return done(t.AudioContent(type="audio", data=WAV, mime_type="audio/wav"))


async def embedded_resource(ctx, params):
    return done(embedded("test://embedded-resource", "text/plain", "This is an embedded resource content."))


async def multiple_content(ctx, params):
    resource = embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}')
    return done("Multiple content types test:", image(), resource)


async def with_logging(ctx, params):
    for line in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await log(ctx, line)
        await asyncio.sleep(0.05)
    return done("Tool with logging executed successfully")


async def with_progress(ctx, params):
    for step in (0, 50, 100):
        await ctx.session.report_progress(step, 100, f"Completed step {step} of 100")
        await asyncio.sleep(0.05)
    return done("Tool with progress executed successfully")


async def error_handling(ctx, params):
    return t.CallToolResult(content=[text("This tool intentionally returns an error for testing")], is_error=True)


async def logging_tool(ctx, params):
    await log(ctx, "a log line for those who asked")
    return done("logged")


async def custom_headers(ctx, params):
    return done(f"region={(params.arguments or {}).get('region')}")


async def json_schema(ctx, params):
    return done(json.dumps(params.arguments or {}, sort_keys=True))


# --- tools of the `initialize` era: the server asks in the middle of a call


async def ask_model(ctx, params):
    prompt = (params.arguments or {}).get("prompt", "")
    got = await ctx.session.create_message(
        [t.SamplingMessage(role="user", content=text(prompt))], max_tokens=100, related_request_id=ctx.request_id
    )
    return done(f"LLM response: {getattr(got.content, 'text', '')}")


async def elicit(ctx, message, schema):
    got = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
    return done(f"Elicitation completed: action={got.action}, content={json.dumps(got.content)}")


async def ask_user(ctx, params):
    properties = {"response": {"type": "string", "description": "User's response"}}
    schema = {"type": "object", "properties": properties, "required": ["response"]}
    return await elicit(ctx, (params.arguments or {}).get("message", ""), schema)


async def elicit_defaults(ctx, params):
    properties = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    return await elicit(ctx, "Please check the defaults", {"type": "object", "properties": properties})


async def elicit_enums(ctx, params):
    names = ["option1", "option2", "option3"]
    titled = [{"const": f"value{i}", "title": f"Option {i}"} for i in (1, 2, 3)]
    properties = {
        "untitledSingle": {"type": "string", "enum": names},
        "titledSingle": {"type": "string", "oneOf": titled},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": names}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled}},
    }
    return await elicit(ctx, "Please choose", {"type": "object", "properties": properties})


async def reconnection(ctx, params):
    await log(ctx, "before the stream closes")
    if ctx.close_sse_stream:
        await ctx.close_sse_stream()
    await asyncio.sleep(0.2)
    return done("Reconnection test completed")


# --- tools of the stateless era: the server asks by returning


NAME_FORM = ("What is your name?", {"name": {"type": "string"}}, ["name"])


async def need_elicitation(ctx, params):
    got = answer(params, "user_name", t.ElicitResult)
    if not got or not (got.content or {}).get("name"):
        return ask({"user_name": form(*NAME_FORM)})
    return done(f"Hello, {got.content['name']}!")


async def need_sampling(ctx, params):
    kinds = (t.CreateMessageResult, t.CreateMessageResultWithTools)
    got = answer(params, "capital_question", kinds)
    if not got:
        return ask({"capital_question": sampling("What is the capital of France?")})
    return done(getattr(got.content, "text", ""))


async def need_roots(ctx, params):
    got = answer(params, "client_roots", t.ListRootsResult)
    if not got:
        return ask({"client_roots": t.ListRootsRequest()})
    return done("roots: " + ", ".join(str(r.uri) for r in got.roots))


async def need_state(ctx, params):
    got = answer(params, "confirm", t.ElicitResult)
    if not got or params.request_state != "confirming":
        return ask({"confirm": form("Please confirm", {"ok": {"type": "boolean"}}, ["ok"])}, "confirming")
    return done("state-ok")


async def need_three_things(ctx, params):
    wanted = {
        "user_name": form(*NAME_FORM),
        "greeting": sampling("Generate a greeting", 50),
        "client_roots": t.ListRootsRequest(),
    }
    if not set(wanted) <= set(params.input_responses or {}):
        return ask(wanted, "three")
    return done("all three answered")


async def need_two_rounds(ctx, params):
    color = form("Step 2: What is your favorite color?", {"color": {"type": "string"}}, ["color"])
    if params.request_state == "round-2" and answer(params, "step2", t.ElicitResult):
        return done("both rounds answered")
    if params.request_state == "round-1" and answer(params, "step1", t.ElicitResult):
        return ask({"step2": color}, "round-2")
    return ask({"step1": form("Step 1: What is your name?", *NAME_FORM[1:])}, "round-1")


async def need_capabilities(ctx, params):
    declared = (ctx.meta or {}).get(CLIENT_CAPABILITIES) or {}
    offers = {
        "sampling": ("model", sampling("Say something")),
        "elicitation": ("user", form(*NAME_FORM)),
        "roots": ("roots", t.ListRootsRequest()),
    }
    requests = dict(offer for name, offer in offers.items() if declared.get(name) is not None)
    if params.input_responses or not requests:
        return done("asked for nothing more")
    return ask(requests)


async def missing_capability(ctx, params):
    declared = (ctx.meta or {}).get(CLIENT_CAPABILITIES) or {}
    if declared.get("sampling") is None:
        needed = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_CAPABILITY, "this tool needs the client capability `sampling`", needed)
    return done("sampling is there")


async def prompts_changed(ctx, params):
    await bus.publish(PromptsListChanged())
    return done("prompt list changed")


async def tools_changed(ctx, params):
    await bus.publish(ToolsListChanged())
    return done("tool list changed")


NOTHING = {"type": "object", "properties": {}, "additionalProperties": False}


def wants(**properties):
    return {"type": "object", "properties": properties, "required": sorted(properties), "additionalProperties": False}


JSON_SCHEMA_2020_12 = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}

HEADER_SCHEMA = wants(region={"type": "string", "x-mcp-header": "Region"})

TOOLS = {
    "json_schema_2020_12_tool": (json_schema, JSON_SCHEMA_2020_12),
    "test_audio_content": (audio_content, NOTHING),
    "test_custom_headers": (custom_headers, HEADER_SCHEMA),
    "test_elicitation": (ask_user, wants(message={"type": "string"})),
    "test_elicitation_sep1034_defaults": (elicit_defaults, NOTHING),
    "test_elicitation_sep1330_enums": (elicit_enums, NOTHING),
    "test_embedded_resource": (embedded_resource, NOTHING),
    "test_error_handling": (error_handling, NOTHING),
    "test_image_content": (image_content, NOTHING),
    "test_input_required_result_capabilities": (need_capabilities, NOTHING),
    "test_input_required_result_elicitation": (need_elicitation, NOTHING),
    "test_input_required_result_list_roots": (need_roots, NOTHING),
    "test_input_required_result_multi_round": (need_two_rounds, NOTHING),
    "test_input_required_result_multiple_inputs": (need_three_things, NOTHING),
    "test_input_required_result_request_state": (need_state, NOTHING),
    "test_input_required_result_sampling": (need_sampling, NOTHING),
    "test_input_required_result_tampered_state": (need_state, NOTHING),
    "test_logging_tool": (logging_tool, NOTHING),
    "test_missing_capability": (missing_capability, NOTHING),
    "test_multiple_content_types": (multiple_content, NOTHING),
    "test_reconnection": (reconnection, NOTHING),
    "test_sampling": (ask_model, wants(prompt={"type": "string"})),
    "test_simple_text": (simple_text, NOTHING),
    "test_streaming_elicitation": (need_elicitation, NOTHING),
    "test_tool_with_logging": (with_logging, NOTHING),
    "test_tool_with_progress": (with_progress, NOTHING),
    "test_trigger_prompt_change": (prompts_changed, NOTHING),
    "test_trigger_tool_change": (tools_changed, NOTHING),
}


async def list_tools(ctx, params):
    tools = [
        t.Tool(name=name, description=f"Conformance: {name.replace('_', ' ')}", input_schema=schema)
        for name, (_, schema) in sorted(TOOLS.items())
    ]
    return t.ListToolsResult(tools=tools)


async def call_tool(ctx, params):
    if params.name not in TOOLS:
        raise MCPError(t.INVALID_PARAMS, f"Unknown tool: {params.name}")
    run, _ = TOOLS[params.name]
    return await run(ctx, params)


# --- resources


RESOURCES = {
    "test://static-text": ("text/plain", "This is the content of the static text resource."),
    "test://static-binary": ("image/png", None),
    "test://watched-resource": ("text/plain", "Watched resource content"),
}


async def list_resources(ctx, params):
    resources = [
        t.Resource(uri=uri, name=uri.removeprefix("test://"), description=f"Conformance: {uri}", mime_type=mime_type)
        for uri, (mime_type, _) in sorted(RESOURCES.items())
    ]
    return t.ListResourcesResult(resources=resources)


async def list_templates(ctx, params):
    template = t.ResourceTemplate(
        uri_template="test://template/{id}/data",
        name="template",
        description="A resource template with one parameter",
        mime_type="application/json",
    )
    return t.ListResourceTemplatesResult(resource_templates=[template])


async def read_resource(ctx, params):
    uri = str(params.uri)
    if uri.startswith("test://template/") and uri.endswith("/data"):
        ident = uri.removeprefix("test://template/").removesuffix("/data")
        body = json.dumps({"id": ident, "templateTest": True, "data": f"Data for ID: {ident}"})
        return t.ReadResourceResult(
            contents=[t.TextResourceContents(uri=uri, mime_type="application/json", text=body)]
        )
    if uri not in RESOURCES:
        raise MCPError(t.INVALID_PARAMS, "Resource not found", {"uri": uri})
    mime_type, body = RESOURCES[uri]
    if body is None:
        return t.ReadResourceResult(contents=[t.BlobResourceContents(uri=uri, mime_type=mime_type, blob=PNG)])
    return t.ReadResourceResult(contents=[t.TextResourceContents(uri=uri, mime_type=mime_type, text=body)])


async def subscribe(ctx, params):
    subscribed.add(str(params.uri))
    return t.EmptyResult()


async def unsubscribe(ctx, params):
    subscribed.discard(str(params.uri))
    return t.EmptyResult()


# --- prompts


def prompt(*content):
    return t.GetPromptResult(messages=[t.PromptMessage(role="user", content=c) for c in content])


async def list_prompts(ctx, params):
    def argument(name):
        return t.PromptArgument(name=name, description=f"Argument {name}", required=True)

    arguments = {
        "test_input_required_result_prompt": [],
        "test_prompt_with_arguments": ["arg1", "arg2"],
        "test_prompt_with_embedded_resource": ["resourceUri"],
        "test_prompt_with_image": [],
        "test_simple_prompt": [],
    }
    prompts = [
        t.Prompt(name=name, description=f"Conformance: {name.replace('_', ' ')}", arguments=[argument(n) for n in names])
        for name, names in arguments.items()
    ]
    return t.ListPromptsResult(prompts=prompts)


async def get_prompt(ctx, params):
    given = params.arguments or {}
    if params.name == "test_simple_prompt":
        return prompt(text("This is a simple prompt for testing."))
    if params.name == "test_prompt_with_arguments":
        return prompt(text(f"Prompt with arguments: arg1='{given.get('arg1')}', arg2='{given.get('arg2')}'"))
    if params.name == "test_prompt_with_embedded_resource":
        resource = embedded(given.get("resourceUri"), "text/plain", "Embedded resource content for testing.")
        return prompt(resource, text("Please process the embedded resource above."))
    if params.name == "test_prompt_with_image":
        return prompt(image(), text("Please analyze the image above."))
    if params.name == "test_input_required_result_prompt":
        got = answer(params, "user_context", t.ElicitResult)
        if not got:
            question = form("What context should the prompt use?", {"context": {"type": "string"}}, ["context"])
            return ask({"user_context": question})
        return prompt(text(f"Use this context: {(got.content or {}).get('context')}"))
    raise MCPError(t.INVALID_PARAMS, f"Unknown prompt: {params.name}")


async def complete(ctx, params):
    return t.CompleteResult(completion=t.Completion(values=["paris", "park", "party"], total=3, has_more=False))


async def set_level(ctx, params):
    return t.EmptyResult()


# --- the server


class Events(EventStore):
    """What was sent on each stream, so that a client which comes back gets what it missed."""

    def __init__(self):
        self.sent = []

    async def store_event(self, stream_id, message):
        self.sent.append((stream_id, message))
        return str(len(self.sent))

    async def replay_events_after(self, last_event_id, send_callback):
        if not last_event_id.isdigit() or not 0 < int(last_event_id) <= len(self.sent):
            return None
        stream_id = self.sent[int(last_event_id) - 1][0]
        for number, (stream, message) in enumerate(list(self.sent), start=1):
            if stream == stream_id and number > int(last_event_id) and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream_id


server = Server(
    NAME,
    version="1.0.0",
    get_tool_input_schema=lambda name: TOOLS[name][1] if name in TOOLS else None,
    on_list_tools=list_tools,
    on_call_tool=call_tool,
    on_list_resources=list_resources,
    on_list_resource_templates=list_templates,
    on_read_resource=read_resource,
    on_subscribe_resource=subscribe,
    on_unsubscribe_resource=unsubscribe,
    on_subscriptions_listen=ListenHandler(bus),
    on_list_prompts=list_prompts,
    on_get_prompt=get_prompt,
    on_completion=complete,
    on_set_logging_level=set_level,
)
server.middleware.append(RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience=NAME))

if __name__ == "__main__":
    app = server.streamable_http_app(event_store=Events(), retry_interval=100)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
