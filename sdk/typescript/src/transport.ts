/**
 * Sockets: where the server is, and how a request gets there. Nothing here decides anything.
 *
 * What does not arrive, is not answered in time, or is answered with something else than HTTP, is `Unavailable`.
 * Nothing is sent twice, no redirection is followed, and no proxy of the environment is asked. `fetch` knows no sockets
 * of files and does not say whether a request went out, so this is `node:http`.
 */

import * as http from "node:http";
import * as https from "node:https";

import { Invalid, Unavailable } from "./errors.js";
import type { Request } from "./flow.js";
import { serving } from "./home.js";
import { limits, nowS } from "./state.js";
import type { Reply } from "./wire.js";

/**
 * Connections at most: one agent has a quarter of the places of a server, 128 as it is configured at first. Those that
 * wait for people have their own, so that a report never queues behind a question.
 */
const QUICK_MAX = 64;
const WAITING_MAX = 32;
/** How long a connection may rest; the server ends one that has rested for 30 s. */
const REST_MS = 15_000;
/** The largest answer that is read. Requests are 4 MiB at most as a server is configured at first. */
const ANSWER_MAX = 64 << 20;

/** Place of a server: a URL, or the socket of a home; and the key that opens runs there. */
export interface Place {
  readonly url: string;
  readonly socket: string | undefined;
  readonly key: string | undefined;
  /** Whether runs are opened here: with a key, or as the owner of the home. */
  readonly owner: boolean;
  /** The home as it was named, so that a server that has ended is started again. */
  readonly directory: string | undefined;
}

/** Where a client is pointed to. */
export interface Where {
  readonly url?: string | undefined;
  readonly token?: string | undefined;
  readonly directory?: string | undefined;
}

/** Place from what was said, else from `AECL_URL` and `AECL_TOKEN`, else the home of this directory. */
export async function place(where: Where): Promise<Place> {
  const { directory } = where;
  const url = where.url ?? (directory === undefined ? process.env["AECL_URL"] || undefined : undefined);
  if (url === undefined) {
    const socket = await serving(directory);
    return { url: "http://localhost", socket, key: undefined, owner: true, directory };
  }
  const at = URL.canParse(url) ? new URL(url) : undefined;
  const isServer = at?.protocol === "http:" || at?.protocol === "https:";
  if (at === undefined || !isServer || at.username !== "" || at.search !== "" || at.hash !== "") {
    throw new Invalid("request_invalid", `\`${url}\` is no address of a server`, {
      hint: "such as http://127.0.0.1:7600",
    });
  }
  const token = where.token ?? (process.env["AECL_TOKEN"] || undefined);
  // A run's token opens nothing; it comes to its run by `resume`.
  const key = token?.startsWith("aecl_") ? token : undefined;
  if (key !== undefined && !/^[!-~]+$/.test(key)) {
    throw new Invalid("request_invalid", "the key holds a character that no key has", { hint: "such as a line's end" });
  }
  return { url: at.href.replace(/\/+$/, ""), socket: undefined, key, owner: key !== undefined, directory: undefined };
}

/** Line to a server. */
export class Line {
  readonly #quick: http.Agent;
  readonly #waiting: http.Agent;
  readonly #secure: boolean;
  #lastS = 0;

  constructor(readonly at: Place) {
    this.#secure = at.url.startsWith("https:");
    const agent = (maxSockets: number): http.Agent => {
      const options = { keepAlive: true, maxSockets, maxFreeSockets: maxSockets, timeout: REST_MS };
      return this.#secure ? new https.Agent(options) : new http.Agent(options);
    };
    [this.#quick, this.#waiting] = [agent(QUICK_MAX), agent(WAITING_MAX)];
  }

  /** Closes all connections. */
  close(): void {
    this.#quick.destroy();
    this.#waiting.destroy();
  }

  /** Sends one request. A server of a home that has ended is started again, if nothing was sent yet. */
  async send(request: Request): Promise<Reply> {
    await this.#turned();
    try {
      return await this.#send(request);
    } catch (error) {
      if (!(error instanceof Unavailable) || error.sent || this.at.socket === undefined) throw error;
      await serving(this.at.directory);
      return await this.#send(request);
    }
  }

  /**
   * Waits for two turns of the event loop after a rest. A process that was busy has not yet been told which connections
   * the server has closed meanwhile, and what is sent over one of these is lost.
   */
  async #turned(): Promise<void> {
    const restedS = nowS() - this.#lastS;
    this.#lastS = nowS();
    if (restedS < 1) return;
    await new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));
  }

  #send(request: Request): Promise<Reply> {
    const { method, path, token, body, waitsS = 0 } = request;
    const headers: http.OutgoingHttpHeaders = { accept: "application/json" };
    if (token !== undefined) headers["authorization"] = `Bearer ${token}`;
    const bytes = body === undefined ? undefined : Buffer.from(body, "utf8");
    if (bytes !== undefined) headers["content-type"] = "application/json";
    if (method === "POST") headers["content-length"] = bytes?.length ?? 0;
    const url = new URL(this.at.url + path);
    const options: http.RequestOptions = { method, headers, agent: waitsS >= 1 ? this.#waiting : this.#quick };
    if (this.at.socket !== undefined) options.socketPath = this.at.socket;

    return new Promise<Reply>((resolve, reject) => {
      let [connected, over] = [false, false];
      let timer: NodeJS.Timeout | undefined;
      const fail = (why: string): void => {
        if (over) return;
        over = true;
        clearTimeout(timer);
        reject(unavailable(why, this.at, connected));
        asking.destroy();
      };
      const within = (seconds: number, why: string): void => {
        clearTimeout(timer);
        timer = setTimeout(() => fail(why), seconds * 1000);
      };
      const asking = (this.#secure ? https : http).request(url, options, (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on("data", (chunk: Buffer) => {
          size += chunk.length;
          if (size > ANSWER_MAX) fail(`the answer is larger than ${ANSWER_MAX} bytes`);
          else chunks.push(chunk);
        });
        response.on("end", () => {
          if (!response.complete || over) return fail("the answer ended in the middle");
          over = true;
          clearTimeout(timer);
          // It was answered before all of it was sent: nothing else may go over this connection.
          if (!asking.writableFinished) asking.destroy();
          const kind = (response.headers["content-type"] ?? "").split(";", 1)[0] ?? "";
          resolve({ status: response.statusCode ?? 0, kind: kind.trim().toLowerCase(), body: Buffer.concat(chunks) });
        });
        response.on("error", (error) => fail(error.message));
        response.on("close", () => fail("the answer ended in the middle"));
      });
      // There is no end to the wait for a connection of ours: those before it have theirs. It begins here.
      asking.on("socket", (socket) => {
        const answering = (): void => {
          connected = true;
          within(waitsS + limits.answerS, `no answer within ${waitsS + limits.answerS} s`);
        };
        if (asking.reusedSocket || !socket.connecting) return answering();
        within(limits.connectS, `no connection within ${limits.connectS} s`);
        socket.once(this.#secure ? "secureConnect" : "connect", answering);
      });
      asking.on("error", (error) => fail(error.message || (error as NodeJS.ErrnoException).code || "it was cut off"));
      asking.end(bytes);
    });
  }
}

function unavailable(why: string, at: Place, sent: boolean): Unavailable {
  const where = at.socket ?? at.url;
  const hint = "is `aecl serve` running there?";
  return new Unavailable("server_unreachable", `no answer from ${where}: ${why}`, { hint, sent });
}
