// The process' log: JSON lines on stderr, readable lines when a person watches. Only io/ folders and main.ts log.
import pino from "pino";
import pretty from "pino-pretty";

export type Log = pino.Logger;

/** Fields that never reach a log, wherever they stand. */
const SECRETS = [
  "secret",
  "*.secret",
  "token",
  "*.token",
  "password",
  "*.password",
  "authorization",
  "*.authorization",
];

/**
 * A logger named after its mode. `pino` transports are worker threads that a compiled binary cannot load, so the pretty
 * printer is a plain stream.
 */
export function createLog(name: string, level: string, human: boolean): Log {
  const options = { name, level, base: { name }, timestamp: pino.stdTimeFunctions.isoTime, redact: SECRETS };
  if (human) return pino(options, pretty({ colorize: true, sync: true, destination: 2, ignore: "name" }));
  return pino(options, pino.destination({ dest: 2, sync: true }));
}
