%% Riak's protocol buffers API, as far as it was recorded: ping, server info, get, put, delete, keys, buckets, errors.
-module(standin_pb).
-export([start/0]).

start() ->
    {Ip, Port} = standin_conf:address(standin_conf:get("listener.protobuf.internal", "127.0.0.1:8087")),
    {ok, Socket} = gen_tcp:listen(Port, [{ip, Ip}, binary, {packet, 4}, {active, false}, {reuseaddr, true}, {nodelay, true},
                                         {backlog, 128}]),
    _ = spawn_link(fun() -> accept(Socket) end),
    ok.

accept(Listener) ->
    {ok, Socket} = gen_tcp:accept(Listener),
    standin_kv:count(pbc_connects_total),
    Pid = spawn(fun() -> receive go -> connection(Socket) end end),
    ok = gen_tcp:controlling_process(Socket, Pid),
    Pid ! go,
    accept(Listener).

%% An undecodable body gets an error, then the end of the connection, like Riak's.
connection(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, <<Code, Body/binary>>} ->
            try request(Code, Body) of
                Replies ->
                    [ok = gen_tcp:send(Socket, Reply) || Reply <- Replies],
                    connection(Socket)
            catch error:{bad_message, _} = Reason ->
                _ = gen_tcp:send(Socket, failure(io_lib:format("Error processing incoming message: ~p", [Reason]), 0)),
                gen_tcp:close(Socket)
            end;
        _ -> gen_tcp:close(Socket)
    end.

request(1, _) -> [<<2>>];
request(3, _) -> [[4, field(1, <<"stand">>)]];
request(5, _) -> [<<6>>];
request(7, _) -> [[8, field(1, atom_to_binary(node())), field(2, standin_kv:version())]];
request(255, _) -> [failure("Security not enabled; STARTTLS not allowed.", 0)];
request(Code, Body) ->
    case standin_app:kv_is_up() of
        true -> service(Code, fields(Body));
        false -> [unknown(Code)]
    end.

service(9, Fields) ->
    case standin_kv:get(key(Fields, 13)) of
        {ok, {Stamp, _} = Object} -> [[10, field(1, content(Object)), field(2, term_to_binary(Stamp))]];
        notfound -> [<<10>>];
        {error, Reason} -> [failure(atom_to_list(Reason), 0)]
    end;
service(11, #{4 := Content} = Fields) ->
    {_, _, Name} = Key = case Fields of
                             #{2 := _} -> key(Fields, 16);
                             _ -> key(Fields#{2 => binary:encode_hex(<<(erlang:unique_integer()):64>>)}, 16)
                         end,
    #{1 := Value} = Given = fields(Content),
    Type = maps:get(2, Given, <<"application/octet-stream">>),
    Made = case Fields of #{2 := _} -> []; _ -> field(3, Name) end,
    case {standin_kv:put(Key, {Value, Type}), Fields} of
        {{ok, Stamp}, #{7 := 1}} ->
            [[12, field(1, content({Stamp, {Value, Type}})), field(2, term_to_binary(Stamp)), Made]];
        {{ok, _}, _} -> [[12, Made]];
        {{error, Reason}, _} -> [failure(atom_to_list(Reason), 0)]
    end;
service(13, Fields) ->
    case standin_kv:put(key(Fields, 10), deleted) of
        {ok, _} -> [<<14>>];
        {error, Reason} -> [failure(atom_to_list(Reason), 0)]
    end;
service(15, Fields) ->
    Buckets = [field(1, Bucket) || Bucket <- standin_kv:buckets(maps:get(3, Fields, <<"default">>))],
    case Fields of
        #{2 := 1} -> [[16, Buckets], [16, number(2, 1)]];
        _ -> [[16, Buckets]]
    end;
service(17, #{1 := Bucket} = Fields) ->
    Keys = standin_kv:keys(maps:get(3, Fields, <<"default">>), Bucket),
    [[18, field(1, Key)] || Key <- Keys] ++ [[18, number(2, 1)]];
service(Code, _) -> [unknown(Code)].

key(#{1 := Bucket, 2 := Key} = Fields, TypeField) -> {maps:get(TypeField, Fields, <<"default">>), Bucket, Key}.

content({{Micros, _, _} = Stamp, {Value, Type}}) ->
    Tag = integer_to_binary(erlang:phash2(Stamp), 36),
    [field(1, Value), field(2, Type), field(5, Tag), number(7, Micros div 1000000), number(8, Micros rem 1000000)].

unknown(Code) -> failure(["Unknown message code: ", integer_to_list(Code)], 0).

failure(Text, Code) -> [0, field(1, iolist_to_binary(Text)), number(2, Code)].

field(Number, Content) ->
    Bytes = iolist_to_binary(Content),
    [varint(Number bsl 3 bor 2), varint(byte_size(Bytes)), Bytes].

number(Number, Value) -> [varint(Number bsl 3), varint(Value)].

varint(Value) when Value < 128 -> [Value];
varint(Value) -> [Value band 127 bor 128 | varint(Value bsr 7)].

%% Fields by number, the last of each.
fields(Bytes) -> fields(Bytes, #{}).

fields(<<>>, Found) -> Found;
fields(Bytes, Found) ->
    {Tag, Rest} = take_varint(Bytes, Bytes, 0, 0),
    case {Tag band 7, take_varint(Rest, Bytes, 0, 0)} of
        {0, {Value, More}} -> fields(More, Found#{Tag bsr 3 => Value});
        {2, {Size, More}} when byte_size(More) >= Size ->
            <<Value:Size/binary, Others/binary>> = More,
            fields(Others, Found#{Tag bsr 3 => Value});
        _ -> error({bad_message, Bytes})
    end.

take_varint(<<1:1, Low:7, Rest/binary>>, All, Shift, Sum) when Shift < 63 ->
    take_varint(Rest, All, Shift + 7, Sum bor (Low bsl Shift));
take_varint(<<0:1, Low:7, Rest/binary>>, _, Shift, Sum) -> {Sum bor (Low bsl Shift), Rest};
take_varint(_, All, _, _) -> error({bad_message, All}).
