%% A stand-in for Riak KV in tests: not Riak, but nodes that really are distributed Erlang, keep their keys on disk and hand
%% partitions over. It starts like Riak: HTTP answers /ping first, the key-value service comes up a good while later.
-module(standin_app).
-behaviour(application).
-behaviour(supervisor).
-export([start/2, prep_stop/1, stop/1, init/1, kv_up/0, kv_is_up/0, kv_is_up_on/1, announce/0]).

-define(KV_AFTER_MS, 1500).
%% What others have asked of a node that stops is still answered.
-define(STOP_AFTER_MS, 300).

start(_Type, _Args) ->
    standin_conf:load(),
    standin_counters = ets:new(standin_counters, [named_table, public, {write_concurrency, true}]),
    standin_services = ets:new(standin_services, [named_table, public, {read_concurrency, true}]),
    ok = standin_http:start(),
    ok = standin_pb:start(),
    %% Riak holds these ports too. Its handoff goes over one of its own; here it goes with the distribution.
    {HandoffIp, HandoffPort} = {standin_conf:get("handoff.ip", "0.0.0.0"), standin_conf:get("handoff.port", "8099")},
    _ = listen(HandoffIp, list_to_integer(HandoffPort), []),
    {ManagerIp, ManagerPort} = standin_conf:advanced(riak_core, cluster_mgr, {"127.0.0.1", 9080}),
    _ = listen(ManagerIp, ManagerPort, []),
    {ok, Pid} = supervisor:start_link({local, standin_sup}, ?MODULE, []),
    {ok, _} = timer:apply_after(?KV_AFTER_MS, ?MODULE, kv_up, []),
    standin_conf:log("stand-in for Riak KV: ~s is starting", [node()]),
    {ok, Pid}.

%% The service goes first, and the others know it before the replicas here are gone.
prep_stop(State) ->
    persistent_term:erase(standin_kv_up),
    announce(),
    timer:sleep(?STOP_AFTER_MS),
    State.

stop(_State) -> ok.

init([]) ->
    Child = fun(Module) -> #{id => Module, start => {Module, start_link, []}} end,
    {ok, {#{strategy => one_for_all, intensity => 0}, [Child(standin_store), Child(standin_cluster)]}}.

kv_up() ->
    persistent_term:put(standin_kv_up, true),
    announce(),
    standin_conf:log("riak_kv is up", []).

kv_is_up() -> persistent_term:get(standin_kv_up, false).

%% As it was announced last; a node that is away is forgotten.
kv_is_up_on(Node) -> ets:lookup(standin_services, Node) =:= [{Node, true}].

announce() -> erpc:multicast([node() | nodes()], ets, insert, [standin_services, {node(), kv_is_up()}]).

%% The application's own process holds the socket: without it, the port would be given back.
listen(Ip, Port, Options) ->
    {ok, Address} = inet:parse_address(Ip),
    case gen_tcp:listen(Port, [{ip, Address}, {reuseaddr, true} | Options]) of
        {ok, Socket} -> Socket;
        {error, Reason} -> exit({cannot_listen, Ip, Port, Reason})
    end.
