// What the commands' definitions share: readers of option values, examples in help, and the way from words to a Task.
import { InvalidArgumentError } from "@commander-js/extra-typings";
import { Failure } from "./failure.ts";
import type { Task, View } from "./request.ts";

/** The environment that the commands see. */
export type Env = Readonly<Record<string, string | undefined>>;

/** Where a command's action puts what is to be done. */
export type Ask = (task: Task) => void;

/** How long a plan is followed when nobody says: a large cluster joins one node after the other. */
export const PLAN_SECONDS = 7200;

/** How long `wait-for-service` waits when nobody says. */
export const SERVICE_SECONDS = 1800;

/** What options say that follow the plan a command becomes. */
export const FOLLOW = "tell on stderr what happens, until the plan is over";
export const TIMEOUT = `wait no longer than this (default: ${PLAN_SECONDS}); implies --wait`;

/** How long to follow the plan, if at all. */
export function waitOf(wait: true | undefined, timeoutMs: number | undefined): { readonly waitMs?: number } {
  if (wait === undefined && timeoutMs === undefined) return {};
  return { waitMs: timeoutMs ?? PLAN_SECONDS * 1000 };
}

/** Asks for a view of what the API has at these path segments. */
export function show(ask: Ask, view: View, ...segments: readonly string[]): void {
  ask({ type: "show", view, path: `/api/v1/${segments.map(encodeURIComponent).join("/")}` });
}

/** Help text below a command's options. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join("\n")}`;
}

/** A time in seconds, fractions allowed, as milliseconds. */
export function secondsAsMs(text: string): number {
  const value = numberOf(text);
  if (!(value > 0 && value <= 1e6)) throw new InvalidArgumentError(`Found "${text}", wanted seconds, more than 0.`);
  return Math.round(value * 1000);
}

export function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError(`Found "${text}", wanted a whole number.`);
  return Number(text);
}

export function decimalNumber(text: string): number {
  const value = numberOf(text);
  if (!(value >= 0)) throw new InvalidArgumentError(`Found "${text}", wanted a number such as 0.5.`);
  return value;
}

function numberOf(text: string): number {
  return /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
}

/** An option that may be given several times. */
export function collected(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

/** `K=V`, given several times. */
export function collectedPair(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError(`Found "${text}", wanted NAME=VALUE.`);
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** `name=PORT`, given several times. */
export function collectedPort(
  text: string,
  before: Readonly<Record<string, number>> = {},
): Readonly<Record<string, number>> {
  const [, name, port] = /^([^=]+)=(\d{1,5})$/.exec(text) ?? [];
  if (name === undefined) throw new InvalidArgumentError(`Found "${text}", wanted NAME=PORT, e.g. native=9042.`);
  return { ...before, [name]: Number(port) };
}

/** A server's URL without a slash at its end; `source` is what said it. Throws a usage Failure for what is none. */
export function urlOf(text: string, source: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "http:" || url?.protocol === "https:")
    return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
  throw new Failure("usage", `Cannot read ${source}: found "${text}", wanted a URL such as http://127.0.0.1:8080`);
}
