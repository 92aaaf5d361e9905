// A change of a bucket type that Riak would refuse for ever is refused at once.
import { expect, test } from "bun:test";
import { bucketTypeRefusal } from "./bucket-types.ts";

const ANSWER = {
  bucket_types: [
    { id: "default", active: true },
    { id: "carts", active: true },
    { id: "new", active: false },
  ],
};

test("a type is created if it is not active yet, and changed or activated if it is there", () => {
  const allowed = [
    ["create", "users"],
    ["create", "new"],
    ["update", "carts"],
    ["activate", "new"],
    ["activate", "carts"],
  ] as const;
  for (const [change, type] of allowed) expect(bucketTypeRefusal(change, type, ANSWER)).toBeUndefined();
  expect(bucketTypeRefusal("create", "carts", ANSWER)).toBe(
    'Cannot create bucket type "carts": found it active already, wanted a new name (bucket-type update changes one)',
  );
  expect(bucketTypeRefusal("activate", "cart", ANSWER)).toBe(
    'Cannot activate bucket type "cart": found no such type, wanted one of "default", "carts", "new" (bucket-type create makes one)',
  );
});

test("an answer that is no list of types refuses", () => {
  for (const answer of [null, "text", { bucket_types: {} }])
    expect(bucketTypeRefusal("update", "carts", answer)).toBe(
      'Cannot update bucket type "carts": found no list of types, wanted Riak\'s',
    );
});
