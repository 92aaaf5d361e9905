%% Reads and writes over the ring: three replicas, two of them on disk before a write is acknowledged.
-module(standin_kv).
-export([put/2, get/1, keys/2, buckets/1, stats/0, count/1, version/0]).

-define(N_VAL, 3).
-define(QUORUM, 2).
-define(TIMEOUT_MS, 5000).

%% Key: {Type, Bucket, Key}. Content: {Value, ContentType} or deleted. {ok, Stamp} or {error, Reason}.
put(Key, Content) ->
    count(node_puts),
    Stamp = {erlang:system_time(microsecond), erlang:unique_integer([monotonic]), node()},
    write(Key, {Stamp, Content}, preflist(Key)).

write(Key, Object, Targets) ->
    Acks = [Node || {{_, Node}, ok} <- ask(Targets, fun(Index) -> {put, [Index, [{Key, Object}]]} end)],
    %% Two replicas may lie on one node when there are few: then an acknowledged write is on two nodes all the same.
    Places = min(?QUORUM, length(lists:usort([Node || {_, Node} <- Targets]))),
    case length(Acks) >= min(?QUORUM, length(Targets)) andalso length(lists:usort(Acks)) >= Places of
        true -> {ok, element(1, Object)};
        false -> {error, insufficient_vnodes}
    end.

%% {ok, {Stamp, Content}}, notfound, or {error, Reason}. Replicas that are behind are repaired.
get(Key) ->
    count(node_gets),
    Targets = preflist(Key),
    Answers = [{Target, Answer} || {Target, Answer} <- ask(Targets, fun(Index) -> {get, [Index, Key]} end),
                                   Answer =:= notfound orelse element(1, Answer) =:= ok],
    case {length(Answers) >= min(?QUORUM, length(Targets)), lists:max([none | [Object || {_, {ok, Object}} <- Answers]])} of
        {false, _} -> {error, insufficient_vnodes};
        {true, none} -> notfound;
        {true, Newest} ->
            case [Target || {Target, Answer} <- Answers, Answer =/= {ok, Newest}] of
                [] -> ok;
                Behind -> spawn(fun() -> write(Key, Newest, Behind) end)
            end,
            case Newest of
                {_, deleted} -> notfound;
                _ -> {ok, Newest}
            end
    end.

%% The partitions of a key's replicas, each with its owner, or with another node while that is away.
preflist(Key) ->
    #{size := Size} = Ring = standin_cluster:ring(),
    First = erlang:phash2(Key, Size),
    Indexes = [(First + Step) rem Size || Step <- lists:seq(0, min(?N_VAL, Size) - 1)],
    Up = [Node || Node <- standin_ring:members(Ring, [valid, leaving, exiting]), standin_app:kv_is_up_on(Node)],
    Owners = [{Index, standin_ring:owner(Ring, Index)} || Index <- Indexes],
    Spare = Up -- [Owner || {_, Owner} <- Owners],
    place(Owners, Up, Spare).

place([], _, _) -> [];
place([{Index, Owner} | Rest], Up, Spare) ->
    case {lists:member(Owner, Up), Spare} of
        {true, _} -> [{Index, Owner} | place(Rest, Up, Spare)];
        {false, [Node | Others]} -> [{Index, Node} | place(Rest, Up, Others)];
        {false, []} -> [{Index, hd(Up ++ [node()])} | place(Rest, Up, [])]
    end.

%% Asks the stores at once; answers as [{Target, Answer}].
ask(Targets, Call) ->
    Requests = [{Target, erpc:send_request(Node, fun_of(Call(Index)))} || {Index, Node} = Target <- Targets],
    Deadline = erlang:monotonic_time(millisecond) + ?TIMEOUT_MS,
    [{Target, answer(Request, Deadline)} || {Target, Request} <- Requests].

fun_of({Function, Args}) -> fun() -> apply(standin_store, Function, Args) end.

answer(Request, Deadline) ->
    try erpc:receive_response(Request, max(0, Deadline - erlang:monotonic_time(millisecond)))
    catch Class:Reason -> {Class, Reason}
    end.

keys(Type, Bucket) ->
    Found = lists:append(everywhere(listing, [Type, Bucket])),
    Newest = lists:foldl(fun({Key, Stamp, Deleted}, Map) ->
                                 maps:update_with(Key, fun(Other) -> max(Other, {Stamp, Deleted}) end, {Stamp, Deleted}, Map)
                         end, #{}, Found),
    [Key || {Key, {_, false}} <- lists:sort(maps:to_list(Newest))].

buckets(Type) -> lists:usort(lists:append(everywhere(buckets, [Type]))).

everywhere(Function, Args) ->
    Members = [Node || Node <- standin_ring:members(standin_cluster:ring()), lists:member(Node, [node() | nodes()])],
    [Answer || {ok, Answer} <- erpc:multicall(Members, standin_store, Function, Args, ?TIMEOUT_MS)].

count(Name) -> ets:update_counter(standin_counters, Name, 1, {Name, 0}).

%% The version that the package was made with.
version() ->
    {ok, Version} = application:get_key(riak, vsn),
    list_to_binary(Version).

%% Some of the keys that Riak's own /stats has.
stats() ->
    Counted = maps:from_list(ets:tab2list(standin_counters)),
    Total = fun(Name) -> maps:get(Name, Counted, 0) end,
    #{size := Size} = Ring = standin_cluster:ring(),
    Text = fun(Atom) -> atom_to_binary(Atom) end,
    Memory = erlang:memory(),
    #{nodename => Text(node()), riak_kv_version => version(), storage_backend => <<"stand-in">>,
      node_gets => Total(node_gets), node_gets_total => Total(node_gets),
      node_puts => Total(node_puts), node_puts_total => Total(node_puts),
      pbc_active => Total(pbc_active), pbc_connects_total => Total(pbc_connects_total),
      ring_creation_size => Size, ring_num_partitions => Size,
      ring_members => [Text(Node) || Node <- standin_ring:members(Ring)],
      connected_nodes => [Text(Node) || Node <- nodes()],
      memory_total => proplists:get_value(total, Memory), memory_processes => proplists:get_value(processes, Memory),
      memory_ets => proplists:get_value(ets, Memory), sys_process_count => erlang:system_info(process_count),
      cpu_nprocs => erlang:system_info(logical_processors)}.
