%% The rendered riak.conf and advanced.config.
-module(standin_conf).
-export([load/0, get/2, advanced/3, address/1, log/2]).

load() ->
    {ok, Etc} = application:get_env(riak, etc),
    {ok, Text} = file:read_file(filename:join(Etc, "riak.conf")),
    Pairs = lists:filtermap(fun pair/1, string:split(binary_to_list(Text), "\n", all)),
    %% The last value of a key wins.
    persistent_term:put(?MODULE, maps:from_list(Pairs)),
    Advanced = case file:consult(filename:join(Etc, "advanced.config")) of
                   {ok, [Terms]} -> Terms;
                   {error, enoent} -> []
               end,
    persistent_term:put({?MODULE, advanced}, Advanced).

pair(Line) ->
    [Bare | _] = string:split(Line, "#"),
    case string:split(Bare, "=") of
        [Key, Value] -> {true, {string:trim(Key), string:trim(Value)}};
        _ -> false
    end.

get(Key, Default) -> maps:get(Key, persistent_term:get(?MODULE), Default).

advanced(Application, Key, Default) ->
    Section = proplists:get_value(Application, persistent_term:get({?MODULE, advanced}), []),
    proplists:get_value(Key, Section, Default).

%% "127.0.0.1:8098" as {Ip, Port}.
address(Text) ->
    [Ip, Port] = string:split(Text, ":", trailing),
    {ok, Address} = inet:parse_address(Ip),
    {Address, list_to_integer(Port)}.

%% Riak's own log, beside what the process prints.
log(Format, Args) ->
    Folder = get("platform_log_dir", "./log"),
    ok = filelib:ensure_dir(filename:join(Folder, "any")),
    Time = calendar:system_time_to_rfc3339(erlang:system_time(millisecond), [{unit, millisecond}, {offset, "Z"}]),
    Line = io_lib:format("~s [info] " ++ Format ++ "~n", [Time | Args]),
    ok = file:write_file(filename:join(Folder, "console.log"), Line, [append]).
