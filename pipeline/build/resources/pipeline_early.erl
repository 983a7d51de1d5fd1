%% -*- erlang -*-
%% rebar3's own compiler of modules, but it does not wait with the large ones.
%%
%% rebar3 compiles one application after the other, the modules of one at the same time. A large module, which takes one
%% core ten seconds, leaves the others idle (gun_public_suffix of gun, cow_http_hd of cowlib). Here such modules are begun
%% when the first application is, on all schedulers but one. When it is the turn of a module, what was made of it early is
%% taken if the compiler would be given the very same now (`pipeline_compiler:known/2`); if not, it is compiled as ever.
-module(pipeline_early).
-export([context/1, needed_files/4, dependencies/3, dependencies/4, compile/4, compile_and_track/4, clean/2]).
-export([handed_over/0]).

%% From how many bytes on a module is large: it takes a second or more. A small one is not worth that it is read twice.
-define(LARGE, 100000).
-define(FOLDER, "/pipeline/early").

%% rebar3 asks this of all applications before it compiles the first one.
context(App) ->
    Context = rebar_compiler_erl:context(App),
    put(?MODULE, [{App, Context} | known_applications()]),
    Context.

known_applications() ->
    case get(?MODULE) of
        undefined -> [];
        Known -> Known
    end.

needed_files(Graph, Found, Mappings, App) ->
    Known = known_applications(),
    put(?MODULE, []),
    %% Whatever goes wrong here, rebar3 compiles everything in its turn.
    try begin_early(lists:append([jobs(Graph, Each, Context) || {Each, Context} <- Known]),
                   erlang:system_info(schedulers_online) - 1)
    catch _:Reason:Stack -> rebar_api:debug("no module is compiled early: ~tp", [{Reason, Stack}])
    end,
    rebar_compiler_erl:needed_files(Graph, Found, Mappings, App).

dependencies(Source, SourceDir, Dirs) -> rebar_compiler_erl:dependencies(Source, SourceDir, Dirs).
dependencies(Source, SourceDir, Dirs, Opts) -> rebar_compiler_erl:dependencies(Source, SourceDir, Dirs, Opts).
compile(Source, Mappings, Config, Opts) -> rebar_compiler_erl:compile(Source, Mappings, Config, Opts).
clean(Files, App) -> rebar_compiler_erl:clean(Files, App).

compile_and_track(Source, Mappings, Config, Opts) ->
    case made_early(Source) of
        {Key, Made} ->
            case pipeline_compiler:known(Source, Opts) of
                {ok, Key} -> pipeline_compiler:taken(Made, Source, Mappings);
                Known -> pipeline_compiler:compile_known(Known, Source, Mappings, Config, Opts)
            end;
        nothing ->
            pipeline_compiler:compile_and_track(Source, Mappings, Config, Opts)
    end.

%% The large modules of an application of which no other one of it needs to be compiled first, with the options that rebar3
%% gives the compiler.
jobs(Graph, App, #{src_dirs := Dirs, out_mappings := Mappings}) ->
    Folder = rebar_utils:to_list(rebar_app_info:dir(App)),
    Large = [{filelib:file_size(File), File} || Dir <- Dirs,
                                                File <- digraph:vertices(Graph), is_list(File),
                                                lists:prefix(filename:join(Folder, Dir) ++ "/", File),
                                                filename:extension(File) =:= ".erl",
                                                filelib:file_size(File) >= ?LARGE],
    case Large of
        [] ->
            [];
        _ ->
            {_, {{_, Parallel}, Opts}} =
                rebar_compiler_erl:needed_files(Graph, [File || {_, File} <- Large], Mappings, App),
            [{Size, File, Opts, rebar_app_info:opts(App)} || {Size, File} <- Large, lists:member(File, Parallel)]
    end.

begin_early(Jobs, Spare) when Jobs =/= [], Spare > 0 ->
    case ets:whereis(?MODULE) of
        undefined -> ?MODULE = ets:new(?MODULE, [named_table, public, {read_concurrency, true}]);
        _ -> ok
    end,
    Largest = lists:reverse(lists:keysort(1, Jobs)),
    %% By whom it is compiled is decided once: whoever counts to 1 does it.
    [ets:insert_new(?MODULE, {Source, 0, waiting}) || {_, Source, _, _} <- Largest],
    [spawn(fun() -> [work(Job) || Job <- Largest] end) || _ <- lists:seq(1, Spare)],
    ok;
begin_early(_, _) ->
    ok.

work({_, Source, Opts, Config}) ->
    is_first(Source) andalso note(Source, try early(Source, Opts, Config) catch _:_ -> nothing end).

early(Source, Opts, Config) ->
    {ok, Key} = Known = pipeline_compiler:known(Source, Opts),
    Folder = filename:join(?FOLDER, integer_to_list(erlang:unique_integer([positive]))),
    ok = filelib:ensure_dir(filename:join(Folder, "x")),
    {Target, Tracked, Warnings} =
        case pipeline_compiler:compile_known(Known, Source, [{".beam", Folder}], Config, Opts) of
            {ok, [{Source, File, Options}]} -> {File, Options, []};
            {ok, [{Source, File, Options}], Found} -> {File, Options, Found}
        end,
    {ok, Beam} = file:read_file(Target),
    {Key, {Beam, Tracked, Warnings}}.

%% What was made of a module before its turn, if anything.
made_early(Source) ->
    case ets:whereis(?MODULE) =/= undefined andalso ets:member(?MODULE, Source) of
        true ->
            is_first(Source) andalso note(Source, nothing),
            noted(Source);
        false ->
            nothing
    end.

is_first(Source) -> ets:update_counter(?MODULE, Source, {2, 1}) =:= 1.

note(Source, Made) -> ets:update_element(?MODULE, Source, {3, Made}).

noted(Source) ->
    case ets:lookup_element(?MODULE, Source, 3) of
        waiting -> timer:sleep(10), noted(Source);
        Made -> Made
    end.

%% What rebar3 notes of the modules it compiled, it notes for each compiler apart: give it to rebar3's own one, which is
%% used after this one and would compile everything again.
handed_over() ->
    ok = application:load(compiler),
    {ok, Version} = application:get_key(compiler, vsn),
    [hand_over(File, binary_to_term(Bytes), [{compiler, Version}])
     || File <- filelib:wildcard("_build/*/*/.rebar3/pipeline_early/*.dag"), {ok, Bytes} <- [file:read_file(File)]],
    ok.

%% rebar_compiler_dag of rebar3 3.14 to 3.28: a record whose third element is of the compiler (rebar_prv_compile:mod_meta/2).
%% What another version notes is not known to fit: that one compiles again.
hand_over(File, {dag, _, [], _, _, _} = Noted, Compiler) ->
    Folder = filename:dirname(File),
    Own = filename:join([filename:dirname(Folder), "rebar_compiler_erl", filename:basename(File)]),
    ok = filelib:ensure_dir(Own),
    ok = file:write_file(Own, term_to_binary(setelement(3, Noted, Compiler), [{compressed, 2}])),
    ok = file:del_dir_r(Folder);
hand_over(_, _, _) ->
    ok.
