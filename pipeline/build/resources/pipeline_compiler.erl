%% -*- erlang -*-
%% rebar3's own compiler of modules, but that of two modules of one name, which rebar3 compiles into one file at the same
%% time, the one is compiled first that comes first in rebar3's order. So the other one stays, as it does where there is
%% one scheduler. It compiles the application in PIPELINE_FOLDER alone: the others are compiled.
-module(pipeline_compiler).
-export([context/1, needed_files/4, dependencies/3, dependencies/4, compile/4, compile_and_track/4, clean/2]).

context(App) ->
    Context = rebar_compiler_erl:context(App),
    case filename:absname(rebar_app_info:dir(App)) =:= filename:absname(os:getenv("PIPELINE_FOLDER")) of
        true -> Context;
        false -> Context#{src_dirs => []}
    end.

needed_files(Graph, Found, Mappings, App) ->
    {{First, FirstOpts}, {{Sequential, Parallel}, Opts}} = rebar_compiler_erl:needed_files(Graph, Found, Mappings, App),
    Replaced = replaced(First ++ Sequential ++ Parallel),
    [rebar_api:warn("~ts and ~ts are one module: the second one is in the release, which rebar3 compiles last",
                    [relative(File), relative(Last)]) || {File, Last} <- Replaced],
    Early = [File || File <- Parallel, lists:keymember(File, 1, Replaced)],
    {{First, FirstOpts}, {{Sequential ++ Early, Parallel -- Early}, Opts}}.

%% The files that another one takes the place of, each with that one.
replaced([]) -> [];
replaced([File | Later]) ->
    case [Other || Other <- Later, filename:basename(Other) =:= filename:basename(File)] of
        [] -> replaced(Later);
        Others -> [{File, lists:last(Others)} | replaced(Later)]
    end.

relative(File) ->
    {ok, Folder} = file:get_cwd(),
    case string:prefix(File, Folder ++ "/") of
        nomatch -> File;
        Relative -> Relative
    end.

dependencies(Source, SourceDir, Dirs) -> rebar_compiler_erl:dependencies(Source, SourceDir, Dirs).
dependencies(Source, SourceDir, Dirs, Opts) -> rebar_compiler_erl:dependencies(Source, SourceDir, Dirs, Opts).
compile(Source, Mappings, Config, Opts) -> rebar_compiler_erl:compile(Source, Mappings, Config, Opts).
compile_and_track(Source, Mappings, Config, Opts) ->
    rebar_compiler_erl:compile_and_track(Source, Mappings, Config, Opts).
clean(Files, App) -> rebar_compiler_erl:clean(Files, App).
