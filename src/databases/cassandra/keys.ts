// Every key that Cassandra 4.1 and 5.0 read from cassandra.yaml, with its kind of value. Data: test/real/cassandra/Keys.java
// prints it from the Config class of a version's jar, and test/real/cassandra/keys.test.ts compares the two.

/** How a value is written: "period" is a duration or whole seconds; "class" a name, or a map with class_name and parameters. */
export type Kind =
  | "bool"
  | "int"
  | "float"
  | "string"
  | "enum"
  | "duration"
  | "period"
  | "storage"
  | "rate"
  | "class"
  | "object"
  | "list"
  | "map";

/** `replacedBy`: this is the old name of that key. `values`: of an enum. */
export type Key = { readonly kind: Kind; readonly replacedBy?: string; readonly values?: readonly string[] };

/** Words `name`, `name>new name` for an old name, `name=a|b` for an enum; led by "-" only in 4.1, by "+" only in 5.0. */
const KEYS: Readonly<Record<Kind, string>> = {
  bool: `
    allow_extra_insecure_udfs allow_filtering_enabled allow_insecure_udfs +alter_table_enabled
    auth_cache_warming_enabled auto_bootstrap auto_hints_cleanup_enabled auto_optimise_full_repair_streams
    auto_optimise_inc_repair_streams auto_optimise_preview_repair_streams auto_snapshot
    autocompaction_on_startup_enabled automatic_sstable_upgrade back_pressure_enabled block_for_peers_in_remote_dcs
    buffer_pool_use_heap_if_exhausted cdc_block_writes cdc_enabled +cdc_on_repair_enabled
    check_for_duplicate_rows_during_compaction check_for_duplicate_rows_during_reads
    +client_request_size_metrics_enabled compact_tables_enabled credentials_cache_active_update
    cross_node_timeout>internode_timeout +default_secondary_index_enabled denylist_range_reads_enabled
    denylist_reads_enabled denylist_writes_enabled diagnostic_events_enabled drop_compact_storage_enabled
    +drop_keyspace_enabled drop_truncate_table_enabled +dump_heap_on_uncaught_exception
    +dynamic_data_masking_enabled dynamic_snitch enable_drop_compact_storage>drop_compact_storage_enabled
    enable_materialized_views>materialized_views_enabled enable_sasi_indexes>sasi_indexes_enabled
    enable_scripted_user_defined_functions>scripted_user_defined_functions_enabled
    enable_transient_replication>transient_replication_enabled
    enable_user_defined_functions>user_defined_functions_enabled
    enable_user_defined_functions_threads>user_defined_functions_threads_enabled enforce_native_deadline_for_hints
    file_cache_enabled file_cache_round_up force_new_prepared_statement_behaviour group_by_enabled
    hint_window_persistent_enabled hinted_handoff_enabled incremental_backups inter_dc_tcp_nodelay internode_timeout
    +intersect_filtering_query_enabled +intersect_filtering_query_warned
    invalid_legacy_protocol_magic_no_spam_enabled +key_cache_invalidate_after_sstable_deletion
    key_cache_migrate_during_compaction listen_interface_prefer_ipv6 listen_on_broadcast_address
    log_out_of_token_range_requests materialized_views_enabled native_transport_allow_older_protocols
    native_transport_flush_in_batches_legacy native_transport_rate_limiting_enabled
    native_transport_throw_on_overload +non_partition_restricted_index_query_enabled partition_denylist_enabled
    paxos_repair_enabled paxos_topology_repair_no_dc_checks paxos_topology_repair_strict_each_quorum
    permissions_cache_active_update read_before_write_list_operations_enabled read_thresholds_enabled
    reject_out_of_token_range_requests repaired_data_tracking_for_partition_reads_enabled
    repaired_data_tracking_for_range_reads_enabled report_unconfirmed_repaired_data_mismatches
    roles_cache_active_update rpc_interface_prefer_ipv6 rpc_keepalive sasi_indexes_enabled
    scripted_user_defined_functions_enabled secondary_indexes_enabled +simplestrategy_enabled
    skip_paxos_repair_on_topology_change +skip_stream_disk_space_check snapshot_before_compaction
    snapshot_on_duplicate_row_detection snapshot_on_repaired_data_mismatch +sstable_read_rate_persistence_enabled
    start_native_transport stream_entire_sstables streaming_stats_enabled top_partitions_enabled
    transfer_hints_on_decommission transient_replication_enabled traverse_auth_from_root trickle_fsync
    uncompressed_tables_enabled use_creation_time_for_hint_ttl use_deterministic_table_id use_offheap_merkle_trees
    use_statements_enabled user_defined_functions_enabled user_defined_functions_threads_enabled
    user_timestamps_enabled uuid_sstable_identifiers_enabled +vector_type_enabled +zero_ttl_on_twcs_enabled
    +zero_ttl_on_twcs_warned`,
  int: `
    allocate_tokens_for_local_replication_factor available_processors
    batch_size_fail_threshold_in_kb>batch_size_fail_threshold
    batch_size_warn_threshold_in_kb>batch_size_warn_threshold
    batchlog_replay_throttle_in_kb>batchlog_replay_throttle block_for_peers_timeout_in_secs
    cache_load_timeout_seconds>cache_load_timeout cas_contention_timeout_in_ms>cas_contention_timeout
    cdc_free_space_check_interval_ms>cdc_free_space_check_interval cdc_total_space_in_mb>cdc_total_space
    column_index_cache_size_in_kb>column_index_cache_size column_index_size_in_kb>column_index_size
    columns_per_table_fail_threshold columns_per_table_warn_threshold commitlog_max_compression_buffers_in_pool
    -commitlog_periodic_queue_size commitlog_segment_size_in_mb>commitlog_segment_size
    commitlog_sync_period_in_ms>commitlog_sync_period commitlog_total_space_in_mb>commitlog_total_space
    -compaction_large_partition_warning_threshold_mb>compaction_large_partition_warning_threshold
    +compaction_large_partition_warning_threshold_mb>partition_size_warn_threshold
    compaction_throughput_mb_per_sec>compaction_throughput -compaction_tombstone_warning_threshold
    +compaction_tombstone_warning_threshold>partition_tombstones_warn_threshold concurrent_compactors
    concurrent_counter_writes +concurrent_index_builders concurrent_materialized_view_builders
    concurrent_materialized_view_writes concurrent_merkle_tree_requests concurrent_reads -concurrent_replicates
    concurrent_validations concurrent_writes consecutive_message_errors_threshold counter_cache_keys_to_save
    counter_cache_size_in_mb>counter_cache_size counter_write_request_timeout_in_ms>counter_write_request_timeout
    credentials_cache_max_entries credentials_update_interval_in_ms>credentials_update_interval
    credentials_validity_in_ms>credentials_validity data_disk_usage_percentage_fail_threshold
    data_disk_usage_percentage_warn_threshold default_keyspace_rf denylist_max_keys_per_table
    denylist_max_keys_total dynamic_snitch_reset_interval_in_ms>dynamic_snitch_reset_interval
    dynamic_snitch_update_interval_in_ms>dynamic_snitch_update_interval fields_per_udt_fail_threshold
    fields_per_udt_warn_threshold file_cache_size_in_mb>file_cache_size gc_log_threshold_in_ms>gc_log_threshold
    gc_warn_threshold_in_ms>gc_warn_threshold hinted_handoff_throttle_in_kb>hinted_handoff_throttle
    hints_flush_period_in_ms>hints_flush_period in_select_cartesian_product_fail_threshold
    in_select_cartesian_product_warn_threshold index_summary_capacity_in_mb>index_summary_capacity
    index_summary_resize_interval_in_minutes>index_summary_resize_interval
    initial_range_tombstone_list_allocation_size
    inter_dc_stream_throughput_outbound_megabits_per_sec>inter_dc_stream_throughput_outbound
    internode_application_receive_queue_capacity_in_bytes>internode_application_receive_queue_capacity
    internode_application_receive_queue_reserve_endpoint_capacity_in_bytes>internode_application_receive_queue_reserve_endpoint_capacity
    internode_application_receive_queue_reserve_global_capacity_in_bytes>internode_application_receive_queue_reserve_global_capacity
    internode_application_send_queue_capacity_in_bytes>internode_application_send_queue_capacity
    internode_application_send_queue_reserve_endpoint_capacity_in_bytes>internode_application_send_queue_reserve_endpoint_capacity
    internode_application_send_queue_reserve_global_capacity_in_bytes>internode_application_send_queue_reserve_global_capacity
    internode_max_message_size_in_bytes>internode_max_message_size
    internode_recv_buff_size_in_bytes>internode_socket_receive_buffer_size
    internode_send_buff_size_in_bytes>internode_socket_send_buffer_size
    internode_socket_receive_buffer_size_in_bytes>internode_socket_receive_buffer_size
    internode_socket_send_buffer_size_in_bytes>internode_socket_send_buffer_size
    internode_streaming_tcp_user_timeout_in_ms>internode_streaming_tcp_user_timeout
    internode_tcp_connect_timeout_in_ms>internode_tcp_connect_timeout
    internode_tcp_user_timeout_in_ms>internode_tcp_user_timeout items_per_collection_fail_threshold
    items_per_collection_warn_threshold key_cache_keys_to_save key_cache_size_in_mb>key_cache_size
    -keyspace_count_warn_threshold +keyspace_count_warn_threshold>keyspaces_warn_threshold keyspaces_fail_threshold
    keyspaces_warn_threshold materialized_views_per_table_fail_threshold materialized_views_per_table_warn_threshold
    max_concurrent_automatic_sstable_upgrades max_hint_window_in_ms>max_hint_window max_hints_delivery_threads
    max_hints_file_size_in_mb>max_hints_file_size max_mutation_size_in_kb>max_mutation_size max_streaming_retries
    max_top_size_partition_count max_top_tombstone_partition_count max_value_size_in_mb>max_value_size
    +maximum_replication_factor_fail_threshold +maximum_replication_factor_warn_threshold memtable_flush_writers
    memtable_heap_space_in_mb>memtable_heap_space memtable_offheap_space_in_mb>memtable_offheap_space
    min_free_space_per_drive_in_mb>min_free_space_per_drive min_tracked_partition_tombstone_count
    minimum_replication_factor_fail_threshold minimum_replication_factor_warn_threshold
    native_transport_idle_timeout_in_ms>native_transport_idle_timeout native_transport_max_auth_threads
    native_transport_max_concurrent_connections native_transport_max_concurrent_connections_per_ip
    native_transport_max_concurrent_requests_in_bytes>native_transport_max_request_data_in_flight
    native_transport_max_concurrent_requests_in_bytes_per_ip>native_transport_max_request_data_in_flight_per_ip
    native_transport_max_frame_size_in_mb>native_transport_max_frame_size
    -native_transport_max_negotiable_protocol_version native_transport_max_requests_per_second
    native_transport_max_threads native_transport_port native_transport_port_ssl
    native_transport_receive_queue_capacity_in_bytes>native_transport_receive_queue_capacity
    networking_cache_size_in_mb>networking_cache_size num_tokens otc_backlog_expiration_interval_ms
    otc_coalescing_enough_coalesced_messages otc_coalescing_window_us page_size_fail_threshold
    page_size_warn_threshold partition_keys_in_select_fail_threshold partition_keys_in_select_warn_threshold
    +partition_tombstones_fail_threshold +partition_tombstones_warn_threshold paxos_repair_parallelism
    periodic_commitlog_sync_lag_block_in_ms>periodic_commitlog_sync_lag_block permissions_cache_max_entries
    permissions_update_interval_in_ms>permissions_update_interval permissions_validity_in_ms>permissions_validity
    prepared_statements_cache_size_mb>prepared_statements_cache_size
    range_request_timeout_in_ms>range_request_timeout read_request_timeout_in_ms>read_request_timeout
    reject_repair_compaction_threshold repair_command_pool_size repair_request_timeout_in_ms>repair_request_timeout
    repair_session_max_tree_depth repair_session_space_in_mb>repair_session_space repair_state_size
    request_timeout_in_ms>request_timeout roles_cache_max_entries roles_update_interval_in_ms>roles_update_interval
    roles_validity_in_ms>roles_validity row_cache_keys_to_save row_cache_size_in_mb>row_cache_size
    +sai_sstable_indexes_per_query_fail_threshold +sai_sstable_indexes_per_query_warn_threshold
    secondary_indexes_per_table_fail_threshold secondary_indexes_per_table_warn_threshold
    slow_query_log_timeout_in_ms>slow_query_log_timeout snapshot_links_per_second ssl_storage_port
    sstable_preemptive_open_interval_in_mb>sstable_preemptive_open_interval storage_port
    stream_throughput_outbound_megabits_per_sec>stream_throughput_outbound streaming_connections_per_host
    streaming_keep_alive_period_in_secs>streaming_keep_alive_period -table_count_warn_threshold
    +table_count_warn_threshold>tables_warn_threshold tables_fail_threshold tables_warn_threshold
    tombstone_failure_threshold tombstone_warn_threshold tracetype_query_ttl>trace_type_query_ttl
    tracetype_repair_ttl>trace_type_repair_ttl trickle_fsync_interval_in_kb>trickle_fsync_interval
    truncate_request_timeout_in_ms>truncate_request_timeout unlogged_batch_across_partitions_warn_threshold
    user_defined_function_fail_timeout>user_defined_functions_fail_timeout
    user_defined_function_warn_timeout>user_defined_functions_warn_timeout
    validation_preview_purge_head_start_in_sec>validation_preview_purge_head_start +vector_dimensions_fail_threshold
    +vector_dimensions_warn_threshold windows_timer_interval write_request_timeout_in_ms>write_request_timeout`,
  float: `
    -commitlog_sync_batch_window_in_ms commitlog_sync_group_window_in_ms>commitlog_sync_group_window
    disk_optimization_estimate_percentile disk_optimization_page_cross_chance dynamic_snitch_badness_threshold
    +max_space_usable_for_compactions_in_percentage memtable_cleanup_threshold
    native_transport_queue_max_item_age_threshold phi_convict_threshold range_tombstone_list_growth_factor
    +severity_during_decommission`,
  string: `
    allocate_tokens_for_keyspace auth_read_consistency_level auth_write_consistency_level -authenticator -authorizer
    auto_snapshot_ttl broadcast_address broadcast_rpc_address cdc_raw_directory cluster_name commitlog_directory
    +default_secondary_index endpoint_snitch failure_detector +heap_dump_path hints_directory initial_token
    -internode_authenticator listen_address listen_interface local_system_data_file_directory -network_authorizer
    otc_coalescing_strategy partitioner paxos_contention_max_wait paxos_contention_min_delta
    paxos_contention_min_wait paxos_contention_wait_randomizer -role_manager row_cache_class_name rpc_address
    rpc_interface saved_caches_directory`,
  enum: `
    batchlog_endpoint_strategy=random_remote|prefer_local|dynamic_remote|dynamic
    commit_failure_policy=stop|stop_commit|ignore|die
    +commitlog_disk_access_mode=auto|mmap|mmap_index_only|standard|legacy|direct commitlog_sync=periodic|batch|group
    corrupted_tombstone_strategy=disabled|warn|exception cql_start_time=REQUEST|QUEUE
    denylist_consistency_level=ANY|ONE|TWO|THREE|QUORUM|ALL|LOCAL_QUORUM|EACH_QUORUM|SERIAL|LOCAL_SERIAL|LOCAL_ONE|NODE_LOCAL
    -disk_access_mode=auto|mmap|mmap_index_only|standard
    +disk_access_mode=auto|mmap|mmap_index_only|standard|legacy|direct
    disk_failure_policy=best_effort|stop|ignore|stop_paranoid|die disk_optimization_strategy=ssd|spinning
    flush_compression=none|fast|table
    ideal_consistency_level=ANY|ONE|TWO|THREE|QUORUM|ALL|LOCAL_QUORUM|EACH_QUORUM|SERIAL|LOCAL_SERIAL|LOCAL_ONE|NODE_LOCAL
    internode_compression=all|none|dc
    memtable_allocation_type=unslabbed_heap_buffers|unslabbed_heap_buffers_logged|heap_buffers|offheap_buffers|offheap_objects
    paxos_on_linearizability_violations=fail|log|ignore paxos_state_purging=legacy|gc_grace|repaired
    paxos_variant=v1_without_linearizable_reads_or_rejected_writes|v1|v2_without_linearizable_reads|v2_without_linearizable_reads_or_rejected_writes|v2
    repair_command_pool_full_strategy=queue|reject +storage_compatibility_mode=CASSANDRA_4|UPGRADING|NONE
    user_function_timeout_policy=ignore|die|die_immediate`,
  duration: `
    cache_load_timeout cas_contention_timeout cdc_free_space_check_interval commitlog_sync_group_window
    commitlog_sync_period counter_write_request_timeout credentials_update_interval credentials_validity
    denylist_initial_load_retry denylist_refresh dynamic_snitch_reset_interval dynamic_snitch_update_interval
    gc_log_threshold gc_warn_threshold hints_flush_period index_summary_resize_interval
    internode_streaming_tcp_user_timeout internode_tcp_connect_timeout internode_tcp_user_timeout max_hint_window
    +maximum_timestamp_fail_threshold +maximum_timestamp_warn_threshold +minimum_timestamp_fail_threshold
    +minimum_timestamp_warn_threshold native_transport_idle_timeout native_transport_max_backoff_on_queue_overload
    native_transport_min_backoff_on_queue_overload native_transport_timeout paxos_purge_grace_period
    periodic_commitlog_sync_lag_block permissions_update_interval permissions_validity range_request_timeout
    read_request_timeout repair_request_timeout repair_state_expires request_timeout roles_update_interval
    roles_validity slow_query_log_timeout +stream_transfer_task_timeout streaming_keep_alive_period
    streaming_slow_events_log_timeout streaming_state_expires trace_type_query_ttl trace_type_repair_ttl
    truncate_request_timeout user_defined_functions_fail_timeout user_defined_functions_warn_timeout
    validation_preview_purge_head_start write_request_timeout`,
  period: `
    counter_cache_save_period key_cache_save_period row_cache_save_period`,
  storage: `
    batch_size_fail_threshold batch_size_warn_threshold batchlog_replay_throttle cdc_total_space
    collection_size_fail_threshold collection_size_warn_threshold column_index_cache_size column_index_size
    +column_value_size_fail_threshold +column_value_size_warn_threshold commitlog_segment_size commitlog_total_space
    -compaction_large_partition_warning_threshold
    +compaction_large_partition_warning_threshold>partition_size_warn_threshold +compressed_read_ahead_buffer_size
    coordinator_read_size_fail_threshold coordinator_read_size_warn_threshold counter_cache_size
    data_disk_usage_max_disk_size file_cache_size hinted_handoff_throttle index_summary_capacity
    internode_application_receive_queue_capacity internode_application_receive_queue_reserve_endpoint_capacity
    internode_application_receive_queue_reserve_global_capacity internode_application_send_queue_capacity
    internode_application_send_queue_reserve_endpoint_capacity
    internode_application_send_queue_reserve_global_capacity internode_max_message_size
    internode_socket_receive_buffer_size internode_socket_send_buffer_size key_cache_size
    local_read_size_fail_threshold local_read_size_warn_threshold max_hints_file_size max_hints_size_per_host
    max_mutation_size max_value_size memtable_heap_space memtable_offheap_space min_free_space_per_drive
    min_tracked_partition_size native_transport_max_frame_size native_transport_max_message_size
    native_transport_max_request_data_in_flight native_transport_max_request_data_in_flight_per_ip
    native_transport_receive_queue_capacity networking_cache_size +partition_size_fail_threshold
    +partition_size_warn_threshold paxos_cache_size prepared_statements_cache_size repair_session_space
    row_cache_size row_index_read_size_fail_threshold row_index_read_size_warn_threshold
    +sai_frozen_term_size_fail_threshold +sai_frozen_term_size_warn_threshold +sai_string_term_size_fail_threshold
    +sai_string_term_size_warn_threshold +sai_vector_term_size_fail_threshold +sai_vector_term_size_warn_threshold
    sstable_preemptive_open_interval streaming_state_size trickle_fsync_interval`,
  rate: `
    compaction_throughput entire_sstable_inter_dc_stream_throughput_outbound
    entire_sstable_stream_throughput_outbound inter_dc_stream_throughput_outbound stream_throughput_outbound`,
  class: `
    +authenticator +authorizer back_pressure_strategy +cidr_authorizer commitlog_compression +crypto_provider
    +default_compaction hints_compression +internode_authenticator +network_authorizer +role_manager seed_provider`,
  object: `
    audit_logging_options client_encryption_options client_error_reporting_exclusions full_query_logging_options
    internode_error_reporting_exclusions memtable +repair replica_filtering_protection +sai_options
    server_encryption_options +sstable transparent_data_encryption_options`,
  list: `
    data_file_directories hinted_handoff_disabled_datacenters read_consistency_levels_disallowed
    read_consistency_levels_warned skip_paxos_repair_on_topology_change_keyspaces table_properties_disallowed
    table_properties_ignored table_properties_warned write_consistency_levels_disallowed
    write_consistency_levels_warned`,
  map: `
    startup_checks`,
};

const VERSIONS = { "4.1": "-", "5.0": "+" } as const;

/** The release lines that Ringmaster runs. */
export type Line = keyof typeof VERSIONS;

/** The release line of a version such as "5.0.4"; undefined: none that Ringmaster runs. */
export function lineOf(version: string): Line | undefined {
  const line = /^(\d+\.\d+)\.\d+$/.exec(version)?.[1];
  return line !== undefined && line in VERSIONS ? (line as Line) : undefined;
}

/** The keys of a release line by name. */
export function knownKeys(line: Line): ReadonlyMap<string, Key> {
  const keys = new Map<string, Key>();
  for (const [kind, words] of Object.entries(KEYS) as [Kind, string][]) {
    for (const word of words.split(/\s+/)) {
      const [, mark, name, sign, rest] = /^([-+]?)(\w+)(?:([>=])(\S+))?$/.exec(word) ?? [];
      if (name === undefined || (mark !== "" && mark !== VERSIONS[line])) continue;
      if (sign === ">" && rest !== undefined) keys.set(name, { kind, replacedBy: rest });
      else if (sign === "=" && rest !== undefined) keys.set(name, { kind, values: rest.split("|") });
      else keys.set(name, { kind });
    }
  }
  return keys;
}
