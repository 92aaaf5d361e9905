// Events one at a time and in order, and the ends that this comes to.
import { expect, test } from "bun:test";
import { Delivery } from "./delivery.ts";

test("An event is handed on when the handler is done with the one before it", async () => {
  const order: string[] = [];
  const delivery = new Delivery<number>(
    async (event) => {
      order.push(`begin ${event}`);
      await Promise.resolve();
      order.push(`end ${event}`);
    },
    () => {},
  );
  await Promise.all([1, 2, 3].map((event) => delivery.push(event)));
  expect(order).toEqual([1, 2, 3].flatMap((event) => [`begin ${event}`, `end ${event}`]));
});

test("After an error of the handler, and after the end, nothing is handed on", async () => {
  const seen: number[] = [];
  const errors: Error[] = [];
  const delivery = new Delivery<number>(
    async (event) => {
      seen.push(event);
      if (event === 2) throw new Error("no");
    },
    (error) => errors.push(error),
  );
  await Promise.all([1, 2, 3].map((event) => delivery.push(event)));
  await delivery.push(4);
  await delivery.stop();
  expect([seen, errors]).toEqual([[1, 2], [new Error("no")]]);
});

test("No more than 20,000 events wait for the handler", () => {
  const errors: Error[] = [];
  const delivery = new Delivery<number>(
    () => Promise.withResolvers<void>().promise,
    (error) => errors.push(error),
  );
  for (let event = 0; event <= 20_000; event++) void delivery.push(event);
  expect(errors).toEqual([new Error("Cannot hand on Mesos' events: 20000 wait already")]);
});
