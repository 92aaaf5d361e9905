%% The nodes' side of cEPMD: takes the place of Erlang's erl_epmd and asks the cEPMD of its own agent, at the environment's
%% ERL_EPMD_ADDRESS and ERL_EPMD_PORT, for the nodes of every host. Given by `-epmd_module ringmaster_epmd` (OTP 21 and later),
%% or compiled as erl_epmd itself (see erl_epmd.erl). The database's own erlc compiles it, so it is written for R16 to OTP 27
%% alike: no maps, nothing newer. It starts before the file server and the logger, and uses neither.
-ifndef(EPMD_MODULE).
-define(EPMD_MODULE, ringmaster_epmd).
-endif.
-module(?EPMD_MODULE).
-behaviour(gen_server).

%% What kernel calls, in one release or another.
-export([start/0, start_link/0, stop/0, register_node/2, register_node/3, listen_port_please/2,
         port_please/2, port_please/3, address_please/3, names/0, names/1, open/0, open/1, open/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2, code_change/3]).

-define(DEFAULT_PORT, 4369).

%% Requests and answers of EPMD, and those that only cEPMD knows (capital letters; see src/cepmd/wire.ts).
-define(ALIVE, $x).
-define(ALIVE_AGAIN, $C).
-define(ALIVE_ANSWER, $y).
-define(ALIVE_ANSWER_32, $v).
-define(ADDRESS, $A).
-define(PORT_ANSWER, $w).
-define(NAMES, $n).
-define(NAMES_AT, $H).
-define(ORDINARY_NODE, $M).
-define(TCP, 0).

%% net_kernel itself waits for lookups: a cEPMD that hangs must not hold it up for long.
-define(LOOKUP_MS, 2000).
-define(CONNECT_MS, 2000).
%% cEPMD answers within 3 s, with the store or without it.
-define(REGISTER_MS, 8000).
%% Waits between the tries of a node that starts: cEPMD may be on its way up, and the name of a node that died with its
%% agent stays in the store for the 10 s that a session lasts.
-define(FIRST_TRIES_MS, [100, 200, 400, 800, 1500, 2000, 2000, 2000, 2000, 2000]).
%% Waits between the tries of a node that runs: from the first, twice as long each time, up to the last.
-define(AGAIN_FIRST_MS, 100).
-define(AGAIN_LAST_MS, 5000).

-record(state, {socket = none, name = <<>>, port = 0, creation = 0, wait_ms = ?AGAIN_FIRST_MS}).

start() -> gen_server:start({local, ?MODULE}, ?MODULE, [], []).

start_link() -> gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

stop() -> gen_server:call(?MODULE, stop, infinity).

%% Registers this node, which listens on Port: {ok, Creation} or {error, Reason}.
register_node(Name, Port) -> register_node(Name, Port, inet).

register_node(Name, Port, _Driver) -> gen_server:call(?MODULE, {register, to_binary(Name), Port}, infinity).

%% The port that this node is to listen on: {ok, 0} for any.
listen_port_please(_Name, _Host) ->
    case init:get_argument(erl_epmd_port) of
        {ok, [[Port | _] | _]} -> {ok, list_to_integer(Port)};
        _ -> {ok, 0}
    end.

%% Where a node listens: {port, Port, Version} or noport.
port_please(Name, Host) -> port_please(Name, Host, infinity).

port_please(Name, _Host, Timeout) ->
    case lookup(Name, limit(Timeout)) of
        {ok, Port, Version, _Address} -> {port, Port, Version};
        _ -> noport
    end.

%% Where a node is to be reached: {ok, Ip, Port, Version}. For one that cEPMD does not know {ok, Ip}, so that kernel asks
%% port_please next and gives up in the same way as with erl_epmd.
address_please(Name, Host, Family) ->
    case lookup(Name, ?LOOKUP_MS) of
        {ok, Port, Version, Address} ->
            case inet:getaddr(first_known(Address, Host), Family) of
                {ok, Ip} -> {ok, Ip, Port, Version};
                Error -> Error
            end;
        _ -> inet:getaddr(Host, Family)
    end.

%% The nodes at a host: {ok, [{Name, Port}]} or {error, address}.
names() -> names_by(<<?NAMES>>).

names(Host) ->
    Text = host_text(Host),
    case lists:member(Text, own_hosts()) of
        true -> names();
        false -> names_by([?NAMES_AT, to_binary(Text)])
    end.

%% A connection to cEPMD: {ok, Socket} or {error, Reason}.
open() -> open(local).

open(Host) -> open(Host, infinity).

open(_Host, Timeout) -> connect(limit(Timeout), []).

%% gen_server

init([]) -> {ok, #state{}}.

handle_call({register, Name, Port}, _From, #state{socket = none} = State) ->
    case register_first(alive(Name, Port), ?FIRST_TRIES_MS) of
        {ok, Socket, Creation} ->
            {reply, {ok, Creation}, State#state{socket = Socket, name = Name, port = Port, creation = Creation}};
        Error -> {reply, Error, State}
    end;
handle_call({register, _Name, _Port}, _From, State) -> {reply, {error, already_registered}, State};
handle_call(client_info_req, _From, #state{name = Name, port = Port} = State) ->
    {reply, {ok, {r4, to_list(Name), Port}}, State};
handle_call(stop, _From, State) -> {stop, shutdown, ok, State};
handle_call(_Request, _From, State) -> {reply, {error, unknown_call}, State}.

handle_cast(_Message, State) -> {noreply, State}.

%% The connection is the registration: without it others do not find this node, though it runs and keeps its creation.
handle_info({tcp_closed, Socket}, #state{socket = Socket} = State) -> {noreply, lost(State)};
handle_info({tcp_error, Socket, _Reason}, #state{socket = Socket} = State) -> {noreply, lost(State)};
handle_info({tcp, Socket, _Bytes}, #state{socket = Socket} = State) -> {noreply, lost(State)};
handle_info(register_again, #state{socket = none, name = Name, port = Port, creation = Creation} = State) ->
    case register_once([?ALIVE_AGAIN, <<Creation:32>>, fields(Name, Port)]) of
        {ok, Socket, _Creation} -> {noreply, State#state{socket = Socket, wait_ms = ?AGAIN_FIRST_MS}};
        _ -> {noreply, again_later(State)}
    end;
handle_info(_Message, State) -> {noreply, State}.

terminate(_Reason, #state{socket = none}) -> ok;
terminate(_Reason, #state{socket = Socket}) -> gen_tcp:close(Socket).

code_change(_Before, State, _Extra) -> {ok, State}.

lost(#state{socket = Socket} = State) ->
    gen_tcp:close(Socket),
    again_later(State#state{socket = none}).

again_later(#state{wait_ms = Wait} = State) ->
    %% Chance takes up to half of it away, so that the nodes of an agent do not come all at once.
    erlang:send_after(Wait - erlang:phash2(make_ref(), Wait div 2), self(), register_again),
    State#state{wait_ms = erlang:min(2 * Wait, ?AGAIN_LAST_MS)}.

%% Registration

alive(Name, Port) -> [?ALIVE, fields(Name, Port)].

fields(Name, Port) ->
    {Lowest, Highest} = versions(),
    [<<Port:16, ?ORDINARY_NODE, ?TCP, Highest:16, Lowest:16, (byte_size(Name)):16>>, Name, <<0:16>>].

register_first(Request, Waits) ->
    case register_once(Request) of
        {ok, Socket, Creation} -> {ok, Socket, Creation};
        Error when Waits =:= [] -> Error;
        _ ->
            receive after hd(Waits) -> ok end,
            register_first(Request, tl(Waits))
    end.

register_once(Request) ->
    case connect(?CONNECT_MS, [{keepalive, true}]) of
        {ok, Socket} ->
            case registered(Socket, Request) of
                {ok, Creation} -> {ok, Socket, Creation};
                Error ->
                    gen_tcp:close(Socket),
                    Error
            end;
        Error -> Error
    end.

registered(Socket, Request) ->
    case send(Socket, Request) of
        ok ->
            case gen_tcp:recv(Socket, 2, ?REGISTER_MS) of
                {ok, <<?ALIVE_ANSWER_32, 0>>} -> creation(Socket, 4);
                {ok, <<?ALIVE_ANSWER, 0>>} -> creation(Socket, 2);
                {ok, <<Tag, _Result>>} when Tag =:= ?ALIVE_ANSWER_32; Tag =:= ?ALIVE_ANSWER -> {error, duplicate_name};
                {ok, Bytes} -> {error, {garbage_from_epmd, Bytes}};
                Error -> Error
            end;
        Error -> Error
    end.

creation(Socket, Size) ->
    case gen_tcp:recv(Socket, Size, ?REGISTER_MS) of
        {ok, Bytes} ->
            Bits = Size * 8,
            <<Creation:Bits>> = Bytes,
            case inet:setopts(Socket, [{active, true}]) of
                ok -> {ok, Creation};
                Error -> Error
            end;
        Error -> Error
    end.

%% Lookups

lookup(Name, Timeout) ->
    case ask([?ADDRESS, to_binary(Name)], Timeout) of
        {ok, <<?PORT_ANSWER, 0, Port:16, _Type, _Protocol, Highest:16, Lowest:16, NameSize:16, _:NameSize/binary,
               ExtraSize:16, _:ExtraSize/binary, HostSize:16, Host:HostSize/binary>>} ->
            {ok, Port, best_version(Lowest, Highest), to_list(Host)};
        {ok, _} -> noport;
        Error -> Error
    end.

names_by(Request) ->
    case ask(Request, ?LOOKUP_MS) of
        {ok, <<_Port:32, Lines/binary>>} ->
            {ok, lists:append([name_in(Line) || Line <- binary:split(Lines, <<"\n">>, [global])])};
        _ -> {error, address}
    end.

%% A name may hold anything, so the last " at port " is the one.
name_in(<<"name ", Line/binary>>) ->
    case binary:matches(Line, <<" at port ">>) of
        [] -> [];
        Matches ->
            {At, Size} = lists:last(Matches),
            <<Name:At/binary, _:Size/binary, Port/binary>> = Line,
            [{to_list(Name), list_to_integer(binary_to_list(Port))}]
    end;
name_in(_Other) -> [].

%% The highest distribution version that both speak; 0 for none, which kernel refuses.
best_version(Lowest, Highest) ->
    {OurLowest, OurHighest} = versions(),
    case OurLowest > Highest orelse Lowest > OurHighest of
        true -> 0;
        false -> erlang:min(OurHighest, Highest)
    end.

%% What a release says of itself in its own erl_epmd.
versions() ->
    case catch list_to_integer(erlang:system_info(otp_release)) of
        Release when is_integer(Release), Release >= 23 -> {5, 6};
        _ -> {5, 5}
    end.

%% cEPMD

%% One request, and all that comes until cEPMD closes the connection.
ask(Request, Timeout) ->
    case connect(Timeout, []) of
        {ok, Socket} ->
            Answer = case send(Socket, Request) of
                ok -> read_all(Socket, Timeout, []);
                Error -> Error
            end,
            gen_tcp:close(Socket),
            Answer;
        Error -> Error
    end.

read_all(Socket, Timeout, Before) ->
    case gen_tcp:recv(Socket, 0, Timeout) of
        {ok, Bytes} -> read_all(Socket, Timeout, [Bytes | Before]);
        {error, closed} -> {ok, iolist_to_binary(lists:reverse(Before))};
        Error -> Error
    end.

send(Socket, Request) -> gen_tcp:send(Socket, [<<(iolist_size(Request)):16>>, Request]).

%% Passive, so that no message comes to whoever asks: that may be net_kernel.
connect(Timeout, Options) ->
    Address = epmd_address(),
    Family = case tuple_size(Address) of 4 -> inet; 8 -> inet6 end,
    gen_tcp:connect(Address, epmd_port(), [Family, binary, {packet, raw}, {active, false}, {nodelay, true} | Options],
                    Timeout).

epmd_address() ->
    case os:getenv("ERL_EPMD_ADDRESS") of
        false -> {127, 0, 0, 1};
        Addresses ->
            case [Ip || Text <- string:tokens(Addresses, ", "), {ok, Ip} <- [inet_parse:address(Text)]] of
                [Ip | _] -> Ip;
                [] -> {127, 0, 0, 1}
            end
    end.

epmd_port() ->
    case {os:getenv("ERL_EPMD_PORT"), init:get_argument(epmd_port)} of
        {Port, _} when Port =/= false, Port =/= "" -> list_to_integer(Port);
        {_, {ok, [[Port | _] | _]}} -> list_to_integer(Port);
        _ -> ?DEFAULT_PORT
    end.

limit(infinity) -> ?LOOKUP_MS;
limit(Timeout) -> erlang:min(Timeout, ?LOOKUP_MS).

first_known("", Host) -> Host;
first_known(Address, _Host) -> Address.

own_hosts() ->
    {ok, Name} = inet:gethostname(),
    Node = atom_to_list(node()),
    ["localhost", "127.0.0.1", Name, tl(lists:dropwhile(fun(C) -> C =/= $@ end, Node))].

host_text(Host) when is_atom(Host) -> atom_to_list(Host);
host_text(Host) when is_tuple(Host) -> inet_parse:ntoa(Host);
host_text(Host) -> Host.

to_binary(Text) when is_atom(Text) -> to_binary(atom_to_list(Text));
to_binary(Text) -> unicode:characters_to_binary(Text).

to_list(Bytes) -> unicode:characters_to_list(Bytes).
