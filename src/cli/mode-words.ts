// Which words after a mode's name are an operator's command, and which after a command's name are a mode's.

/** Below `ringmaster director`; every other word there belongs to the mode. */
export const DIRECTOR_WORDS = [
  ...["status", "nodes", "clusters", "frameworks", "configure"],
  ...["config", "install", "uninstall", "wait-for-service", "endpoints"],
] as const;

export function isDirectorWord(word: string | undefined): boolean {
  return DIRECTOR_WORDS.some((known) => known === word);
}

/** Below `ringmaster framework`: it opens the store, which the commands never do. */
export const CLEAN = "clean-metadata";
