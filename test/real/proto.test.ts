// Our proto/ against the descriptors that Mesos itself carries: every message, field and value of ours is exactly Mesos'.
import { expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import protobuf from "protobufjs";
import descriptor, {
  type IDescriptorProto,
  type IEnumDescriptorProto,
  type IFileDescriptorProto,
} from "protobufjs/ext/descriptor.js";
import { buildMesos } from "./mesos/mesos.ts";

const PROTO = resolve(import.meta.dir, "../../proto");
const FILES = ["mesos/v1/mesos.proto", "mesos/v1/scheduler/scheduler.proto", "mesos/v1/executor/executor.proto"];

/** What decides about the bytes of a field or an enum's value. (Type names without their package: ours are relative.) */
type Facts = Readonly<Record<string, unknown>>;

function enumFacts(path: string, { value }: IEnumDescriptorProto): readonly (readonly [string, Facts])[] {
  return (value ?? []).map(({ name, number }) => [`${path}.${name}`, { number }] as const);
}

function messageFacts(path: string, message: IDescriptorProto): readonly (readonly [string, Facts])[] {
  return [
    ...(message.field ?? []).map(({ name, number, label, type, typeName, defaultValue }) => {
      return [
        `${path}.${name}`,
        { number, label, type, typeName: typeName?.split(".").at(-1) ?? "", defaultValue: defaultValue ?? "" },
      ] as const;
    }),
    ...(message.nestedType ?? []).flatMap((nested) => messageFacts(`${path}.${nested.name}`, nested)),
    ...(message.enumType ?? []).flatMap((nested) => enumFacts(`${path}.${nested.name}`, nested)),
  ];
}

function facts(file: IFileDescriptorProto): ReadonlyMap<string, Facts> {
  return new Map([
    ...(file.messageType ?? []).flatMap((message) => messageFacts(`${file.package}.${message.name}`, message)),
    ...(file.enumType ?? []).flatMap((each) => enumFacts(`${file.package}.${each.name}`, each)),
  ]);
}

/** The file's descriptor inside the library: it begins with its name, and ends where no field of a descriptor follows. */
function carried(library: Uint8Array, file: string): IFileDescriptorProto {
  const name = Buffer.from(file);
  const begin = Buffer.from(library).indexOf(
    Buffer.concat([Buffer.from([0x0a, name.length]), name, Buffer.from([0x12])]),
  );
  if (begin < 0) throw new Error(`Cannot find the descriptor of "${file}" in Mesos' library`);
  const reader = protobuf.Reader.create(library.subarray(begin));
  let end = 0;
  for (let tag = reader.uint32(); tag >>> 3 >= 1 && tag >>> 3 <= 12 && (tag & 7) === 2; tag = reader.uint32()) {
    reader.skipType(tag & 7);
    end = reader.pos;
  }
  return descriptor.FileDescriptorProto.decode(library.subarray(begin, begin + end)) as IFileDescriptorProto;
}

test("proto/ has Mesos' own numbers, types and defaults", async () => {
  const library = new Uint8Array(await readFile(join(await buildMesos(), "_scheduler.so")));
  const root = new protobuf.Root();
  root.resolvePath = (_, target) => join(PROTO, target);
  await root.load(FILES, { keepCase: true });
  const ours = new Map(root.toDescriptor("proto2").file.flatMap((file) => [...facts(file)]));
  const theirs = new Map(FILES.flatMap((file) => [...facts(carried(library, file))]));
  expect(ours.size).toBeGreaterThan(400);
  expect(Object.fromEntries(ours)).toEqual(
    Object.fromEntries([...ours.keys()].map((path) => [path, theirs.get(path) ?? {}])),
  );
}, 120_000);
