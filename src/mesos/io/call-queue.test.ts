// Calls one after the other, and what becomes of those that are not taken.
import { expect, test } from "bun:test";
import { type CallFailure, CallQueue } from "./call-queue.ts";

type Failed = readonly [call: number, failure: CallFailure];

test("A call is sent when the one before it is answered, in the order given", async () => {
  const order: string[] = [];
  const queue = new CallQueue<number>(
    async (call) => {
      order.push(`sent ${call}`);
      await Promise.resolve();
      order.push(`answered ${call}`);
      return undefined;
    },
    () => {},
  );
  for (const call of [1, 2, 3]) queue.push(call);
  await queue.idle();
  queue.push(4);
  await queue.idle();
  expect(order).toEqual([1, 2, 3, 4].flatMap((call) => [`sent ${call}`, `answered ${call}`]));
});

test("A call that is refused or finds nobody is told, and those after it are sent", async () => {
  const failed: Failed[] = [];
  const answers = [
    async (): Promise<CallFailure> => ({ status: 403, message: "no" }),
    async (): Promise<never> => {
      throw Object.assign(new Error("Unable to connect"), { code: "ECONNREFUSED" });
    },
    async (): Promise<undefined> => undefined,
  ];
  const queue = new CallQueue<number>(
    async (call) => await answers[call]?.(),
    (call, failure) => failed.push([call, failure]),
  );
  for (const call of [0, 1, 2]) queue.push(call);
  await queue.idle();
  expect(failed).toEqual([
    [0, { status: 403, message: "no" }],
    [1, { message: "ECONNREFUSED" }],
  ]);
});

test("When the queue is closed, what waits and what comes later fails; the call under way does not", async () => {
  const failed: Failed[] = [];
  const answer = Promise.withResolvers<undefined>();
  const queue = new CallQueue<number>(
    () => answer.promise,
    (call, failure) => failed.push([call, failure]),
  );
  for (const call of [1, 2]) queue.push(call);
  queue.close("the stream ended");
  queue.push(3);
  answer.resolve(undefined);
  await queue.idle();
  expect(failed).toEqual([2, 3].map((call) => [call, { message: "the stream ended" }]));
});

test("No more than 10,000 calls wait", () => {
  const failed: Failed[] = [];
  const queue = new CallQueue<number>(
    () => Promise.withResolvers<undefined>().promise,
    (call, failure) => failed.push([call, failure]),
  );
  for (let call = 0; call <= 10_001; call++) queue.push(call);
  expect(failed).toEqual([[10_001, { message: "10000 calls wait already" }]]);
});
