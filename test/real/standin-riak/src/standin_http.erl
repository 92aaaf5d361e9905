%% Riak's HTTP API, as far as it was recorded: /ping, /stats, and the objects, keys and buckets of all types.
-module(standin_http).
-export([start/0]).

-define(SERVER, "MochiWeb/3.0.0 WebMachine/0.0.0+build.699.ref144788b (greased slide to failure)").
-define(BODY_MAX, 50 * 1024 * 1024).
-define(PAGE, <<"<HTML><HEAD><TITLE>404 Not Found</TITLE></HEAD><BODY><H1>Not Found</H1>The requested document was not found "
                "on this server.<P><HR><ADDRESS>mochiweb+webmachine web server</ADDRESS></BODY></HTML>">>).

start() ->
    {Ip, Port} = standin_conf:address(standin_conf:get("listener.http.internal", "127.0.0.1:8098")),
    {ok, Socket} = gen_tcp:listen(Port, [{ip, Ip}, binary, {packet, http_bin}, {active, false}, {reuseaddr, true}, {nodelay, true},
                                         {backlog, 128}]),
    _ = spawn_link(fun() -> accept(Socket) end),
    ok.

accept(Listener) ->
    {ok, Socket} = gen_tcp:accept(Listener),
    Pid = spawn(fun() -> receive go -> connection(Socket) end end),
    ok = gen_tcp:controlling_process(Socket, Pid),
    Pid ! go,
    accept(Listener).

connection(Socket) ->
    ok = inet:setopts(Socket, [{packet, http_bin}]),
    case gen_tcp:recv(Socket, 0, 120000) of
        {ok, {http_request, Method, {abs_path, Target}, _}} ->
            Headers = headers(Socket, #{}),
            ok = inet:setopts(Socket, [{packet, raw}]),
            Body = body(Socket, Headers),
            {Path, Query} = split(Target),
            Reply = try answer(method(Method), Path, Query, Headers, Body)
                    catch Class:Reason:Trace ->
                        standin_conf:log("~p ~s failed: ~p", [Method, Target, {Class, Reason, Trace}]),
                        {500, "Internal Server Error", [{"Content-Type", "text/html"}], <<>>}
                    end,
            ok = send(Socket, Reply),
            case string:lowercase(maps:get(<<"connection">>, Headers, <<>>)) of
                <<"close">> -> gen_tcp:close(Socket);
                _ -> connection(Socket)
            end;
        _ -> gen_tcp:close(Socket)
    end.

headers(Socket, Found) ->
    case gen_tcp:recv(Socket, 0, 30000) of
        {ok, {http_header, _, Name, _, Value}} ->
            Key = string:lowercase(case Name of _ when is_atom(Name) -> atom_to_binary(Name); _ -> Name end),
            headers(Socket, Found#{Key => Value});
        {ok, http_eoh} -> Found
    end.

body(Socket, Headers) ->
    [gen_tcp:send(Socket, "HTTP/1.1 100 Continue\r\n\r\n") || maps:is_key(<<"expect">>, Headers)],
    case binary_to_integer(maps:get(<<"content-length">>, Headers, <<"0">>)) of
        0 -> <<>>;
        Length when Length =< ?BODY_MAX ->
            {ok, Bytes} = gen_tcp:recv(Socket, Length, 60000),
            Bytes
    end.

method(Method) when is_atom(Method) -> atom_to_binary(Method);
method(Method) -> Method.

split(Target) ->
    {Path, Query} = case binary:split(Target, <<"?">>) of
                        [Before, After] -> {Before, After};
                        [Before] -> {Before, <<>>}
                    end,
    Segments = [uri_string:percent_decode(Segment) || Segment <- binary:split(Path, <<"/">>, [global]), Segment =/= <<>>],
    {Segments, maps:from_list([{Key, Value} || {Key, Value} <- uri_string:dissect_query(Query), is_binary(Value)])}.

answer(<<"GET">>, [<<"ping">>], _, _, _) -> {200, "OK", html(), <<"OK">>};
answer(_, [<<"ping">>], _, _, _) -> {405, "Method Not Allowed", [{"Allow", "GET, HEAD"} | html()], <<>>};
%% Where clients find what there is, of the recorded answer what the stand-in serves.
answer(<<"GET">>, [], _, #{<<"accept">> := <<"application/json">>}, _) ->
    Buckets = [riak_kv_wm_keylist, riak_kv_wm_object, riak_kv_wm_props],
    Places = #{riak_kv_wm_bucket_type => <<"/types">>, riak_kv_wm_buckets => <<"/buckets">>,
               riak_kv_wm_ping => <<"/ping">>, riak_kv_wm_stats => <<"/stats">>},
    {200, "OK", [{"Vary", "Accept"} | json()], encode(maps:merge(maps:from_keys(Buckets, <<"/buckets">>), Places))};
answer(Method, Path, Query, Headers, Body) ->
    case standin_app:kv_is_up() of
        false -> page();
        true -> resource(Method, Path, Query, Headers, Body)
    end.

resource(<<"GET">>, [<<"stats">>], _, _, _) -> {200, "OK", json(), encode(standin_kv:stats())};
resource(Method, [<<"types">>, Type, <<"buckets">> | Path], Query, Headers, Body) ->
    case Type =:= <<"default">> orelse maps:get(Type, maps:get(types, standin_cluster:ring()), none) of
        true -> bucket(Method, Type, Path, Query, Headers, Body);
        #{active := true} -> bucket(Method, Type, Path, Query, Headers, Body);
        _ -> {404, "Object Not Found", text(), <<"Unknown bucket type: ", Type/binary>>}
    end;
resource(Method, [<<"buckets">> | Path], Query, Headers, Body) -> bucket(Method, <<"default">>, Path, Query, Headers, Body);
resource(_, _, _, _, _) -> page().

bucket(<<"GET">>, Type, [], #{<<"buckets">> := _}, _, _) ->
    {200, "OK", vary(json()), encode(#{buckets => standin_kv:buckets(Type)})};
bucket(<<"GET">>, Type, [Bucket, <<"keys">>], #{<<"keys">> := _}, _, _) ->
    {200, "OK", vary(json()), encode(#{keys => standin_kv:keys(Type, Bucket)})};
bucket(<<"POST">>, Type, [Bucket, <<"keys">>], Query, Headers, Body) ->
    Key = binary:encode_hex(<<(erlang:unique_integer()):64, (erlang:system_time()):64>>),
    store({Type, Bucket, Key}, Query, Headers, Body, [{"Location", ["/buckets/", Bucket, "/keys/", Key]}]);
bucket(Method, Type, [Bucket, <<"keys">>, Key], Query, Headers, Body) ->
    object(Method, {Type, Bucket, Key}, Query, Headers, Body);
bucket(<<"GET">>, _, [Bucket, <<"props">>], _, _, _) ->
    {200, "OK", vary(json()), encode(#{props => #{name => Bucket, n_val => 3, allow_mult => false, last_write_wins => false}})};
bucket(_, _, _, _, _, _) -> page().

object(<<"GET">>, Key, _, _, _) -> found(standin_kv:get(Key), Key);
object(<<"HEAD">>, Key, _, _, _) -> found(standin_kv:get(Key), Key);
object(<<"DELETE">>, Key, _, _, _) ->
    case standin_kv:get(Key) of
        notfound -> missing();
        _ ->
            case standin_kv:put(Key, deleted) of
                {ok, _} -> {204, "No Content", vary(html()), none};
                Error -> unavailable(Error)
            end
    end;
object(_PutOrPost, Key, Query, Headers, Body) -> store(Key, Query, Headers, Body, []).

store(Key, Query, Headers, Body, Created) ->
    Type = maps:get(<<"content-type">>, Headers, <<"application/octet-stream">>),
    case {standin_kv:put(Key, {Body, Type}), Created, Query} of
        {{ok, Stamp}, [], #{<<"returnbody">> := <<"true">>}} -> found({ok, {Stamp, {Body, Type}}}, Key);
        {{ok, _}, [], _} -> {204, "No Content", vary([{"Content-Type", Type}]), none};
        {{ok, _}, _, _} -> {201, "Created", vary(Created ++ [{"Content-Type", Type}]), <<>>};
        {Error, _, _} -> unavailable(Error)
    end.

found({ok, {{Micros, _, _} = Stamp, {Value, Type}}}, {_, Bucket, _}) ->
    Changed = calendar:system_time_to_universal_time(Micros, microsecond),
    {200, "OK", [{"X-Riak-Vclock", base64:encode(term_to_binary(Stamp))}, {"Vary", "Accept-Encoding"},
                 {"Link", ["</buckets/", Bucket, ">; rel=\"up\""]}, {"Last-Modified", date(Changed)},
                 {"ETag", ["\"", integer_to_list(erlang:phash2(Stamp), 36), "\""]}, {"Content-Type", Type}], Value};
found(notfound, _) -> missing();
found(Error, _) -> unavailable(Error).

missing() -> {404, "Object Not Found", text(), <<"not found\n">>}.
page() -> {404, "Object Not Found", html(), ?PAGE}.
unavailable({error, Reason}) ->
    {503, "Service Unavailable", text(), [<<"Error:\n">>, atom_to_binary(Reason), <<"\n">>]}.

html() -> [{"Content-Type", "text/html"}].
text() -> [{"Content-Type", "text/plain"}].
json() -> [{"Content-Type", "application/json"}].
vary(Headers) -> [{"Vary", "Accept-Encoding"} | Headers].

send(Socket, {Status, Reason, Headers, Body}) ->
    Length = case Body of
                 none -> [];
                 _ -> ["Content-Length: ", integer_to_list(iolist_size(Body)), "\r\n"]
             end,
    Bytes = case Body of none -> <<>>; _ -> Body end,
    gen_tcp:send(Socket, ["HTTP/1.1 ", integer_to_list(Status), " ", Reason, "\r\nServer: ", ?SERVER, "\r\nDate: ",
                          date(calendar:universal_time()), "\r\n", [[Name, ": ", Value, "\r\n"] || {Name, Value} <- Headers],
                          Length, "\r\n", Bytes]).

date({{Year, Month, Day}, {Hour, Minute, Second}}) ->
    Weekday = element(calendar:day_of_the_week(Year, Month, Day), {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}),
    Name = element(Month, {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"}),
    io_lib:format("~s, ~2..0b ~s ~4..0b ~2..0b:~2..0b:~2..0b GMT", [Weekday, Day, Name, Year, Hour, Minute, Second]).

encode(Map) when is_map(Map) ->
    ["{", lists:join(",", [[quote(atom_to_binary(Key)), ":", encode(Value)] || {Key, Value} <- maps:to_list(Map)]), "}"];
encode(List) when is_list(List) -> ["[", lists:join(",", [encode(Value) || Value <- List]), "]"];
encode(Text) when is_binary(Text) -> quote(Text);
encode(Number) when is_integer(Number) -> integer_to_list(Number);
encode(Atom) when is_atom(Atom) -> atom_to_list(Atom).

quote(Text) -> ["\"", [escape(Byte) || <<Byte>> <= Text], "\""].

escape($") -> "\\\"";
escape($\\) -> "\\\\";
escape(Byte) when Byte < 32 -> io_lib:format("\\u~4.16.0b", [Byte]);
escape(Byte) -> Byte.
