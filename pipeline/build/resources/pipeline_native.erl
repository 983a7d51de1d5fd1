%% -*- erlang -*-
%% A provider of rebar3 that gets the dependencies and writes, as JSON, which of them call other programs than Erlang's to
%% be compiled. It is named to rebar3 in place of the list of its providers, which it gives it too.
-module(pipeline_native).
-export([init/1, do/1, format_error/1]).
-include("common.hrl").
-include("native.hrl").
-compile({nowarn_unused_function, [{texts, 1}, {text, 1}, {bad, 2}]}).

init(State0) ->
    State = rebar_state:create_logic_providers(providers(), State0),
    {ok, rebar_state:add_provider(State, providers:create([{name, ?MODULE}, {module, ?MODULE}, {bare, true},
                                                           {deps, [install_deps]}, {example, ""},
                                                           {short_desc, "Get dependencies"}, {desc, ""}, {opts, []}]))}.

%% Those of rebar3's own resource file, which may lie in an archive.
providers() ->
    _ = code:ensure_loaded(erl_prim_loader),
    Read = case erlang:function_exported(erl_prim_loader, read_file, 1) of
               true -> fun erl_prim_loader:read_file/1;
               false -> fun erl_prim_loader:get_file/1
           end,
    Binary = element(2, Read(code:where_is_file("rebar.app"))),
    {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Binary)),
    {ok, {application, rebar, Properties}} = erl_parse:parse_term(Tokens),
    proplists:get_value(providers, proplists:get_value(env, Properties)).

do(State) ->
    Apps = rebar_state:all_deps(State) ++ rebar_state:all_checkout_deps(State),
    Found = [{rebar_app_info:name(A), native(rebar_app_info:opts(A), rebar_app_info:dir(A))} || A <- Apps],
    Native = [#{name => bin(N), programs => [bin(P) || P <- Ps]} || {N, Ps} <- lists:usort(Found), Ps =/= []],
    ok = file:write_file("/fetched/native.json", json(Native)),
    {ok, State}.

format_error(Reason) -> io_lib:format("~p", [Reason]).
