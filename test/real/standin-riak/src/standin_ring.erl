%% The ring as plain data: who owns which partition, who is to own it, and how staged changes make a new one.
-module(standin_ring).
-export([new/2, set/2, members/1, members/2, status/2, owner/2, owned/2, pending/1, apply_changes/2, moved/3, finish/1]).

%% `owners` and `next`: partition number => node; `next` has only those that are to move.
new(Node, Size) ->
    #{id => {Node, erlang:system_time()}, version => 1, size => Size, claimant => Node,
      members => #{Node => valid}, owners => maps:from_list([{Index, Node} || Index <- lists:seq(0, Size - 1)]),
      next => #{}, types => #{}}.

%% The next version of the ring.
set(Ring, Changes) ->
    #{version := Version} = Ring,
    maps:merge(Ring, Changes#{version => Version + 1}).

members(#{members := Members}) -> lists:sort(maps:keys(Members)).

members(#{members := Members}, Statuses) ->
    lists:sort([Node || {Node, Status} <- maps:to_list(Members), lists:member(Status, Statuses)]).

status(#{members := Members}, Node) -> maps:get(Node, Members, none).

owner(#{owners := Owners}, Index) -> maps:get(Index, Owners).

owned(Map, Node) -> [Index || {Index, Owner} <- lists:sort(maps:to_list(Map)), Owner =:= Node].

pending(#{next := Next}) -> maps:size(Next).

%% The ring right after the changes: owners that are gone at once have lost their partitions, the others are to hand over.
apply_changes(Ring, Changes) ->
    #{members := Members, owners := Owners, claimant := Claimant} =
        Changed = lists:foldl(fun change/2, Ring, lists:sort(fun(A, _) -> element(2, A) =/= join end, Changes)),
    Staying = [Node || {Node, Status} <- maps:to_list(Members), Status =:= valid orelse Status =:= down],
    Orphans = [Index || {Index, Owner} <- maps:to_list(Owners), not maps:is_key(Owner, Members)],
    Adopted = lists:foldl(fun(Index, Map) -> Map#{Index := lightest(Index, Staying, Map)} end, Owners, lists:sort(Orphans)),
    Target = balance(Adopted, Staying),
    Next = maps:filter(fun(Index, Node) -> maps:get(Index, Adopted) =/= Node end, Target),
    NewClaimant = case lists:member(Claimant, Staying) of
                      true -> Claimant;
                      false -> hd(lists:sort(Staying))
                  end,
    set(Changed, #{owners => Adopted, next => Next, claimant => NewClaimant}).

change({Node, join}, #{members := Members} = Ring) -> Ring#{members := Members#{Node => valid}};
change({Node, leave}, #{members := Members} = Ring) -> Ring#{members := Members#{Node => leaving}};
change({Node, remove}, #{members := Members} = Ring) -> Ring#{members := maps:remove(Node, Members)};
change({Old, {force_replace, New}}, #{members := Members, owners := Owners} = Ring) ->
    Taken = maps:map(fun(_, Owner) when Owner =:= Old -> New; (_, Owner) -> Owner end, Owners),
    Ring#{members := (maps:remove(Old, Members))#{New => valid}, owners := Taken}.

%% Partitions go one by one from who has most to who has least, each where its new neighbours are other nodes.
balance(Owners, Nodes) ->
    Counts = [{length(owned(Owners, Node)), Node} || Node <- lists:sort(Nodes)],
    Leaving = [Index || {Index, Owner} <- lists:sort(maps:to_list(Owners)), not lists:member(Owner, Nodes)],
    {Fewest, To} = lists:min(Counts),
    {Most, From} = lists:max(Counts),
    case Leaving of
        [Index | _] -> balance(Owners#{Index := lightest(Index, Nodes, Owners)}, Nodes);
        [] when Most - Fewest =< 1 -> Owners;
        [] ->
            {_, Index} = lists:min([{crowd(Index, To, Owners) - crowd(Index, From, Owners), Index}
                                    || Index <- owned(Owners, From)]),
            balance(Owners#{Index := To}, Nodes)
    end.

lightest(Index, Nodes, Owners) ->
    {_, _, Node} = lists:min([{length(owned(Owners, Node)), crowd(Index, Node, Owners), Node} || Node <- Nodes]),
    Node.

%% How much of the neighbourhood, in which the replicas of a key lie, the node owns.
crowd(Index, Node, Owners) ->
    Size = maps:size(Owners),
    Weights = [{-2, 1}, {-1, 3}, {1, 3}, {2, 1}],
    lists:sum([Weight || {Step, Weight} <- Weights, maps:get((Index + Step + Size) rem Size, Owners) =:= Node]).

%% A partition has been handed over.
moved(#{owners := Owners, next := Next} = Ring, Index, To) ->
    case Next of
        #{Index := To} -> set(Ring, #{owners => Owners#{Index := To}, next => maps:remove(Index, Next)});
        _ -> Ring
    end.

%% Who leaves and owns nothing any more is on its way out.
finish(#{members := Members, owners := Owners} = Ring) ->
    Empty = [Node || {Node, leaving} <- maps:to_list(Members), owned(Owners, Node) =:= []],
    case Empty of
        [] -> Ring;
        _ -> set(Ring, #{members => maps:merge(Members, maps:from_list([{Node, exiting} || Node <- Empty]))})
    end.
