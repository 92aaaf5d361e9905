%% The keys of this node, by partition: in memory, and in one log for each partition, synced before a write is acknowledged.
-module(standin_store).
-behaviour(gen_server).
-export([start_link/0, put/2, get/2, partition/1, partitions/0, forget/2, listing/2, buckets/1]).
-export([init/1, handle_call/3, handle_cast/2]).

-define(TABLE, standin_data).

start_link() -> gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% Objects as [{Key, {Stamp, Content}}]; the newer one of a key stays. Content: {Value, ContentType} or deleted.
put(Index, Objects) -> gen_server:call(?MODULE, {put, Index, Objects}, 30000).

get(Index, Key) ->
    case ets:lookup(?TABLE, {Index, Key}) of
        [{_, Object}] -> {ok, Object};
        [] -> notfound
    end.

partition(Index) -> [{Key, Object} || [Key, Object] <- ets:match(?TABLE, {{Index, '$1'}, '$2'})].

%% Partitions with any keys.
partitions() -> lists:usort(lists:append(ets:match(?TABLE, {{'$1', '_'}, '_'}))).

%% Drops what has been handed over, unless it has been written again since.
forget(Index, Objects) -> gen_server:call(?MODULE, {forget, Index, Objects}, 30000).

%% Keys of a bucket in all partitions here, deleted ones too, with their stamps.
listing(Type, Bucket) ->
    Found = ets:match(?TABLE, {{'_', {Type, Bucket, '$1'}}, {'$2', '$3'}}),
    [{Key, Stamp, Content =:= deleted} || [Key, Stamp, Content] <- Found].

buckets(Type) ->
    Found = ets:match(?TABLE, {{'_', {Type, '$1', '_'}}, {'_', '$2'}}),
    lists:usort([Bucket || [Bucket, Content] <- Found, Content =/= deleted]).

init([]) ->
    ?TABLE = ets:new(?TABLE, [named_table, ordered_set, protected, {read_concurrency, true}]),
    Folder = filename:join(standin_conf:get("platform_data_dir", "./data"), "partitions"),
    ok = filelib:ensure_dir(filename:join(Folder, "any")),
    Files = filelib:wildcard("*.log", Folder),
    lists:foreach(fun(File) -> load(Folder, File) end, Files),
    {ok, #{folder => Folder, logs => #{}}}.

load(Folder, File) ->
    Index = list_to_integer(filename:basename(File, ".log")),
    Path = filename:join(Folder, File),
    {ok, Bytes} = file:read_file(Path),
    Good = replay(Index, Bytes, 0),
    %% A write that a crash has cut short was never acknowledged.
    case Good =:= byte_size(Bytes) of
        true -> ok;
        false ->
            {ok, Log} = file:open(Path, [read, write, raw]),
            {ok, _} = file:position(Log, Good),
            ok = file:truncate(Log),
            ok = file:close(Log)
    end.

replay(Index, <<Size:32, Sum:32, Record:Size/binary, Rest/binary>>, Good) ->
    case erlang:crc32(Record) of
        Sum ->
            apply_record(Index, binary_to_term(Record)),
            replay(Index, Rest, Good + 8 + Size);
        _ -> Good
    end;
replay(_Index, _Cut, Good) -> Good.

apply_record(Index, {put, Objects}) -> [insert(Index, Key, Object) || {Key, Object} <- Objects];
apply_record(Index, {forget, Keys}) -> [ets:delete(?TABLE, {Index, Key}) || Key <- Keys].

insert(Index, Key, {Stamp, _} = Object) ->
    case ets:lookup(?TABLE, {Index, Key}) of
        [{_, {Newer, _}}] when Newer >= Stamp -> false;
        _ -> ets:insert(?TABLE, {{Index, Key}, Object})
    end.

handle_call({put, Index, Objects}, _From, State) ->
    {reply, ok, write(Index, {put, Objects}, State)};
handle_call({forget, Index, Objects}, _From, State) ->
    Keys = [Key || {Key, {Stamp, _}} <- Objects, {ok, {Now, _}} <- [get(Index, Key)], Now =:= Stamp],
    {reply, ok, write(Index, {forget, Keys}, State)}.

handle_cast(_, State) -> {noreply, State}.

write(Index, Change, State) ->
    {Log, State1} = log_of(Index, State),
    Record = term_to_binary(Change),
    ok = file:write(Log, <<(byte_size(Record)):32, (erlang:crc32(Record)):32, Record/binary>>),
    ok = file:datasync(Log),
    apply_record(Index, Change),
    State1.

log_of(Index, #{folder := Folder, logs := Logs} = State) ->
    case Logs of
        #{Index := Log} -> {Log, State};
        _ ->
            {ok, Log} = file:open(filename:join(Folder, integer_to_list(Index) ++ ".log"), [append, raw]),
            {Log, State#{logs := Logs#{Index => Log}}}
    end.
