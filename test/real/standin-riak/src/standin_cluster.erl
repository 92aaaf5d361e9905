%% This node's view of the ring: gossip, the claimant who alone changes it, and the handing over of partitions.
-module(standin_cluster).
-behaviour(gen_server).
-export([start_link/0, ring/0, is_ready/0, claimant/1, join/1, mark_down/1, waiting/0, version/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

start_link() -> gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

ring() -> persistent_term:get(?MODULE).

version() -> maps:get(version, ring()).

%% Whether every member that is not marked as down has seen this version of the ring.
is_ready() -> gen_server:call(?MODULE, is_ready).

%% Asks the claimant: {stage, Change}, plan, commit, clear, {type, Name, Change}.
claimant(Request) ->
    #{claimant := Claimant} = ring(),
    gen_server:call({?MODULE, Claimant}, Request, 15000).

%% Stages the join of this node to the ring of another.
join(To) ->
    Ring = #{size := Size} = ring(),
    Single = standin_ring:members(Ring) =:= [node()],
    if To =:= node() -> {error, self_join};
       not Single -> {error, not_single_node};
       true ->
           case net_adm:ping(To) of
               pang -> {error, not_reachable};
               pong ->
                   case catch rpc:call(To, ?MODULE, claimant, [{join, node(), Size}], 15000) of
                       {ok, Joined} -> gen_server:call(?MODULE, {adopt, Joined});
                       {error, _} = Error -> Error;
                       _ -> {error, unable_to_get_join_ring}
                   end
           end
    end.

mark_down(Node) ->
    Ring = ring(),
    case {standin_ring:status(Ring, Node), standin_ring:members(Ring), net_adm:ping(Node)} of
        {none, _, _} -> {error, not_member};
        {_, [Node], _} -> {error, only_member};
        {_, _, pong} -> {error, is_up};
        _ ->
            %% Only the claimant changes the ring; when it is the one that is down, another takes its place.
            case Ring of
                #{claimant := Node} -> gen_server:call(?MODULE, {mark_down, Node});
                _ -> claimant({mark_down, Node})
            end
    end.

%% How many partitions this node still has to hand over.
waiting() ->
    #{owners := Owners, next := Next} = Ring = ring(),
    Moving = [Index || Index <- maps:keys(Next), maps:get(Index, Owners) =:= node()],
    length(lists:usort(Moving ++ strays(Ring))).

init([]) ->
    Size = list_to_integer(standin_conf:get("ring_size", "64")),
    File = filename:join([standin_conf:get("platform_data_dir", "./data"), "ring", "ring"]),
    ok = filelib:ensure_dir(File),
    Ring = case file:read_file(File) of
               {ok, Bytes} -> binary_to_term(Bytes);
               {error, enoent} -> standin_ring:new(node(), Size)
           end,
    [net_kernel:connect_node(Node) || Node <- standin_ring:members(Ring), Node =/= node()],
    ok = net_kernel:monitor_nodes(true),
    self() ! gossip,
    timer:send_interval(standin_conf:advanced(riak_core, gossip_interval, 2000), gossip),
    timer:send_interval(standin_conf:advanced(riak_core, vnode_management_timer, 10000), handoff),
    {ok, keep(Ring, #{file => File, seen => #{}, staged => [], planned => none, sending => []})}.

%% On disk before anybody hears of it.
keep(Ring, #{file := File} = State) ->
    ok = file:write_file(File ++ ".new", term_to_binary(Ring), [sync]),
    ok = file:rename(File ++ ".new", File),
    persistent_term:put(?MODULE, Ring),
    State.

change(Ring, State) ->
    State1 = keep(Ring, State),
    tell(Ring),
    State1.

tell(Ring) ->
    [gen_server:cast({?MODULE, Node}, {gossip, node(), Ring}) || Node <- standin_ring:members(Ring), Node =/= node()].

handle_call(is_ready, _From, State) -> {reply, ready(State), State};
handle_call({adopt, Ring}, _From, State) -> {reply, ok, keep(Ring, State)};
handle_call({join, Node, Size}, _From, State) ->
    case ring() of
        #{size := Size, members := Members} = Ring ->
            Joined = standin_ring:set(Ring, #{members => maps:merge(#{Node => joining}, Members)}),
            {reply, {ok, Joined}, change(Joined, State#{planned := none})};
        _ -> {reply, {error, different_ring_sizes}, State}
    end;
handle_call({mark_down, Node}, _From, State) ->
    #{members := Members, claimant := Claimant} = Ring = ring(),
    Changes = case Claimant of
                  Node -> #{claimant => node()};
                  _ -> #{}
              end,
    {reply, ok, change(standin_ring:set(Ring, Changes#{members => Members#{Node := down}}), State)};
handle_call({stage, Change}, _From, State) ->
    case refusal(Change, ring(), State) of
        ok ->
            #{staged := Staged} = State,
            {reply, ok, State#{staged := lists:usort([Change | lists:keydelete(element(1, Change), 1, Staged)]), planned := none}};
        Refused -> {reply, Refused, State}
    end;
handle_call(plan, _From, State) ->
    case ready(State) of
        false -> {reply, {error, ring_not_ready}, State};
        true ->
            Changes = changes(ring(), State),
            Next = case Changes of
                       [] -> ring();
                       _ -> standin_ring:apply_changes(ring(), Changes)
                   end,
            {reply, {ok, Changes, ring(), Next}, State#{planned := Changes}}
    end;
handle_call(commit, _From, #{planned := Planned} = State) ->
    Changes = changes(ring(), State),
    case {Planned, ready(State)} of
        {none, _} -> {reply, {error, nothing_planned}, State};
        {[], _} -> {reply, {error, nothing_planned}, State};
        {_, false} -> {reply, {error, ring_not_ready}, State};
        {Changes, true} ->
            Before = standin_ring:members(ring()),
            Ring = standin_ring:apply_changes(ring(), Changes),
            State1 = change(Ring, State#{staged := [], planned := none}),
            dismiss(Before -- standin_ring:members(Ring), Ring),
            {reply, ok, State1};
        _ -> {reply, {error, plan_changed}, State}
    end;
handle_call(clear, _From, State) ->
    Ring = ring(),
    Joining = standin_ring:members(Ring, [joining]),
    #{members := Members} = Ring,
    Cleared = standin_ring:set(Ring, #{members => maps:without(Joining, Members)}),
    State1 = change(Cleared, State#{staged := [], planned := none}),
    dismiss(Joining, Cleared),
    {reply, ok, State1};
handle_call({type, Name, Type}, _From, State) ->
    #{types := Types} = Ring = ring(),
    {reply, ok, change(standin_ring:set(Ring, #{types => Types#{Name => Type}}), State)}.

%% Members that are joining are staged by that alone.
changes(Ring, #{staged := Staged}) -> lists:sort(Staged ++ [{Node, join} || Node <- standin_ring:members(Ring, [joining])]).

refusal({Node, Change}, #{claimant := Claimant} = Ring, #{staged := Staged}) ->
    case {standin_ring:status(Ring, Node), Change} of
        {none, _} -> {error, not_member};
        {_, _} when map_size(map_get(members, Ring)) =:= 1 -> {error, only_member};
        {leaving, leave} -> {error, already_leaving};
        {exiting, leave} -> {error, already_leaving};
        {_, leave} -> ok;
        {_, _} when Node =:= Claimant -> {error, is_claimant};
        {_, remove} -> ok;
        {_, {force_replace, New}} ->
            Taken = [Old || {Old, {force_replace, By}} <- Staged, By =:= New, Old =/= Node],
            case {standin_ring:status(Ring, New), Taken} of
                {joining, []} -> ok;
                {joining, _} -> {error, already_replacement};
                _ -> {error, invalid_replacement}
            end
    end.

ready(#{seen := Seen}) ->
    #{version := Version} = Ring = ring(),
    Awaited = standin_ring:members(Ring, [valid, joining, leaving, exiting]) -- [node()],
    lists:all(fun(Node) -> maps:get(Node, Seen, 0) >= Version end, Awaited).

%% Those who are out of the ring hear of it once more, so that they stop.
dismiss(Nodes, Ring) -> [gen_server:cast({?MODULE, Node}, {gossip, node(), Ring}) || Node <- Nodes].

handle_cast({gossip, From, #{id := Id, version := Version} = Ring}, #{seen := Seen} = State) ->
    #{id := OwnId, version := Own} = Mine = ring(),
    State1 = State#{seen := Seen#{From => Version}},
    if Id =/= OwnId -> {noreply, State};
       Version > Own ->
           State2 = keep(Ring, State1),
           gen_server:cast({?MODULE, From}, {gossip, node(), Ring}),
           [leave_for_good(State2) || standin_ring:status(Ring, node()) =:= none],
           {noreply, State2};
       Version < Own ->
           gen_server:cast({?MODULE, From}, {gossip, node(), Mine}),
           {noreply, State1};
       true -> {noreply, State1}
    end;
handle_cast({moved, Index, To}, State) -> {noreply, claim(standin_ring:moved(ring(), Index, To), State)};
handle_cast({is_up, Node}, State) ->
    case ring() of
        #{members := #{Node := down} = Members} = Ring ->
            {noreply, change(standin_ring:set(Ring, #{members => Members#{Node := valid}}), State)};
        _ -> {noreply, State}
    end;
handle_cast({is_empty, Node}, State) ->
    case ring() of
        #{members := #{Node := exiting} = Members} = Ring ->
            Without = standin_ring:set(Ring, #{members => maps:remove(Node, Members)}),
            State1 = change(Without, State),
            dismiss([Node], Without),
            {noreply, State1};
        _ -> {noreply, State}
    end;
handle_cast({sent, Index}, #{sending := Sending} = State) -> {noreply, State#{sending := Sending -- [Index]}}.

%% A leaver that has nothing left goes on its way out with the same change.
claim(Ring, State) ->
    case ring() of
        Ring -> State;
        _ -> change(standin_ring:finish(Ring), State)
    end.

%% Riak's node stops by itself once it is out of the ring.
leave_for_good(#{file := File}) ->
    standin_conf:log("~s is out of the ring and stops", [node()]),
    _ = file:delete(File),
    init:stop().

handle_info({nodeup, _}, State) ->
    standin_app:announce(),
    {noreply, State};
handle_info({nodedown, Node}, State) ->
    ets:delete(standin_services, Node),
    {noreply, State};
handle_info(gossip, State) ->
    standin_app:announce(),
    #{claimant := Claimant} = Ring = ring(),
    tell(Ring),
    [gen_server:cast({?MODULE, Claimant}, {is_up, node()}) || standin_ring:status(Ring, node()) =:= down],
    Finished = standin_ring:finish(Ring),
    {noreply, case Claimant =:= node() andalso Finished =/= Ring of
                  true -> change(Finished, State);
                  false -> State
              end};
handle_info(handoff, #{sending := Sending} = State) ->
    #{owners := Owners, next := Next, claimant := Claimant} = Ring = ring(),
    Own = [{Index, To} || {Index, To} <- lists:sort(maps:to_list(Next)), maps:get(Index, Owners) =:= node()],
    Strays = [{Index, standin_ring:owner(Ring, Index)} || Index <- strays(Ring)],
    Room = standin_conf:advanced(riak_core, handoff_concurrency, 2) - length(Sending),
    Chosen = lists:sublist([Job || {Index, _} = Job <- Own ++ Strays, not lists:member(Index, Sending)], max(0, Room)),
    [spawn(fun() -> hand_over(Index, To, lists:member({Index, To}, Own), Claimant) end) || {Index, To} <- Chosen],
    [gen_server:cast({?MODULE, Claimant}, {is_empty, node()})
     || standin_ring:status(Ring, node()) =:= exiting, standin_store:partitions() =:= []],
    {noreply, State#{sending := Sending ++ [Index || {Index, _} <- Chosen]}}.

%% Partitions with keys here that are another's: of a time when the owner was away, or when they were ours.
strays(#{owners := Owners, next := Next}) ->
    [Index || Index <- standin_store:partitions(), maps:get(Index, Owners) =/= node(), maps:get(Index, Next, none) =/= node()].

%% The keys stay here until the new owner has them on disk and owns them.
hand_over(Index, To, IsOwner, Claimant) ->
    Objects = standin_store:partition(Index),
    try rpc:call(To, standin_store, put, [Index, Objects], 30000) of
        ok when IsOwner -> gen_server:cast({?MODULE, Claimant}, {moved, Index, To});
        ok -> standin_store:forget(Index, Objects);
        _ -> later
    after
        gen_server:cast(?MODULE, {sent, Index})
    end.
