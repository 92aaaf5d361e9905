// Mesos resources as plain data, and the sums over them that placement needs.

/** Both ends included. */
export type Range = { readonly begin: number; readonly end: number };

export type Labels = Readonly<Record<string, string>>;

/** One level of a reservation (Mesos' reservation refinement keeps a stack of them). */
export type Reservation = {
  readonly type: "STATIC" | "DYNAMIC";
  readonly role: string;
  readonly principal?: string;
  readonly labels: Labels;
};

/** Where a disk comes from when it is not the agent's root disk. */
export type DiskSource = {
  readonly type: "PATH" | "MOUNT" | "BLOCK" | "RAW";
  readonly root?: string;
  readonly id?: string;
  readonly profile?: string;
  readonly vendor?: string;
  readonly metadata?: Labels;
};

export type Volume = { readonly id: string; readonly principal?: string; readonly containerPath: string };

/** A resource as an offer has it and an operation names it. Exactly one of `scalar` and `ranges` is set. */
export type Resource = {
  readonly name: string;
  readonly scalar?: number;
  readonly ranges?: readonly Range[];
  /** Empty: unreserved. */
  readonly reservations: readonly Reservation[];
  /** Role that the offer's resources are allocated to. */
  readonly allocatedTo?: string;
  readonly volume?: Volume;
  readonly source?: DiskSource;
  readonly providerId?: string;
};
