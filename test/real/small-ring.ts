// Settings of a Riak that settles quickly: a small ring, and timers that are for tests and the demo only.

export const SMALL_RING = {
  "riak.conf": { ring_size: "16" },
  "advanced.config": `[{riak_core, [{vnode_management_timer, 1000}, {vnode_inactivity_timeout, 1000},
               {gossip_interval, 1000}, {handoff_concurrency, 8}]}].
`,
} as const;
