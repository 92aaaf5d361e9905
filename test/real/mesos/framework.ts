// A framework under a test's hand: our connection, and its events to wait for.
import {
  type ConnectionEvent,
  connectScheduler,
  type SchedulerConnection,
} from "../../../src/mesos/io/scheduler-connection.ts";
import { type Credential, parseMasters } from "../../../src/mesos/leader.ts";
import type { Offer } from "../../../src/mesos/offer.ts";
import type { Amounts } from "../../../src/mesos/resources.ts";
import type { ExecutorInfo, TaskInfo } from "../../../src/mesos/task.ts";
import { createLog } from "../../../src/std/io/log.ts";

const DEADLINE_MS = 30_000;

/** Refuses a second time only after a moment, so that an offer comes back soon. */
export const SOON_SECONDS = 0.05;
export const NEVER_SECONDS = 3600;

type Type = ConnectionEvent["type"];
type Of<T extends Type> = Extract<ConnectionEvent, { readonly type: T }>;

export type Framework = AsyncDisposable & {
  readonly send: SchedulerConnection["send"];
  readonly state: SchedulerConnection["state"];
  readonly ended: Promise<Error | undefined>;
  readonly id: () => string;
  /** The next event of this type that no earlier call was given, and that `wanted` accepts. Others stay. */
  readonly next: <T extends Type>(type: T, wanted?: (event: Of<T>) => boolean) => Promise<Of<T>>;
  /** The next offer that `wanted` accepts. Others are declined. */
  readonly offer: (wanted?: (offer: Offer) => boolean) => Promise<Offer>;
  readonly close: () => Promise<void>;
};

export type FrameworkOptions = {
  readonly role: string;
  readonly id?: string;
  readonly credential?: Credential;
  readonly firstSubscriptionMs?: number;
};

export function startFramework(masters: string, options: FrameworkOptions): Framework {
  const { role, credential, firstSubscriptionMs } = options;
  let id = options.id;
  let seen: ConnectionEvent[] = [];
  let wake = Promise.withResolvers<void>();
  const connection = connectScheduler({
    masters: parseMasters(masters),
    ...(credential === undefined ? {} : { credential }),
    ...(firstSubscriptionMs === undefined ? {} : { firstSubscriptionMs }),
    framework: () => ({
      ...(id === undefined ? {} : { id }),
      name: `test-${role}`,
      user: "root",
      roles: [role],
      ...(credential === undefined ? {} : { principal: credential.principal }),
      failoverTimeoutMs: 600_000,
      capabilities: ["MULTI_ROLE", "RESERVATION_REFINEMENT", "PARTITION_AWARE", "REGION_AWARE"],
    }),
    log: createLog("test", "fatal", false),
    onEvent: async (event) => {
      if (event.type === "subscribed") id = event.frameworkId;
      seen.push(event);
      wake.resolve();
      wake = Promise.withResolvers();
    },
  });

  const next = async <T extends Type>(type: T, wanted: (event: Of<T>) => boolean = () => true): Promise<Of<T>> => {
    const deadline = AbortSignal.timeout(DEADLINE_MS);
    const late = new Promise<void>((done) => deadline.addEventListener("abort", () => done(), { once: true }));
    for (;;) {
      const found = seen.find((event): event is Of<T> => event.type === type && wanted(event as Of<T>));
      if (found !== undefined) {
        seen = seen.filter((event) => event !== found);
        return found;
      }
      if (deadline.aborted)
        throw new Error(`No such "${type}" came within ${DEADLINE_MS} ms; seen: ${JSON.stringify(seen)}`);
      await Promise.race([wake.promise, late]);
    }
  };
  const offer = async (wanted: (offer: Offer) => boolean = () => true): Promise<Offer> => {
    for (;;) {
      const { offers } = await next("offers");
      const found = offers.find(wanted);
      const others = offers.filter((each) => each !== found).map((each) => each.id);
      if (others.length > 0) connection.send({ type: "decline", offerIds: others, refuseSeconds: SOON_SECONDS });
      if (found !== undefined) return found;
    }
  };
  return {
    send: connection.send,
    state: connection.state,
    ended: connection.ended,
    id: () => id ?? "",
    next,
    offer,
    close: connection.close,
    [Symbol.asyncDispose]: connection.close,
  };
}

/** What a small node of a test takes. */
export const NODE: Amounts = { cpus: 0.3, memMb: 128, diskMb: 100, ports: [], morePorts: 2 };
/** What of it its executor has. */
export const EXECUTOR: Amounts = { cpus: 0.1, memMb: 32, diskMb: 0, ports: [] };

/** An executor that runs the bundle of executor.ts at `path`. */
export function testExecutor(framework: Framework, path: string, resources: ExecutorInfo["resources"]): ExecutorInfo {
  return {
    executorId: "executor-1",
    frameworkId: framework.id(),
    name: "executor",
    source: "test",
    resources,
    command: {
      uris: [{ value: `file://${path}`, cache: true }],
      environment: { FLAVOUR: "plain" },
      value: "exec bun executor.js",
    },
    labels: { made: "by hand" },
    shutdownGraceMs: 2_000,
  };
}

export function testTask(
  offer: Offer,
  taskId: string,
  executor: ExecutorInfo,
  resources: TaskInfo["resources"],
): TaskInfo {
  const ports = { http: resources.find(({ name }) => name === "ports")?.ranges?.[0]?.begin ?? 0 };
  return {
    name: taskId,
    taskId,
    agentId: offer.agentId,
    resources,
    executor,
    data: Buffer.from("hello"),
    labels: { colour: "blue" },
    killGraceMs: 3_000,
    discovery: { name: taskId, ports },
  };
}
