// What a command shows to people: lines of text and tables, not laid out yet.

/** Rows of cells, the head first. */
export type Table = readonly (readonly string[])[];

export type Page = readonly (string | Table)[];
