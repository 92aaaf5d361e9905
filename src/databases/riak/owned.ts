// What of Riak's configuration Ringmaster sets itself, with where each value comes from: nobody else may set it.

const ADDRESS = "the agent's address";
const VOLUME = "the node's persistent volume";
const SANDBOX = "the sandbox";

/** Keys of riak.conf that Ringmaster sets. Longer keys that go on after a dot are owned as well. */
const OWNED_CONF: readonly (readonly [key: string, from: string])[] = [
  ["nodename", "the node's id and its agent"],
  ["distributed_cookie", "the framework"],
  ["listener", 'the agent\'s address and the node\'s ports "http" and "pb"'],
  ["handoff.ip", ADDRESS],
  ["handoff.port", 'the node\'s port "handoff"'],
  ["erlang.distribution.port_range", 'the node\'s port "dist"'],
  ["mdc.cluster_manager", "the agent's address and the node's port \"cluster_manager\""],
  ["platform_data_dir", VOLUME],
  ["platform_log_dir", SANDBOX],
  ["platform_etc_dir", SANDBOX],
  ["platform_bin_dir", "the package"],
  ["platform_lib_dir", "the package"],
];

/** Where the value of a key of riak.conf comes from, when it is not the operator's to set. */
export function ownedKey(key: string): string | undefined {
  return OWNED_CONF.find(([owned]) => key === owned || key.startsWith(`${owned}.`))?.[1];
}

/**
 * For a key that names a place on disk, how its value must begin: data only lies on the volume, logs in the sandbox.
 * Undefined: the key names none of them.
 */
export function placeOf(key: string): string | undefined {
  if (/(?:^|[._])(?:data_?root|data_?dir|state_?dir|root_?dir)$/.test(key)) return "$(platform_data_dir)/";
  return /^(?:log|logger|sasl|erlang)\.(?:.*\.)?(?:file|dir|crash_dump)$/.test(key)
    ? "$(platform_log_dir)/"
    : undefined;
}

/** Settings of advanced.config that Ringmaster sets, by application; each is the whole name. */
const OWNED_ADVANCED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  riak_core: {
    handoff_ip: ADDRESS,
    handoff_port: 'the node\'s port "handoff"',
    cluster_mgr: 'the node\'s port "cluster_manager"',
    http: 'the node\'s port "http"',
    https: 'the node\'s port "http"',
    platform_data_dir: VOLUME,
    platform_log_dir: SANDBOX,
    platform_etc_dir: SANDBOX,
  },
  riak_api: {
    http: 'the node\'s port "http"',
    https: 'the node\'s port "http"',
    pb: 'the node\'s port "pb"',
    pb_ip: ADDRESS,
    pb_port: 'the node\'s port "pb"',
  },
  kernel: {
    inet_dist_listen_min: 'the node\'s port "dist"',
    inet_dist_listen_max: 'the node\'s port "dist"',
    inet_dist_use_interface: ADDRESS,
    erl_epmd_node_listen_port: 'the node\'s port "dist"',
  },
  vm_args: {
    "-name": "the node's id and its agent",
    "-sname": "the node's id and its agent",
    "-setcookie": "the framework",
    "-epmd_module": "cEPMD",
    "-start_epmd": "cEPMD",
    "-erl_epmd_port": "cEPMD",
  },
};

/** Where the value of a setting of advanced.config comes from, when it is not the operator's to set. */
export function ownedSetting(application: string, setting: string): string | undefined {
  const owned = OWNED_ADVANCED[application];
  if (owned !== undefined && Object.hasOwn(owned, setting)) return owned[setting];
  return placeOf(setting) === "$(platform_data_dir)/" ? `${VOLUME}; riak.conf can name folders of it` : undefined;
}

/** Where the value of an environment variable comes from, when it is not the operator's to set. */
export function ownedEnvironment(name: string): string | undefined {
  if (/^ERL_(?:EPMD_PORT|EPMD_ADDRESS|DIST_PORT)$/.test(name)) return "the node's ports";
  if (/^ERL_(?:A|Z)?FLAGS$/.test(name)) return 'the executor; settings."advanced.config" can have vm_args';
  if (/^(?:RUNNER|RELX)_|^(?:CODE_LOADING_MODE|VMARGS_PATH|PIPE_DIR|RIAK_PATH|HOME)$/.test(name))
    return "the release that is made of the package";
  return undefined;
}
