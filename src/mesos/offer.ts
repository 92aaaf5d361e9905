// An offer of an agent's resources.
import type { Resource } from "./resources.ts";

export type Offer = {
  readonly id: string;
  readonly agentId: string;
  readonly hostname: string;
  /** The agent's IP address and port, where the offer tells. */
  readonly address?: { readonly ip: string; readonly port: number };
  readonly region?: string;
  readonly zone?: string;
  /** Attributes as text: scalars as Mesos prints them (up to three decimals), ranges and sets in brackets and braces. */
  readonly attributes: Readonly<Record<string, string>>;
  /** What we can use: scalars and ranges, neither revocable nor shared. */
  readonly resources: readonly Resource[];
  readonly unavailability?: { readonly startMs: number; readonly durationMs?: number };
};

export type InverseOffer = {
  readonly id: string;
  readonly agentId?: string;
  readonly unavailability: { readonly startMs: number; readonly durationMs?: number };
};
