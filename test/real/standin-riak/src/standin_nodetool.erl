%% What a command does: a hidden node that asks the running one and prints what it says.
-module(standin_nodetool).
-export([start/0]).

-define(STOP_MS, 60000).

start() ->
    [Name | Command] = init:get_plain_arguments(),
    Node = list_to_atom(Name),
    case net_adm:ping(Node) of
        pong -> halt(run(Node, Command));
        pang ->
            io:format("Node ~s is not responding to pings~n", [Node]),
            halt(1)
    end.

run(_Node, ["ping"]) -> say("pong~n", []);
run(Node, ["pid"]) -> say("~s~n", [rpc:call(Node, os, getpid, [])]);
run(Node, ["services"]) -> say("~s~n", [rpc:call(Node, standin_console, services, [])]);
run(Node, ["stop"]) ->
    ok = rpc:call(Node, init, stop, []),
    wait_until_gone(Node, erlang:monotonic_time(millisecond) + ?STOP_MS),
    say("ok~n", []);
run(Node, ["admin" | Args]) ->
    case rpc:call(Node, standin_console, run, [Args], 60000) of
        {badrpc, Reason} ->
            say("RPC to '~s' failed: ~p~n", [Node, Reason]),
            1;
        {Text, Last} -> say("~ts~p~n", [unicode:characters_to_list(iolist_to_binary(Text)), Last])
    end.

say(Format, Args) ->
    io:format(Format, Args),
    0.

wait_until_gone(Node, DeadlineMs) ->
    case net_adm:ping(Node) =:= pang orelse erlang:monotonic_time(millisecond) > DeadlineMs of
        true -> ok;
        false -> timer:sleep(200), wait_until_gone(Node, DeadlineMs)
    end.
