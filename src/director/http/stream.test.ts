// Heads and bodies of HTTP in all the pieces they may come in, what is refused, and a million inputs that are none.
import { describe, expect, test } from "bun:test";
import { nextRandom } from "../../std/random.ts";
import * as heads from "./heads.ts";
import { type Body, closing, HEAD_MAX_BYTES } from "./heads.ts";
import { BodyReader, HeadReader } from "./stream.ts";

const request = (...fields: readonly string[]): string => [...fields, "", ""].join("\r\n");

/** The head in the middle of other bytes. */
function placed(text: string): readonly [bytes: Uint8Array, from: number, to: number] {
  return [Buffer.from(`:: ${text}\r\n: 1`, "latin1"), 3, 3 + text.length];
}

function readRequestHead(text: string): heads.RequestHead | heads.Bad {
  return heads.readRequestHead(...placed(text));
}

function readAnswerHead(text: string, method: string): heads.AnswerHead | heads.Bad {
  return heads.readAnswerHead(...placed(text), method);
}

describe("a request's head", () => {
  test("tells the method, the body and whether the client stays", () => {
    expect(readRequestHead(request("GET /ping HTTP/1.1", "Host: a"))).toEqual({
      method: "GET",
      stays: true,
      body: { type: "none" },
    });
    expect(readRequestHead(request("PUT /k HTTP/1.1", "content-LENGTH:\t12 ", "Connection: x, Close"))).toEqual({
      method: "PUT",
      stays: false,
      body: { type: "length", bytes: 12 },
    });
    expect(readRequestHead(request("POST /k HTTP/1.1", "Transfer-Encoding: Chunked"))).toEqual({
      method: "POST",
      stays: true,
      body: { type: "chunked" },
    });
    expect(readRequestHead(request("GET / HTTP/1.0"))).toMatchObject({ stays: false });
    expect(readRequestHead(request("GET / HTTP/1.0", "Connection: Keep-Alive"))).toMatchObject({ stays: true });
  });

  test.each([
    ["a Content-Length with a Transfer-Encoding", 400, ["Content-Length: 3", "Transfer-Encoding: chunked"]],
    ["two Content-Lengths", 400, ["Content-Length: 3", "Content-Length: 3"]],
    ["a list of Content-Lengths", 400, ["Content-Length: 3, 3"]],
    ["a negative Content-Length", 400, ["Content-Length: -3"]],
    ["two Transfer-Encodings", 400, ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"]],
    ["an unknown Transfer-Encoding", 501, ["Transfer-Encoding: gzip, chunked"]],
    ["a header over two lines", 400, ["X: a", " b"]],
    ["a space before the colon", 400, ["Content-Length : 3"]],
    ["a header without a name", 400, [": x"]],
    ["a bare line feed", 400, ["X: a\nContent-Length: 3"]],
    ["a bare carriage return", 400, ["X: a\rContent-Length: 3"]],
    ["a NUL", 400, ["X: a\0"]],
  ])("with %s is refused", (_, status, fields) => {
    expect(readRequestHead(request("POST / HTTP/1.1", ...fields))).toMatchObject({ status });
  });

  test.each([
    [400, "GET  / HTTP/1.1"],
    [400, "GET / HTTP/1.1 "],
    [400, "GE T / HTTP/1.1"],
    [400, "GET /"],
    [505, "GET / HTTP/2.0"],
    [501, "CONNECT a:1 HTTP/1.1"],
  ])("is answered %d when its first line is %j", (status, line) => {
    expect(readRequestHead(request(line))).toMatchObject({ status });
  });

  test("with a Transfer-Encoding in HTTP/1.0 is refused", () => {
    expect(readRequestHead(request("POST / HTTP/1.0", "Transfer-Encoding: chunked"))).toMatchObject({ status: 400 });
  });
});

test("an answer's body depends on its request, its status and its headers", () => {
  const bodyOf = (method: string, ...fields: readonly string[]): unknown => {
    const head = readAnswerHead(request(...fields), method);
    return "body" in head ? head.body.type : head.status;
  };
  expect(bodyOf("GET", "HTTP/1.1 200 OK", "Content-Length: 3")).toBe("length");
  expect(bodyOf("GET", "HTTP/1.1 200", "Transfer-Encoding: chunked")).toBe("chunked");
  expect(bodyOf("GET", "HTTP/1.1 200 OK")).toBe("rest");
  for (const status of [100, 204, 304]) expect(bodyOf("GET", `HTTP/1.1 ${status} x`, "Content-Length: 3")).toBe("none");
  expect(bodyOf("HEAD", "HTTP/1.1 200 OK", "Content-Length: 3")).toBe("none");
  expect(bodyOf("GET", "HTTP/1.1 200 OK", "Content-Length: 3", "Transfer-Encoding: chunked")).toBe(502);
  expect(bodyOf("GET", "HTTP/2 200 OK")).toBe(502);
});

test("a head can be made to say that the connection closes", () => {
  const head = Buffer.from(request("HTTP/1.1 200 OK", "Connection: keep-alive", "Keep-Alive: timeout=5", "X: y"));
  expect(Buffer.from(closing(head)).toString()).toBe(request("HTTP/1.1 200 OK", "X: y", "Connection: close"));
});

/** Reads messages out of bytes that come in pieces; returns heads, and where each body ended. */
function readAll(bytes: Buffer, size: number, bodyOf: (head: string) => Body | undefined): readonly string[] {
  const reader = new HeadReader();
  const body = new BodyReader();
  const seen: string[] = [];
  for (let start = 0; start < bytes.length; start += size) {
    const piece = bytes.subarray(start, start + size);
    let at = 0;
    while (at < piece.length) {
      if (body.done) {
        const found = reader.read(piece, at);
        if (found === "tooLong") return [...seen, "tooLong"];
        if (found === "more") break;
        const head = Buffer.from(reader.head).toString("latin1");
        const next = bodyOf(head);
        if (next === undefined) return [...seen, "bad"];
        if (reader.next <= at) throw new Error("A head took no bytes");
        seen.push(head);
        body.begin(next);
        at = reader.next;
      }
      const end = body.read(piece, at);
      if (end === undefined) return [...seen, "bad body"];
      if (end < at || end > piece.length) throw new Error("A body ended outside its bytes");
      at = end;
    }
  }
  return [...seen, body.done && !reader.begun ? "complete" : "incomplete"];
}

const requestBody = (head: string): Body | undefined => {
  const read = readRequestHead(head);
  return "body" in read ? read.body : undefined;
};

const HEADS = [
  request("GET /a HTTP/1.1", "Host: x"),
  request("PUT /b HTTP/1.1", "Content-Length: 11"),
  request("POST /c HTTP/1.1", "Transfer-Encoding: chunked"),
  request("DELETE /d HTTP/1.1", "Content-Length: 0"),
];
const MESSAGES = Buffer.from(
  `${HEADS[0]}${HEADS[1]}hello world${HEADS[2]}5;x="y"\r\nhello\r\n0B\r\n\r\n\r\nGET / H\r\n0\r\nX: y\r\n\r\n${HEADS[3]}`,
);

describe("messages", () => {
  test("are found in pieces of any size", () => {
    for (let size = 1; size <= MESSAGES.length; size += 1)
      expect(readAll(MESSAGES, size, requestBody)).toEqual([...HEADS, "complete"]);
  });

  test.each([
    ["no size", "\r\n"],
    ["a size that is none", "g\r\n"],
    ["a size with a sign", "+5\r\nhello\r\n"],
    ["a size beyond all measure", "1000000000000\r\n"],
    ["a size that ends in a bare line feed", "5\nhello"],
    ["data longer than its size", "3\r\nhello\r\n"],
    ["a bare line feed after the data", "5\r\nhello\n"],
    ["an endless extension", `5;${"x".repeat(10_000)}`],
    ["an endless trailer", `0\r\n${"X: y\r\n".repeat(10_000)}`],
  ])("in chunks with %s are refused", (_, chunks) => {
    const bytes = Buffer.from(request("POST / HTTP/1.1", "Transfer-Encoding: chunked") + chunks);
    for (const size of [1, 7, bytes.length]) expect(readAll(bytes, size, requestBody).at(-1)).toBe("bad body");
  });

  test("with a head beyond the limit are refused, however it comes", () => {
    const bytes = Buffer.from(`GET / HTTP/1.1\r\nX: ${"y".repeat(HEAD_MAX_BYTES)}`);
    for (const size of [1000, bytes.length]) expect(readAll(bytes, size, requestBody)).toEqual(["tooLong"]);
    expect(readAll(Buffer.concat([bytes, Buffer.from("\r\n\r\n")]), 70_000, requestBody)).toEqual(["tooLong"]);
  });

  test("of any garbage are read to an end, and in pieces as in one", () => {
    const firstSeed = 20_261_122;
    let seed = firstSeed;
    const dice = (sides: number): number => {
      const next = nextRandom(seed);
      seed = next.seed;
      return Math.floor(next.value * sides);
    };
    const spice = Buffer.from("\r\n\r\n :;0aF\0\t,chunked");
    const bytes = Buffer.alloc(MESSAGES.length);
    for (let run = 0; run < 1_000_000; run += 1) {
      const length = 1 + dice(MESSAGES.length);
      const from = dice(MESSAGES.length - length + 1);
      MESSAGES.copy(bytes, 0, from, from + length);
      for (let change = dice(4); change >= 0; change -= 1)
        bytes[dice(length)] = dice(2) === 0 ? (spice[dice(spice.length)] ?? 0) : dice(256);
      const input = bytes.subarray(0, length);
      const whole = readAll(input, length, requestBody).join("|");
      const size = 1 + dice(40);
      if (run % 4 === 0 && readAll(input, size, requestBody).join("|") !== whole)
        throw new Error(`Read otherwise in pieces of ${size}: seed ${firstSeed}, run ${run}`);
    }
  }, 60_000);
});
