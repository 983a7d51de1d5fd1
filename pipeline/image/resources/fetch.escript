#!/usr/bin/env escript
%% -*- erlang -*-
%% Shown as: download $1
%% Fetches a file and checks it.
%% Usage: fetch.escript URL SHA256 FILE
%% HTTPS_PROXY, HTTP_PROXY and NO_PROXY are honoured.
-mode(compile).

main([Url, Sha256, File]) ->
    {ok, _} = application:ensure_all_started([inets, ssl]),
    Login = lists:append([proxy(Option, Names) || {Option, Names} <- [{https_proxy, ["HTTPS_PROXY", "https_proxy"]},
                                                                      {proxy, ["HTTP_PROXY", "http_proxy"]}]]),
    %% The builder may have no certificates. Nothing secret is sent, and the checksum tells whether the answer is right.
    Options = Login ++ [{ssl, [{verify, verify_none}]}, {connect_timeout, 30000}, {timeout, 300000}],
    case httpc:request(get, {Url, [{"user-agent", "erlmcp-pipeline"}]}, Options, [{body_format, binary}]) of
        {ok, {{_, 200, _}, _, Body}} ->
            case lists:flatten([io_lib:format("~2.16.0b", [Byte]) || <<Byte>> <= crypto:hash(sha256, Body)]) of
                Sha256 -> ok = file:write_file(File, Body);
                Other -> failed("its SHA-256 is ~s, not ~s", [Other, Sha256])
            end;
        {ok, {{_, Status, Phrase}, _, _}} ->
            failed("the server answers ~b ~ts", [Status, Phrase]);
        {error, {failed_connect, [{to_address, {Host, Port}} | Why]}} ->
            failed("no connection to ~ts:~b (~ts)", [Host, Port, reason(Why)]);
        {error, Reason} ->
            failed("~tp", [Reason])
    end.

reason(Why) ->
    case [Reason || {inet, _, Reason} <- Why] of
        [Reason | _] when is_atom(Reason) -> inet:format_error(Reason);
        _ -> io_lib:format("~tp", [Why])
    end.

failed(Format, Arguments) ->
    io:format(standard_error, "===> " ++ Format ++ "~n", Arguments),
    halt(1).

%% Sets a proxy; returns its login as options of a request.
proxy(Option, Names) ->
    case [Value || Name <- Names, Value <- [os:getenv(Name, "")], Value =/= ""] of
        [] ->
            [];
        [Value | _] ->
            #{host := Host} = Parts = uri_string:parse(case string:find(Value, "://") of
                                                            nomatch -> "http://" ++ Value;
                                                            _ -> Value
                                                        end),
            Not = string:lexemes(os:getenv("NO_PROXY", os:getenv("no_proxy", "")), ", "),
            Except = [case Name of "." ++ _ -> "*" ++ Name; _ -> Name end || Name <- Not],
            ok = httpc:set_options([{Option, {{Host, maps:get(port, Parts, 80)}, Except}}]),
            case string:split(uri_string:percent_decode(maps:get(userinfo, Parts, "")), ":") of
                [User, Password] -> [{proxy_auth, {User, Password}}];
                _ -> []
            end
    end.
