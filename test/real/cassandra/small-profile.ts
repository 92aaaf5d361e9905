// Settings of the smallest Cassandra that was measured to start and serve: about 520 MB of memory, so that three fit on a
// small machine. The two system properties shorten a start and are for tests and the demo only.

export const SMALL_PROFILE = {
  "cassandra.yaml": {
    num_tokens: 8,
    memtable_heap_space: "16MiB",
    memtable_offheap_space: "16MiB",
    commitlog_segment_size: "4MiB",
    commitlog_total_space: "64MiB",
    key_cache_size: "1MiB",
    counter_cache_size: "0MiB",
    file_cache_size: "16MiB",
    networking_cache_size: "16MiB",
    concurrent_reads: 4,
    concurrent_writes: 4,
    concurrent_counter_writes: 2,
    native_transport_max_threads: 8,
    memtable_flush_writers: 1,
    concurrent_compactors: 1,
  },
  "jvm.options": [
    "-Xms192M",
    "-Xmx192M",
    "-Xss256k",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:MaxMetaspaceSize=160M",
    "-XX:ReservedCodeCacheSize=64M",
    "-Dcassandra.ring_delay_ms=1000",
    "-Dcassandra.skip_wait_for_gossip_to_settle=0",
  ],
} as const;
