// The options that name a database's settings, the same wherever a cluster gets some.
import type { Command } from "@commander-js/extra-typings";
import { collected } from "./arguments.ts";
import type { SettingFiles } from "./request.ts";

/** Adds the options to a command that takes one argument at most, and has other options already. */
export function withSettingFiles<Args extends unknown[], Options extends Record<string, unknown>>(
  command: Command<Args, Options>,
) {
  return command
    .option("--setting-file <file>", "YAML or JSON with the database's settings; may be repeated", collected)
    .option("--riak-conf <file>", `Riak's riak.conf, short for the setting "riak.conf"`)
    .option("--advanced-config <file>", `Riak's advanced.config, short for the setting "advanced.config"`)
    .option("--set <path=value>", "one setting, e.g. cassandra.yaml.num_tokens=16; may be repeated", collected);
}

/** The files that the options name. */
export function settingFilesOf(options: {
  readonly settingFile?: readonly string[] | undefined;
  readonly riakConf?: string | undefined;
  readonly advancedConfig?: string | undefined;
}): SettingFiles {
  const { settingFile: trees = [], riakConf, advancedConfig } = options;
  return {
    trees,
    texts: {
      ...(riakConf === undefined ? {} : { "riak.conf": riakConf }),
      ...(advancedConfig === undefined ? {} : { "advanced.config": advancedConfig }),
    },
  };
}
