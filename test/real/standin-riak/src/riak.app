{application, riak, [
  {description, "A stand-in for Riak KV in the tests of Ringmaster"},
  {vsn, "VERSION"},
  {registered, [standin_sup, standin_store, standin_cluster]},
  {applications, [kernel, stdlib]},
  {modules, [standin_app, standin_cluster, standin_conf, standin_console, standin_http, standin_kv, standin_nodetool,
             standin_pb, standin_ring, standin_store]},
  {mod, {standin_app, []}}]}.
