// Recordings there and back, and what is left out of them.
import { expect, test } from "bun:test";
import { readRecordingLine, recordingText } from "./recording.ts";

test("maps, sets, bytes and infinite numbers come back as they were", () => {
  const line = {
    event: {
      map: new Map([["a", new Map([[1, { b: new Set(["c"]) }]])]]),
      text: new TextEncoder().encode('{"quoted": "ü"}'),
      bytes: new Uint8Array([0, 255, 128]),
      buffer: Buffer.from("buffer"),
      never: -Infinity,
    },
    actions: [],
  };
  const wanted = { ...line, event: { ...line.event, buffer: new TextEncoder().encode("buffer") } };
  expect(readRecordingLine(recordingText(line, []))).toEqual(wanted);
});

test("fields that hold secrets are written without them, whatever their shape", () => {
  const headers = { Authorization: "Basic YTpi", "content-type": "text/plain" };
  expect(recordingText({ event: { headers }, actions: [] }, [])).toBe(
    '{"event":{"headers":{"Authorization":"hidden-in-this-recording","content-type":"text/plain"}},"actions":[]}',
  );
});

test("neither secrets nor credentials in URLs are written, not even within bytes", () => {
  const data = new TextEncoder().encode('{"token": "a-secret-word", "store": "zk://user:pass@host:1/"}');
  const text = recordingText({ start: { data, token: "a-secret-word", url: "zk://user:pass@host:1/" } }, [
    "a-secret-word",
  ]);
  expect(text).toBe(
    '{"start":{"data":{"$text":"{\\"token\\": \\"hidden-in-this-recording\\", \\"store\\": \\"zk://hidden:hidden@host:1/\\"}"},"token":"hidden-in-this-recording","url":"zk://hidden:hidden@host:1/"}}',
  );
});
