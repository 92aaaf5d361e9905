%% What `riak admin …` prints, in the words and columns of Riak KV 3.2.3: {Text, Last}, Last being its last line.
-module(standin_console).
-export([run/1, services/0]).

-define(RULE, lists:duplicate(79, $-)).

services() ->
    case standin_app:kv_is_up() of
        true -> "[riak_kv,riak_pipe,riak_repl]";
        false -> "[]"
    end.

run(["cluster", "join", To]) -> join(list_to_atom(To));
run(["cluster", "leave"]) -> stage({node(), leave});
run(["cluster", "leave", Node]) -> stage({list_to_atom(Node), leave});
run(["cluster", "force-remove", Node]) -> stage({list_to_atom(Node), remove});
run(["cluster", "force-replace", Old, New]) -> stage({list_to_atom(Old), {force_replace, list_to_atom(New)}});
run(["cluster", "plan"]) -> plan(claimant(plan));
run(["cluster", "commit"]) -> commit(claimant(commit));
run(["cluster", "clear"]) ->
    ok = claimant(clear),
    {"Cleared staged cluster changes\n", ok};
run(["cluster", "status"]) -> cluster_status(standin_cluster:ring());
run(["down", Node]) -> down(list_to_atom(Node), Node);
run([Command]) when Command =:= "member-status"; Command =:= "member_status" -> {members(standin_cluster:ring()), ok};
run(["ringready"]) -> ringready();
run(["transfers"]) -> transfers();
run([Command]) when Command =:= "aae-status"; Command =:= "aae_status" -> aae_status(standin_cluster:ring());
run(["bucket-type" | Command]) -> bucket_type(Command, maps:get(types, standin_cluster:ring()));
run(Other) -> {format("Unknown command: ~p~n", [Other]), error}.

format(Format, Args) -> io_lib:format(Format, Args).

claimant(Request) -> standin_cluster:claimant(Request).

join(To) ->
    case standin_cluster:join(To) of
        ok -> {format("Success: staged join request for ~p to ~p~n", [node(), To]), ok};
        {error, not_reachable} -> {format("Node ~s is not reachable!~n", [To]), error};
        {error, different_ring_sizes} -> {format("Failed: ~s has a different ring_creation_size~n", [To]), error};
        {error, unable_to_get_join_ring} -> {format("Failed: Unable to get ring from ~s~n", [To]), error};
        {error, not_single_node} -> {"Failed: This node is already a member of a cluster\n", error};
        {error, self_join} -> {"Failed: This node cannot join itself in a cluster\n", error}
    end.

stage({Node, Change} = Staged) ->
    case {claimant({stage, Staged}), Change} of
        {ok, leave} -> {format("Success: staged leave request for ~p~n", [Node]), ok};
        {ok, remove} -> {format("Success: staged remove request for ~p~n", [Node]), ok};
        {ok, {_, New}} -> {format("Success: staged forced replacement of ~p with ~p~n", [Node, New]), ok};
        {{error, already_leaving}, _} -> {format("~p is already in the process of leaving the cluster.~n", [Node]), ok};
        {{error, not_member}, _} -> {format("Failed: ~p is not a member of the cluster.~n", [Node]), error};
        {{error, only_member}, _} -> {format("Failed: ~p is the only member.~n", [Node]), error};
        {{error, is_claimant}, _} -> {format("Failed: ~p is the claimant (see: riak-admin ring_status).~n", [Node]), error};
        {{error, already_replacement}, {_, New}} ->
            {format("Failed: ~p is already staged to replace another node.~n", [New]), error};
        {{error, invalid_replacement}, {_, New}} ->
            {format("Failed: ~p is not a valid replacement candiate.~nOnly newly joining nodes can be used for "
                    "replacement.~n", [New]), error}
    end.

down(Node, Text) ->
    case standin_cluster:mark_down(Node) of
        ok -> {format("Success: ~p marked as down~n", [Text]), ok};
        {error, is_up} -> {format("Failed: ~s is up~n", [Text]), error};
        {error, not_member} -> {format("Failed: ~p is not a member of the cluster.~n", [Text]), error};
        {error, only_member} -> {format("Failed: ~p is the only member.~n", [Text]), error}
    end.

plan({error, ring_not_ready}) ->
    {"Cannot plan until cluster state has converged.\nCheck 'Ring Ready' in 'riak-admin ring_status'\n", ok};
plan({ok, [], _, _}) -> {"There are no staged changes\n", ok};
plan({ok, Changes, Before, After}) ->
    Leaving = [Node || {Node, leave} <- Changes],
    Transitions = case Leaving of [] -> 1; _ -> 2 end,
    Final = After#{members := maps:without(Leaving, maps:get(members, After)),
                   owners := maps:merge(maps:get(owners, After), maps:get(next, After)), next := #{}},
    {[title("Staged Changes"), "Action         Details(s)\n", ?RULE, $\n, [staged(Change) || Change <- Changes], ?RULE, "\n\n",
      [format("WARNING: All of ~p replicas will be lost~n", [Node])
       || {Node, Change} <- Changes, Change =:= remove orelse is_tuple(Change)],
      "\nNOTE: Applying these changes will result in ", integer_to_list(Transitions), " cluster transition",
      [$s || Transitions > 1], "\n\n", transition(1, Transitions, Before, After),
      [transition(2, Transitions, Final, Final) || Transitions > 1]], ok}.

staged({Node, join}) -> format("join           ~p~n", [Node]);
staged({Node, leave}) -> format("leave          ~p~n", [Node]);
staged({Node, remove}) -> format("force-remove   ~p~n", [Node]);
staged({Node, {force_replace, New}}) -> format("force-replace  ~p with ~p~n", [Node, New]).

transition(Number, Of, #{owners := Before}, #{owners := Owners, next := Next} = Ring) ->
    Hashes = [lists:duplicate(79, $#), $\n],
    Reassigned = [{maps:get(Index, Before), Owner} || {Index, Owner} <- maps:to_list(Owners), maps:get(Index, Before) =/= Owner],
    Moves = [{maps:get(Index, Owners), To} || {Index, To} <- maps:to_list(Next)],
    [Hashes, format("~24.. s After cluster transition ~b/~b~n", ["", Number, Of]), Hashes, $\n, members(Ring), $\n,
     "WARNING: Not all replicas will be on distinct nodes\n\n",
     tally("Partitions reassigned from cluster changes", "reassigned", Reassigned),
     tally("Transfers resulting from cluster changes", "transfers", Moves)].

tally(_, _, []) -> [];
tally(Title, Word, Moves) ->
    Counted = lists:foldl(fun(Move, Map) -> maps:update_with(Move, fun(N) -> N + 1 end, 1, Map) end, #{}, Moves),
    [format("~s: ~b~n", [Title, length(Moves)]),
     [format("  ~b ~s from ~p to ~p~n", [Count, Word, From, To]) || {{From, To}, Count} <- maps:to_list(Counted)], $\n].

commit(ok) -> {"Cluster changes committed\n", ok};
commit({error, nothing_planned}) ->
    {"You must verify the plan with 'riak-admin cluster plan' before committing\n", ok};
commit({error, ring_not_ready}) ->
    {"Cannot commit until cluster state has converged.\nCheck 'Ring Ready' in 'riak-admin ring_status'\n", ok};
commit({error, plan_changed}) ->
    {"The plan has changed. Verify with 'riak-admin cluster plan' before committing\n", ok}.

title(Text) -> [string:pad([$\s, Text, $\s], 79, both, $=), $\n].

members(#{members := Members, size := Size, owners := Owners, next := Next}) ->
    Sorted = lists:keysort(2, lists:sort(maps:to_list(Members))),
    Future = maps:merge(Owners, Next),
    Count = fun(Status) -> length([Node || {Node, Found} <- Sorted, Found =:= Status]) end,
    [title("Membership"), "Status     Ring    Pending    Node\n", ?RULE, $\n,
     [member(Node, Status, share(Owners, Node, Size), share(Future, Node, Size), maps:size(Next)) || {Node, Status} <- Sorted],
     ?RULE, $\n, format("Valid:~b / Leaving:~b / Exiting:~b / Joining:~b / Down:~b~n",
                        [Count(Status) || Status <- [valid, leaving, exiting, joining, down]])].

member(Node, Status, Ring, _, 0) -> format("~-8s  ~5.1f%      --      ~s~n", [Status, Ring, Node]);
member(Node, Status, Ring, Future, _) -> format("~-8s  ~5.1f%    ~5.1f%    ~s~n", [Status, Ring, Future, Node]).

share(Owners, Node, Size) -> length(standin_ring:owned(Owners, Node)) * 100 / Size.

is_up(Node) -> Node =:= node() orelse lists:member(Node, nodes()) orelse net_adm:ping(Node) =:= pong.

cluster_status(#{members := Members, size := Size, owners := Owners, next := Next, claimant := Claimant}) ->
    Rows = [status_row(Node, Status, Claimant, share(Owners, Node, Size), share(maps:merge(Owners, Next), Node, Size), maps:size(Next))
            || {Node, Status} <- lists:keysort(2, lists:sort(maps:to_list(Members)))],
    Titles = ["node", "status", "avail", "ring", "pending"],
    Least = [0, 6, 7, 5, 7],
    Widths = [lists:max([Min | [length(Row) + Pad || Row <- Column]])
              || {Min, Pad, Column} <- lists:zip3(Least, [2, 0, 2, 0, 0], columns([Titles | Rows]))],
    Rule = ["+", [[lists:duplicate(Width, $-), "+"] || Width <- Widths], $\n],
    Line = fun(Cells) -> ["|", [[string:pad(Cell, Width, both), "|"] || {Cell, Width} <- lists:zip(Cells, Widths)], $\n] end,
    Ready = standin_cluster:is_ready() andalso maps:size(Next) =:= 0,
    {["---- Cluster Status ----\n", format("Ring ready: ~p~n~n", [Ready]), Rule, Line(Titles), Rule, [Line(Row) || Row <- Rows], Rule,
      "\nKey: (C) = Claimant; availability marked with '!' is unexpected\n"], ok}.

status_row(Node, Status, Claimant, Ring, Future, Pending) ->
    Mark = case Claimant of Node -> "(C) "; _ -> "    " end,
    Avail = case {is_up(Node), Status} of
                {true, down} -> " up!";
                {true, _} -> "up";
                {false, down} -> "down";
                {false, _} -> "down!"
            end,
    Moving = case Pending of 0 -> "--"; _ -> lists:flatten(format(" ~5.1f", [Future])) end,
    [Mark ++ atom_to_list(Node), atom_to_list(Status), Avail, lists:flatten(format("~5.1f", [Ring])), Moving].

columns([[] | _]) -> [];
columns(Rows) -> [[hd(Row) || Row <- Rows] | columns([tl(Row) || Row <- Rows])].

ringready() ->
    Members = standin_ring:members(standin_cluster:ring()),
    Answers = erpc:multicall(Members, standin_cluster, version, [], 5000),
    Down = [Node || {Node, {Class, _}} <- lists:zip(Members, Answers), Class =/= ok],
    Versions = [{Node, Version} || {Node, {ok, Version}} <- lists:zip(Members, Answers)],
    Others = [Node || {Node, Version} <- Versions, Version =/= element(2, hd(Versions))],
    case {Down, Others} of
        {[], []} -> {format("TRUE All nodes agree on the ring ~p\n", [Members]), ok};
        {[], [Other | _]} ->
            {format("FALSE Node ~p and ~p list different partition owners\n", [element(1, hd(Versions)), Other]), error};
        _ -> {format("FALSE ~p down.  All nodes need to be up to check.\n", [Down]), error}
    end.

transfers() ->
    Members = standin_ring:members(standin_cluster:ring()),
    Answers = lists:zip(Members, erpc:multicall(Members, standin_cluster, waiting, [], 5000)),
    Down = [Node || {Node, {Class, _}} <- Answers, Class =/= ok],
    Waiting = [format("~p waiting to handoff ~b partitions\n", [Node, Count]) || {Node, {ok, Count}} <- lists:reverse(Answers), Count > 0],
    {[[format("Nodes ~p are currently down.\n", [Down]) || Down =/= []],
      case Waiting of [] -> "No transfers active\n"; _ -> Waiting end,
      "\nActive Transfers:\n\n\n", [format("Node ~p could not be contacted~n", [Node]) || Node <- Down]], ok}.

aae_status(#{owners := Owners, size := Size}) ->
    Step = (1 bsl 160) div Size,
    Indexes = [Index * Step || Index <- standin_ring:owned(Owners, node())],
    {[title("Exchanges"), format("~-49s  ~-12s  ~-12s~n", ["Index", "Last (ago)", "All (ago)"]), ?RULE, $\n,
      [format("~-49b  ~-12s  ~-12s~n", [Index, "--", "--"]) || Index <- Indexes], $\n,
      title("Entropy Trees"), format("~-49s  Built (ago)~n", ["Index"]), ?RULE, $\n,
      [format("~-49b  ~s~n", [Index, "--"]) || Index <- Indexes], $\n,
      title("Keys Repaired"), format("~-49s  ~s  ~s  ~s~n", ["Index", "  Last  ", "  Mean  ", "  Max   "]), ?RULE, $\n,
      [format("~-49b  ~s  ~s  ~s~n", [Index, "   0    ", "   0    ", "   0    "]) || Index <- Indexes]], ok}.

bucket_type(["list"], Types) ->
    {["default (active)\n", [format("~ts (~s)~n", [Name, case Active of true -> "active"; false -> "not active" end])
                             || {Name, #{active := Active}} <- lists:sort(maps:to_list(Types))]], ok};
bucket_type(["status", Name], Types) ->
    case maps:get(iolist_to_binary(Name), Types, none) of
        none -> {format("~s is not an existing bucket type~n", [Name]), {error, undefined}};
        #{active := true} -> {format("~s is active~n~nn_val: 3~nactive: true~n", [Name]), ok};
        _ -> {format("~s has been created and may be activated~n~nn_val: 3~nactive: false~n", [Name]), ok}
    end;
bucket_type(["create", Name, Props], Types) ->
    Key = iolist_to_binary(Name),
    case {is_props(Props), Types} of
        {false, _} -> {format("Cannot create bucket type ~s: invalid json~n", [Name]), error};
        {true, #{Key := #{active := true}}} -> {format("Error creating bucket type ~s:~nalready_active~n", [Name]), error};
        _ ->
            ok = claimant({type, Key, #{active => false, props => Props}}),
            Warning = "~nWARNING: After activating ~s, nodes in this cluster~ncan no longer be downgraded to a version of Riak "
                      "prior to 2.0~n",
            {[format("~s created~n", [Name]), [format(Warning, [Name]) || not any_active(Types)]], ok}
    end;
bucket_type(["update", Name, Props], Types) ->
    Key = iolist_to_binary(Name),
    case {is_props(Props), Types} of
        {false, _} -> {format("Cannot update bucket type: ~s: invalid json~n", [Name]), error};
        {true, #{Key := #{active := true} = Type}} ->
            ok = claimant({type, Key, Type#{props => Props}}),
            {format("~s updated~n", [Name]), ok};
        _ -> {format("Error updating bucket type ~s:~nnot_active~n", [Name]), error}
    end;
bucket_type(["activate", Name], Types) ->
    Key = iolist_to_binary(Name),
    case Types of
        #{Key := Type} ->
            ok = claimant({type, Key, Type#{active => true}}),
            Warning = "~nWARNING: Nodes in this cluster can no longer be~ndowngraded to a version of Riak prior to 2.0~n",
            {[format("~s has been activated~n", [Name]), [format(Warning, []) || not any_active(Types)]], ok};
        _ -> {format("~s is not an existing bucket type~n", [Name]), {error, undefined}}
    end.

any_active(Types) -> lists:any(fun(#{active := Active}) -> Active end, maps:values(Types)).

%% JSON enough for a test: an object with "props" and as many closing brackets as opening ones.
is_props(Text) ->
    Count = fun(Char) -> length([C || C <- Text, C =:= Char]) end,
    re:run(Text, "^\\{\\s*\"props\"\\s*:\\s*\\{.*\\}\\s*\\}$", [{capture, none}, dotall]) =:= match
        andalso Count(${) =:= Count($}) andalso Count($") rem 2 =:= 0.
