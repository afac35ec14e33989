// The runtime of Cursor's SDK as it comes from npm, with a model of ours in place of Cursor's servers: what stands on standard input,
// a call a line, is what the model asks for; what it is told of each is a line of standard output.
//
//   node cursor.mjs NODE_MODULES < calls
//
// The model speaks agent.v1 over Connect: `RunSSE` streams to the runtime, `BidiAppend` brings what it says, in hexadecimal digits.

import http from "node:http";
import path from "node:path";
import { createInterface } from "node:readline";

const project = process.cwd();

// Protocol Buffers, as far as this needs them.
const varint = (number) => {
  const bytes = [];
  for (; number > 127; number = Math.floor(number / 128)) bytes.push((number % 128) | 128);
  return Buffer.from([...bytes, number]);
};
const field = (number, value) => {
  if (typeof value === "number") return Buffer.concat([varint(number * 8), varint(value)]);
  const bytes = Buffer.from(value);
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
};
const message = (...fields) => Buffer.concat(fields);

function fieldsOf(bytes) {
  const found = [];
  let at = 0;
  const number = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = number();
    const width = { 1: 8, 5: 4 }[tag % 8] ?? 0;
    if (tag % 8 === 0) found.push([tag >> 3, number()]);
    else if (tag % 8 === 2) {
      const length = number();
      found.push([tag >> 3, bytes.subarray(at, (at += length))]);
    } else if (width) at += width;
    else throw new Error(`wire type ${tag % 8}`);
  }
  return found;
}

// A call as an `ExecServerMessage` has it.
let calls = 0;
const exec = {
  shell: ({ command }, id) => field(2, message(field(1, command), field(2, project), field(4, id), field(8, field(1, 0)), field(12, 1))),
  write: ({ path: file, text }, id) => field(3, message(field(1, file), field(2, text), field(3, id))),
  delete: ({ path: file }, id) => field(4, message(field(1, file), field(2, id))),
  read: ({ path: file }, id) => field(7, message(field(1, file), field(2, id))),
  mcp: ({ server, tool, args }, id) => {
    const values = Object.entries(args).map(([name, value]) => field(2, message(field(1, name), field(2, field(3, value)))));
    return field(11, message(field(1, `${server}-${tool}`), ...values, field(3, id), field(4, server), field(5, tool)));
  },
};

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
let stream;

async function next() {
  const send = (what, flags = 0) => {
    const head = Buffer.alloc(5);
    head[0] = flags;
    head.writeUInt32BE(what.length, 1);
    stream.write(Buffer.concat([head, what]));
  };
  // Servers are started meanwhile: which there are is asked first, and that waits for them.
  calls += 1;
  if (calls === 1) return send(field(2, message(field(1, calls), field(36, ""))));
  const { value: line } = await lines.next();
  if (line === undefined) {
    send(field(1, field(14, field(1, 1))));
    send(Buffer.from("{}"), 2);
    return stream.end();
  }
  const { kind, ...of } = JSON.parse(line);
  send(field(2, message(field(1, calls), field(15, `exec-${calls}`), exec[kind](of, `call-${process.pid}-${calls}`))));
}

function heard(body) {
  const [, digits] = fieldsOf(body).find(([number]) => number === 1);
  for (const [number, said] of fieldsOf(Buffer.from(digits.toString(), "hex"))) {
    if (number === 1 || number === 4) next();
    if (number !== 2) continue;
    const [, result] = fieldsOf(said).find(([of]) => ![1, 15, 39].includes(of));
    if (calls > 1) console.log(JSON.stringify(result.toString("utf8")));
    next();
  }
}

const jwt = [{ alg: "none" }, { sub: "user", exp: 4e9 }].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"));
const answers = {
  "/v1/models": { models: ["auto"], items: [{ id: "auto", displayName: "Auto" }] },
  "/auth/exchange_user_api_key": { accessToken: `${jwt.join(".")}.x`, refreshToken: "x", authId: "user" },
};

const server = http.createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const type = request.headers["content-type"] ?? "application/json";
  const answer = answers[request.url];
  response.writeHead(200, { "content-type": answer ? "application/json" : type });
  if (request.url.endsWith("/RunSSE")) stream = response;
  else if (answer) response.end(JSON.stringify(answer));
  else response.end(type.includes("json") ? "{}" : "");
  if (request.url.endsWith("/BidiAppend")) heard(Buffer.concat(chunks));
});

server.listen(0, "127.0.0.1", async () => {
  const address = `http://127.0.0.1:${server.address().port}`;
  Object.assign(process.env, { CURSOR_BACKEND_URL: address, CURSOR_API_BASE_URL: address });
  const { Agent } = await import(path.join(process.argv[2], "@cursor/sdk/dist/esm/index.js"));
  const local = { cwd: project, settingSources: ["user", "project"] };
  const agent = await Agent.create({ apiKey: "none", model: { id: "auto" }, local });
  const { status } = await (await agent.send("do it")).wait();
  process.exit(status === "finished" ? 0 : 1);
});
