// The operator's commands below `ringmaster director`; every other word there belongs to the mode.

export const DIRECTOR_WORDS = [
  ...["status", "nodes", "clusters", "frameworks", "configure"],
  ...["config", "install", "uninstall", "wait-for-service", "endpoints"],
] as const;

export function isDirectorWord(word: string | undefined): boolean {
  return DIRECTOR_WORDS.some((known) => known === word);
}
