// One builder for each operation, and what each refuses.
import { describe, expect, test } from "bun:test";
import { createVolume, destroyVolumes, launch, reserve, unreserve } from "./operations.ts";
import type { Resource } from "./resources.ts";
import type { TaskInfo } from "./task.ts";

const OWNER = { framework: "f" };
const LABELS = { ...OWNER, node: "n" };
const RESERVATION = { type: "DYNAMIC" as const, role: "r", principal: "p", labels: LABELS };
const VOLUME = { id: "v", principal: "p", containerPath: "data" };

const cpus: Resource = { name: "cpus", scalar: 1, reservations: [], allocatedTo: "r" };
const disk: Resource = { name: "disk", scalar: 100, reservations: [], allocatedTo: "r" };
const myDisk: Resource = { ...disk, reservations: [RESERVATION] };
const myVolume: Resource = { ...myDisk, volume: VOLUME };

const task = (taskId: string, agentId: string, executorId: string): TaskInfo => ({
  name: taskId,
  taskId,
  agentId,
  resources: [],
  executor: {
    executorId,
    frameworkId: "f",
    name: executorId,
    source: "s",
    resources: [],
    command: { uris: [], environment: {}, value: "true" },
    labels: {},
    shutdownGraceMs: 0,
  },
  data: new Uint8Array(),
  labels: {},
  killGraceMs: 0,
});

test("RESERVE pushes the reservation onto what is offered", () => {
  const { role, principal, labels } = RESERVATION;
  const after = [{ ...cpus, reservations: [RESERVATION] }, myDisk];
  expect(reserve([cpus, disk], { role, principal, labels })).toEqual({
    operation: { type: "reserve", resources: after },
    resources: after,
  });
});

test("CREATE makes a volume of a reserved disk", () => {
  expect(createVolume(myDisk, VOLUME)).toEqual({
    operation: { type: "create", volumes: [myVolume] },
    volume: myVolume,
  });
});

test("LAUNCH carries tasks of one executor", () => {
  const tasks = [task("t1", "a", "e"), task("t2", "a", "e")];
  expect(launch(tasks)).toEqual({ type: "launch", tasks });
});

test("DESTROY and UNRESERVE carry what is ours, and an id where one is given", () => {
  expect(destroyVolumes([myVolume], OWNER, "d")).toEqual({ type: "destroy", volumes: [myVolume], id: "d" });
  expect(unreserve([myDisk], OWNER)).toEqual({ type: "unreserve", resources: [myDisk] });
});

describe("Refused is", () => {
  const foreign = { ...myDisk, reservations: [RESERVATION, { ...RESERVATION, labels: { framework: "g" } }] };
  const fixed = { ...myDisk, reservations: [{ ...RESERVATION, type: "STATIC" as const }] };
  const none = 'carries no dynamic reservation with the labels {"framework":"f"}';
  test.each<readonly [string, () => unknown, string]>([
    ["a RESERVE of nothing", () => reserve([], RESERVATION), "at least one resource"],
    ["a RESERVE without labels", () => reserve([cpus], { role: "r", labels: {} }), "a reservation carries labels"],
    [
      "a RESERVE for another role",
      () => reserve([cpus], { role: "s", labels: LABELS }),
      'cpus is offered to role "r", the reservation is for "s"',
    ],
    ["a RESERVE of a volume", () => reserve([myVolume], RESERVATION), 'disk cannot be reserved: it is volume "v"'],
    [
      "a CREATE on a disk that anybody may take",
      () => createVolume(disk, VOLUME),
      'volume "v" needs a disk that is reserved',
    ],
    ["a CREATE on a volume", () => createVolume(myVolume, VOLUME), "a disk that is none yet"],
    ["a LAUNCH of nothing", () => launch([]), "at least one task"],
    [
      "a LAUNCH on two agents",
      () => launch([task("t1", "a", "e"), task("t2", "b", "e")]),
      'task "t2" is for agent "b", task "t1" for "a"',
    ],
    [
      "a LAUNCH with two executors",
      () => launch([task("t1", "a", "e"), task("t2", "a", "f")]),
      'task "t2" has executor "f", task "t1" has "e"',
    ],
    ["a DESTROY of nothing", () => destroyVolumes([], OWNER), "at least one volume"],
    ["a DESTROY of a disk", () => destroyVolumes([myDisk], OWNER), "disk cannot be destroyed: it is no volume"],
    [
      "a DESTROY of others' volume",
      () => destroyVolumes([{ ...foreign, volume: VOLUME }], OWNER),
      `volume "v" ${none}`,
    ],
    ["an UNRESERVE of nothing", () => unreserve([], OWNER), "at least one resource"],
    ["an UNRESERVE of a volume", () => unreserve([myVolume], OWNER), 'disk cannot be unreserved: it is volume "v"'],
    ["an UNRESERVE of what others refined", () => unreserve([foreign], OWNER), `disk ${none}`],
    ["an UNRESERVE of what the agent reserves", () => unreserve([fixed], OWNER), `disk ${none}`],
    ["an UNRESERVE of what is free", () => unreserve([cpus], OWNER), `cpus ${none}`],
    ["an owner without labels", () => unreserve([myDisk], {}), "an owner has at least one label"],
  ])("%s", (_, build, message) => {
    expect(build).toThrow(message);
  });
});
