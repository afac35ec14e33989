// The official TypeScript client: lists tools, calls some, and prints what it got as one line of JSON.
// Usage: typescript_client.mjs MODULES URL KEY CALLS, where CALLS is a list of [name, arguments].
import { pathToFileURL } from "node:url";

const [modules, url, key, calls] = process.argv.slice(2);
const sdk = (path) => import(pathToFileURL(`${modules}/@modelcontextprotocol/sdk/dist/esm/${path}`));
const { Client } = await sdk("client/index.js");
const { StreamableHTTPClientTransport } = await sdk("client/streamableHttp.js");
const { CreateMessageRequestSchema } = await sdk("types.js");

const client = new Client({ name: "peer", version: "1" }, { capabilities: { sampling: {} } });
client.setRequestHandler(CreateMessageRequestSchema, async () => ({
  role: "assistant",
  model: "none",
  content: { type: "text", text: "an answer of the client" },
}));
const transport = new StreamableHTTPClientTransport(new URL(url), {
  requestInit: { headers: { authorization: `Bearer ${key}` } },
});
await client.connect(transport);
const said = { version: transport.protocolVersion, session: Boolean(transport.sessionId), results: {}, progress: [] };
said.tools = (await client.listTools()).tools.map((tool) => tool.name);
for (const [name, args] of JSON.parse(calls)) {
  const onprogress = (progress) => said.progress.push(progress.progress);
  said.results[name] = await client.callTool({ name, arguments: args }, undefined, { onprogress });
}
await transport.terminateSession();
await client.close();
console.log(JSON.stringify(said));
