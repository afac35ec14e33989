/**
 * Reader of JSON that keeps what it reads.
 *
 * `JSON.parse` takes the last of two equal keys and rounds a whole number beyond 2^53 without a word. What an answer
 * says twice has no single meaning, and an id that is rounded is another id: the first is an error here, the second a
 * `bigint`.
 */

const DEPTH_MAX = 128;

/** Whole numbers that a `number` cannot tell from their neighbours. */
const WHOLE = /^-?\d+$/;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const SPACE = /[ \t\n\r]*/y;
// Neither a quotation mark, nor a backslash, nor a control character.
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const HEX = /^[0-9a-fA-F]{4}$/;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

/** Value of a JSON text. Throws `SyntaxError` for what is none, or has no single meaning. */
export function readJson(text: string): unknown {
  const reader = new Reader(text);
  const value = reader.value(0);
  reader.end();
  return value;
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#space();
  }

  value(depth: number): unknown {
    if (depth > DEPTH_MAX) throw this.#wrong(`it is nested deeper than ${DEPTH_MAX}`);
    const first = this.#text[this.#at];
    switch (first) {
      case "{":
        return this.#object(depth);
      case "[":
        return this.#list(depth);
      case '"':
        return this.#string();
      case "t":
        return this.#word("true", true);
      case "f":
        return this.#word("false", false);
      case "n":
        return this.#word("null", null);
      default:
        return this.#number();
    }
  }

  end(): void {
    if (this.#at < this.#text.length) throw this.#wrong("something stands behind the value");
  }

  #object(depth: number): Record<string, unknown> {
    const entries: [string, unknown][] = [];
    const names = new Set<string>();
    this.#items("}", () => {
      if (this.#text[this.#at] !== '"') throw this.#wrong("here is no key");
      const name = this.#string();
      if (names.has(name)) throw this.#wrong(`the key ${JSON.stringify(name)} stands twice`);
      names.add(name);
      this.#take(":");
      entries.push([name, this.value(depth + 1)]);
    });
    // Makes properties of its own, also of a key such as `__proto__`.
    return Object.fromEntries(entries);
  }

  #list(depth: number): unknown[] {
    const found: unknown[] = [];
    this.#items("]", () => found.push(this.value(depth + 1)));
    return found;
  }

  #items(close: string, item: () => void): void {
    this.#skip(1);
    if (this.#text[this.#at] === close) return this.#skip(1);
    for (;;) {
      item();
      if (this.#text[this.#at] === close) return this.#skip(1);
      this.#take(",");
    }
  }

  #string(): string {
    this.#at += 1;
    let found = "";
    for (;;) {
      found += this.#match(PLAIN);
      const next = this.#text[this.#at];
      if (next === '"') break;
      if (next !== "\\") throw this.#wrong("a text does not end, or holds a control character");
      found += this.#escape();
    }
    this.#skip(1);
    if (!found.isWellFormed()) throw this.#wrong("a text holds a lone surrogate");
    return found;
  }

  #escape(): string {
    const kind = this.#text[this.#at + 1] ?? "";
    if (kind === "u") {
      const digits = this.#text.slice(this.#at + 2, this.#at + 6);
      if (!HEX.test(digits)) throw this.#wrong("an escape is none");
      this.#at += 6;
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    const found = Object.hasOwn(ESCAPES, kind) ? ESCAPES[kind] : undefined;
    if (found === undefined) throw this.#wrong("an escape is none");
    this.#at += 2;
    return found;
  }

  #number(): number | bigint {
    const digits = this.#match(NUMBER);
    if (digits === "") throw this.#wrong("here is no value");
    const value = Number(digits);
    if (!Number.isFinite(value)) throw this.#wrong(`${digits} is beyond every number`);
    this.#space();
    return WHOLE.test(digits) && !Number.isSafeInteger(value) ? BigInt(digits) : value;
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw this.#wrong("here is no value");
    this.#skip(word.length);
    return value;
  }

  #take(character: string): void {
    if (this.#text[this.#at] !== character) throw this.#wrong(`\`${character}\` should stand here`);
    this.#skip(1);
  }

  #skip(count: number): void {
    this.#at += count;
    this.#space();
  }

  #space(): void {
    this.#match(SPACE);
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += found.length;
    return found;
  }

  #wrong(why: string): SyntaxError {
    return new SyntaxError(`${why} (character ${this.#at})`);
  }
}
