#!/usr/bin/env escript
%% -*- erlang -*-
%% Reads a rebar3 project, lets Erlang parse Erlang, and writes
%%   OUT/application.json        what the pipeline needs to know, or {"error": "..."}
%%   OUT/rebar.deps.config       for the stage of the dependencies
%%   OUT/rebar.compile.config    for the stage of one application
%%   OUT/rebar.release.config    for the stage of the release
%%   OUT/apps/DIR/rebar.config   of an umbrella's application, its dependencies moved to the top
%% Usage: application.escript SOURCE OUT [--release NAME] [--release-version VSN] [--apps A,B:load]
%%        [--development-plugins A,B]
-mode(compile).
-include("common.hrl").

-define(PROFILE, prod).
-define(SYS_CONFIG, "sys.config.src").
-define(VM_ARGS, "vm.args.src").

main([Source, Out | Options]) ->
    Result =
        try project(Source, Out, options(Options, #{}))
        catch throw:{input, Message} -> #{error => Message}
        end,
    ok = write([Out, "/application.json"], [json(Result), $\n]).

project(Source, Out, Options) ->
    Config = rebar_config(Source),
    Prod = proplists:get_value(?PROFILE, proplists:get_value(profiles, Config, []), []),
    Relx = proplists:get_value(relx, Prod, []) ++ proplists:get_value(relx, Config, []),
    {Name, Version, ReleaseApps} = release(Relx, Options),
    Umbrella = umbrella(Source, Config),
    Own = dependency_order([app_name(A) || A <- ReleaseApps], Umbrella),
    Locked = lock(Source),
    %% A gitlink without its content is an empty folder: no checkout.
    Checkouts = lists:usort([lists:nth(2, filename:split(F))
                             || F <- filelib:wildcard("_checkouts/*/{src,ebin}/*.app{,.src,.src.script}", Source)]),
    AppDeps = lists:append([deps(app_config(Source, App)) || App <- Own]),
    Deps = unique(deps(Config) ++ AppDeps),
    ok = check_lock(unique(Deps ++ deps(Prod)), Deps, Locked, Checkouts),
    Development = string:lexemes(maps:get("development-plugins", Options, ""), ","),
    {Plugins, Dropped} = plugins(Config ++ Prod, Development),
    write_configs(Out, Source, Config, Prod, Relx, {Name, Version, ReleaseApps}, Own, Deps, Plugins, Development),
    Main = main_app(Name, Own),
    #{name => Name,
      version => unicode:characters_to_binary(Version),
      release_apps => [app_name(A) || A <- ReleaseApps],
      apps => [#{name => maps:get(name, App), dir => bin(maps:get(dir, App)), vsn => vsn(App),
                 needs => [N || N <- maps:get(needs, App), lists:member(N, [maps:get(name, O) || O <- Own])]}
               || App <- Own],
      other_apps => [maps:get(name, App) || App <- Umbrella, not lists:member(App, Own)],
      locked => [L || is_list(Locked), {L, _, _} <- Locked],
      checkouts => [bin(C) || C <- Checkouts],
      plugins => [plugin_json(P) || P <- Plugins],
      dropped_plugins => [plugin_name(P) || P <- Dropped],
      sys_config => path_json(relx_path(Relx, [sys_config, sys_config_src])),
      vm_args => path_json(relx_path(Relx, [vm_args, vm_args_src])),
      overlay => [bin(F) || F <- overlay_files(Relx)],
      description => text(property(description, Main)),
      licenses => [text(L) || L <- list(property(licenses, Main))],
      links => [#{name => text(N), url => text(U)} || {N, U} <- list(property(links, Main))]}.

%% rebar.config ------------------------------------------------------------------------------------

rebar_config(Source) ->
    File = filename:join(Source, "rebar.config"),
    Script = File ++ ".script",
    Terms =
        case file:consult(File) of
            {ok, Read} -> Read;
            {error, enoent} ->
                case filelib:is_regular(Script) of
                    true -> [];
                    false -> bad("rebar.config: not found; --source must be the root of a rebar3 project", [])
                end;
            {error, Reason} -> bad("rebar.config:~ts", [file_error(Reason)])
        end,
    case filelib:is_regular(Script) of
        false -> Terms;
        true ->
            case file:script(Script, [{'CONFIG', Terms}, {'SCRIPT', Script}]) of
                {ok, Scripted} -> Scripted;
                {error, Why} -> bad("rebar.config.script:~ts", [file_error(Why)])
            end
    end.

file_error(Reason) when is_tuple(Reason) -> string:trim(file:format_error(Reason));
file_error(Reason) -> [" ", file:format_error(Reason)].

release(Relx, Options) ->
    Found = lists:append([release_term(T) || T <- Relx]),
    Wanted = maps:get("release", Options, undefined),
    Names = lists:usort([atom_to_list(N) || {N, _, _} <- Found]),
    Default = case lists:keyfind(default_release, 1, Relx) of
                  {default_release, D, _} -> atom_to_list(D);
                  {default_release, D} -> atom_to_list(D);
                  false -> undefined
              end,
    Chosen =
        case {Names, Wanted, Default} of
            {[], _, _} -> bad("rebar.config: no {release, {Name, Version}, Applications} in relx; "
                              "add one, or give another configuration with --rebar-config", []);
            {_, W, _} when W =/= undefined -> W;
            {[Single], undefined, _} -> Single;
            {_, undefined, D2} when D2 =/= undefined -> D2;
            _ -> bad("rebar.config: several releases (~ts); choose one with --release",
                     [lists:join(", ", Names)])
        end,
    case [R || {N, _, _} = R <- Found, atom_to_list(N) =:= Chosen] of
        [] -> bad("--release ~ts: rebar.config has only ~ts", [Chosen, lists:join(", ", Names)]);
        [{Name, Version, Apps} | _] ->
            {Name, version(Version, Name, Options), apps_option(Options, Apps)}
    end.

release_term({release, {Name, Version}, Apps}) -> [{Name, Version, Apps}];
release_term({release, {Name, Version}, Apps, _Options}) -> [{Name, Version, Apps}];
release_term(_) -> [].

version(Version, Name, Options) ->
    case {maps:get("release-version", Options, undefined), Version} of
        {Given, _} when Given =/= undefined -> Given;
        {_, [C | _]} when is_integer(C) -> Version;
        _ -> bad("rebar.config: the version of release ~ts is ~p, which needs git; give it with --release-version",
                 [Name, Version])
    end.

apps_option(Options, Apps) ->
    case string:lexemes(maps:get("apps", Options, ""), ",") of
        [] -> Apps;
        Given -> [case string:split(A, ":") of
                      [N, Type] -> {list_to_atom(N), list_to_atom(Type)};
                      [N] -> list_to_atom(N)
                  end || A <- Given]
    end.

app_name(App) when is_tuple(App) -> element(1, App);
app_name(App) -> App.

%% The applications of the project ----------------------------------------------------------------

umbrella(Source, Config) ->
    Globs = proplists:get_value(project_app_dirs, Config, ["apps/*", "lib/*", "."]),
    Dirs = unique([Dir || Glob <- Globs, Dir <- filelib:wildcard(Glob, Source)]),
    lists:append([app(Source, Dir) || Dir <- Dirs]).

app(Source, Dir) ->
    Script = wild(Source, Dir, "src/*.app.src.script"),
    Files = case Script of [] -> wild(Source, Dir, "src/*.app.src"); _ -> Script end,
    case Files of
        [] -> [];
        [File | _] ->
            Relative = filename:join([D || D <- [Dir], D =/= "."] ++ ["src", filename:basename(File)]),
            case read_app(File) of
                {ok, [{application, Name, Properties} | _]} ->
                    Needs = lists:append([proplists:get_value(K, Properties, [])
                                          || K <- [applications, included_applications]]),
                    [#{name => Name, dir => Dir, file => Relative, properties => Properties, needs => Needs}];
                Problem ->
                    %% Only an application that the release needs may fail the build: kept, and reported when needed.
                    Name = list_to_atom(hd(string:split(filename:basename(File), "."))),
                    [#{name => Name, dir => Dir, file => Relative, broken => Problem, properties => [], needs => []}]
            end
    end.

wild(Source, Dir, Glob) -> filelib:wildcard(filename:join([Source, Dir, Glob])).

read_app(File) ->
    case filename:extension(File) of
        ".script" ->
            case file:script(File, [{'CONFIG', element(2, consult_or_empty(filename:rootname(File)))},
                                    {'SCRIPT', File}]) of
                {ok, Term} when is_tuple(Term) -> {ok, [Term]};
                Other -> Other
            end;
        _ -> file:consult(File)
    end.

consult_or_empty(File) ->
    case file:consult(File) of {ok, T} -> {ok, T}; _ -> {ok, []} end.

app_config(_Source, #{dir := "."}) -> [];
app_config(Source, #{dir := Dir}) ->
    case filelib:is_regular(filename:join([Source, Dir, "rebar.config"]))
         orelse filelib:is_regular(filename:join([Source, Dir, "rebar.config.script"])) of
        true -> try rebar_config(filename:join(Source, Dir))
                catch throw:{input, M} -> bad("~ts/~ts", [Dir, M])
                end;
        false -> []
    end.

%% Depth first over the applications' own needs: what is needed comes before what needs it.
dependency_order(Names, Umbrella) ->
    {Order, _} = lists:foldl(fun(N, Acc) -> visit(N, [], Umbrella, Acc) end, {[], []}, Names),
    lists:reverse(Order).

visit(Name, Path, Umbrella, {_, Done} = Acc) ->
    case {lists:member(Name, Done), lists:member(Name, Path),
          [A || #{name := N} = A <- Umbrella, N =:= Name]} of
        {true, _, _} -> Acc;
        {_, _, []} -> Acc;
        {_, true, _} ->
            bad("applications that need each other in a circle: ~ts",
                [lists:join(" -> ", [atom_to_list(P) || P <- lists:reverse([Name | Path])])]);
        {_, _, [#{broken := {error, Reason}, file := File} | _]} -> bad("~ts:~ts", [File, file_error(Reason)]);
        {_, _, [#{broken := _, file := File} | _]} ->
            bad("~ts: not an application resource file ({application, Name, Properties})", [File]);
        {_, _, [App | _]} ->
            {Order2, Done2} = lists:foldl(fun(N, A) -> visit(N, [Name | Path], Umbrella, A) end,
                                          Acc, maps:get(needs, App)),
            case lists:member(Name, Done2) of
                true -> {Order2, Done2};
                false -> {[App | Order2], [Name | Done2]}
            end
    end.

main_app(_, []) -> #{properties => []};
main_app(Name, Own) ->
    case [A || #{name := N} = A <- Own, N =:= Name] of
        [Same | _] -> Same;
        [] -> hd(Own)
    end.

vsn(#{properties := P}) ->
    case proplists:get_value(vsn, P, "") of
        [C | _] = V when is_integer(C) -> bin(V);
        Other -> bin(io_lib:format("~p", [Other]))
    end.

property(Key, #{properties := P}) -> proplists:get_value(Key, P, "").

%% Dependencies and the lock ------------------------------------------------------------------------

deps(Config) -> proplists:get_value(deps, Config, []).

lock(Source) ->
    case file:consult(filename:join(Source, "rebar.lock")) of
        {ok, [{Vsn, Locks} | _]} when is_list(Vsn) -> Locks;
        {ok, [Locks | _]} -> Locks;
        {ok, []} -> [];
        {error, enoent} -> none;
        {error, Reason} -> bad("rebar.lock:~ts", [file_error(Reason)])
    end.

check_lock([], _, none, _) -> ok;
check_lock(AllDeps, _, none, Checkouts) ->
    case [N || N <- [dep_name(D) || D <- AllDeps], not lists:member(N, Checkouts)] of
        [] -> ok;
        Names -> bad("rebar.lock: not found, but rebar.config asks for ~ts; run `rebar3 lock` and commit the file",
                     [lists:join(", ", Names)])
    end;
check_lock(_, Deps, Locks, Checkouts) ->
    Direct = [D || D <- Deps, not lists:member(dep_name(D), Checkouts)],
    Top = [{binary_to_list(N), S} || {N, S, 0} <- Locks, not lists:member(binary_to_list(N), Checkouts)],
    Any = [{binary_to_list(N), S} || {N, S, _} <- Locks],
    [bad("rebar.lock: it does not lock ~ts, which rebar.config asks for; run `rebar3 lock` and commit the file",
         [dep_name(D)]) || D <- Direct, not lists:keymember(dep_name(D), 1, Any)],
    [bad("rebar.lock: it locks ~ts, which rebar.config does not ask for; run `rebar3 unlock ~ts` and commit the file",
         [N, N]) || {N, _} <- Top, not lists:member(N, [dep_name(D) || D <- Direct])],
    [check_locked(D, Source) || D <- Direct, {_, Source} <- [lists:keyfind(dep_name(D), 1, Any)]],
    ok.

check_locked(Dep, {pkg, _, Locked}) -> version_agrees(Dep, asked_version(Dep), binary_to_list(Locked));
check_locked(Dep, {pkg, _, Locked, _}) -> version_agrees(Dep, asked_version(Dep), binary_to_list(Locked));
check_locked(Dep, {pkg, _, Locked, _, _}) -> version_agrees(Dep, asked_version(Dep), binary_to_list(Locked));
check_locked(Dep, Locked) when element(1, Locked) =:= git ->
    case {asked_ref(Dep), element(3, Locked)} of
        {undefined, _} -> ok;
        {Ref, {ref, Found}} ->
            case lists:prefix(Ref, Found) of
                true -> ok;
                false -> stale(Dep, Ref, Found)
            end
    end;
check_locked(_, _) -> ok.

version_agrees(_, undefined, _) -> ok;
version_agrees(Dep, Asked, Locked) ->
    %% Only a plain version can be compared without a resolver; a requirement (~> 1.0) is rebar3's business.
    case re:run(Asked, "^[0-9]+\\.[0-9]+(\\.[0-9]+)?[-+.0-9A-Za-z]*$") of
        nomatch -> ok;
        _ when Asked =:= Locked -> ok;
        _ -> stale(Dep, Asked, Locked)
    end.

stale(Dep, Asked, Locked) ->
    bad("rebar.lock: it locks ~ts at ~ts, but rebar.config asks for ~ts; run `rebar3 upgrade ~ts` and commit the file",
        [dep_name(Dep), Locked, Asked, dep_name(Dep)]).

dep_name(Dep) when is_tuple(Dep) -> to_list(element(1, Dep));
dep_name(Dep) -> to_list(Dep).

asked_version({_, [C | _] = V}) when is_integer(C) -> V;
asked_version({_, V}) when is_binary(V) -> binary_to_list(V);
asked_version({_, [C | _] = V, _}) when is_integer(C) -> V;
asked_version(_) -> undefined.

asked_ref(Dep) ->
    case [R || T <- tuple_to_list(Dep), is_tuple(T), element(1, T) =:= git, tuple_size(T) > 2,
               {ref, R} <- [element(3, T)]] of
        [Ref | _] -> to_list(Ref);
        [] -> undefined
    end.

plugins(Config, Development) ->
    All = unique(lists:append([V || {K, V} <- Config, K =:= plugins orelse K =:= project_plugins])),
    lists:partition(fun(P) -> not lists:member(atom_to_list(plugin_name(P)), Development) end, All).

plugin_name(P) when is_tuple(P) -> element(1, P);
plugin_name(P) -> P.

plugin_json(P) -> #{name => plugin_name(P), pinned => is_tuple(P)}.

%% The configurations of the stages -----------------------------------------------------------------

write_configs(Out, Source, Config, Prod, Relx, {Name, Version, Apps}, Own, Deps, Plugins, Development) ->
    Kept = [{plugins, Plugins} || Plugins =/= []],
    DepsKeys = [minimum_otp_vsn, overrides, deps_error_on_conflict],
    write_terms([Out, "/rebar.deps.config"],
                [{deps, Deps}, {project_app_dirs, []} | Kept] ++ [T || T <- Config, lists:member(key(T), DepsKeys)]
                ++ [{profiles, [{?PROFILE, [T || T <- Prod, lists:member(key(T), [deps, overrides])]}]}]),
    Gone = [deps, relx, plugins, project_plugins, project_app_dirs, profiles, dialyzer, shell, xref_checks, hex,
            edoc_opts, format, ct_opts, eunit_opts, lint, ex_doc],
    write_terms([Out, "/rebar.compile.config"],
                [T || T <- Config, not lists:member(key(T), Gone)] ++ Kept
                ++ [{profiles, [{?PROFILE, [T || T <- Prod, not lists:member(key(T), Gone)]}]}]),
    write_terms([Out, "/rebar.release.config"],
                [{deps, []}, {project_app_dirs, []}, {relx, relx(Relx, Name, Version, Apps)}]),
    [write_terms([Out, "/apps/", Dir, "/rebar.config"],
                 [case T of
                      {K, V} when K =:= plugins; K =:= project_plugins ->
                          {K, [P || P <- V, not lists:member(atom_to_list(plugin_name(P)), Development)]};
                      _ -> T
                  end || T <- app_config(Source, App), key(T) =/= deps])
     || #{dir := Dir} = App <- Own, Dir =/= ".", app_config(Source, App) =/= []].

%% What a release for an image must have, whatever the project says for its developers.
relx(Relx, Name, Version, Apps) ->
    Fixed = [release, default_release, lib_dirs, mode, dev_mode, include_erts, include_src, debug_info, sys_config,
             sys_config_src, vm_args, vm_args_src, overlay, extended_start_script, system_libs],
    Replaced = [{P, New} || {Keys, New} <- [{[sys_config, sys_config_src], ?SYS_CONFIG},
                                            {[vm_args, vm_args_src], ?VM_ARGS}],
                            P <- [relx_path(Relx, Keys)], P =/= undefined],
    Overlay = [overlay_entry(E, Replaced) || E <- overlay(Relx)],
    [{release, {Name, Version}, Apps}, {mode, prod}, {dev_mode, false}, {include_erts, true}, {include_src, false},
     {debug_info, strip}, {sys_config_src, ?SYS_CONFIG}, {vm_args_src, ?VM_ARGS}, {extended_start_script, true},
     {lib_dirs, ["/build/lib"]}]
    ++ [{overlay, Overlay} || Overlay =/= []]
    ++ [T || T <- Relx, not lists:member(key(T), Fixed)].

overlay(Relx) -> lists:append([E || {overlay, E} <- Relx]).

overlay_entry({copy, From, To}, Replaced) ->
    case lists:keyfind(norm(From), 1, Replaced) of
        {_, New} -> {copy, New, To};
        false -> {copy, From, To}
    end;
overlay_entry(Entry, _) -> Entry.

overlay_files(Relx) ->
    Given = [P || K <- [[sys_config, sys_config_src], [vm_args, vm_args_src]], P <- [relx_path(Relx, K)]],
    [norm(element(2, E)) || E <- overlay(Relx), lists:member(element(1, E), [copy, template]),
                            not lists:member(norm(element(2, E)), Given)].

relx_path(Relx, Keys) ->
    case [V || {K, V} <- Relx, lists:member(K, Keys), is_list(V)] of
        [Path | _] -> norm(Path);
        [] -> undefined
    end.

norm("./" ++ Path) -> norm(Path);
norm(Path) -> Path.

key(T) when is_tuple(T) -> element(1, T);
key(T) -> T.

unique(List) -> lists:reverse(lists:foldl(fun(E, A) -> case lists:member(E, A) of true -> A; false -> [E | A] end end,
                                          [], List)).

write_terms(File, Terms) -> write(File, [io_lib:format("~tp.~n", [T]) || T <- Terms]).

write(File, Text) ->
    Path = lists:flatten(File),
    ok = filelib:ensure_dir(Path),
    ok = file:write_file(Path, unicode:characters_to_binary(Text)).

%% Texts --------------------------------------------------------------------------------------------

path_json(undefined) -> null;
path_json(Path) -> bin(Path).

text(T) when is_list(T); is_binary(T) -> try unicode:characters_to_binary(T) of B when is_binary(B) -> B; _ -> <<>>
                                         catch _:_ -> <<>> end;
text(T) -> bin(io_lib:format("~p", [T])).

list(L) when is_list(L) -> L;
list(_) -> [].

to_list(A) when is_atom(A) -> atom_to_list(A);
to_list(B) when is_binary(B) -> binary_to_list(B);
to_list(L) -> L.
