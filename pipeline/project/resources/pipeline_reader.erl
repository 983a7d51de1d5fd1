%% -*- erlang -*-
%% A provider of rebar3 that writes, as JSON, what rebar3 knows of the project under the profiles in force:
%%   {"error": "..."}     what the user must mend
%%   {"again": true}      it takes more than the configuration to know: a version that a command or a file gives
%%   {...}                see read/2; `configs` holds the configurations of the stages, by path
%% It asks rebar3 and relx; nothing of their rules is written here a second time.
%% Its arguments come in the environment: READER_OUT, READER_WHOLE (the whole source is there), READER_RELEASE,
%% READER_RELEASE_VERSION, READER_APPS, and READER_SYS_CONFIG and READER_VM_ARGS if others than the project's are given.
-module(pipeline_reader).
-export([init/1, do/1, format_error/1]).
-include("common.hrl").
-include("native.hrl").

%% Plugins for developers, which no release needs, each with the providers or namespaces that a hook may name.
%% Any other plugin stays: a port compiler or a code generator is part of the build.
-define(DEVELOPMENT_PLUGINS,
        [{covertool, [covertool]}, {coveralls, [coveralls]}, {erlfmt, [fmt]}, {rebar3_appup_plugin, [appup]},
         {rebar3_auto, [auto]}, {rebar3_bench, [bench]}, {rebar3_depup, ['update-deps']},
         {rebar3_edoc_extensions, [edoc]}, {rebar3_ex_doc, [ex_doc]}, {rebar3_format, [format]},
         {rebar3_hank, [hank]}, {rebar3_hex, [hex]}, {rebar3_lint, [lint]}, {rebar3_proper, [proper]},
         {rebar3_sheldon, [spellcheck]}, {rebar_covertool, [covertool]}]).

%% What a release for an image must have, whatever the project says for its developers. relx reads its terms in order,
%% the last one counts.
-define(FORCED, [{mode, prod}, {dev_mode, false}, {include_erts, true}, {include_src, false}, {debug_info, strip},
                 {system_libs, true}, {extended_start_script, true}]).

init(State) ->
    {ok, rebar_state:add_provider(State, providers:create([{name, ?MODULE}, {module, ?MODULE}, {bare, true},
                                                           {deps, [app_discovery]}, {example, "rebar3 pipeline_reader"},
                                                           {short_desc, "Write what rebar3 knows"}, {desc, ""},
                                                           {opts, []}]))}.

do(State) ->
    Result = try read(State)
             catch throw:{input, Message} -> #{error => Message};
                   throw:again -> #{again => true}
             end,
    ok = file:write_file(os:getenv("READER_OUT"), unicode:characters_to_binary([json(Result), $\n])),
    {ok, State}.

format_error(Reason) -> io_lib:format("~p", [Reason]).

option(Name) ->
    case os:getenv("READER_" ++ Name) of
        false -> "";
        Value -> Value
    end.

read(State) ->
    Root = rebar_state:dir(State),
    Profiles = rebar_state:current_profiles(State),
    Relx = relx(State, Root),
    {Name, Version, Terms} = release(Relx, Root),
    Relx1 = Terms ++ [T || T <- Relx, not is_release(T), key(T) =/= default_release],
    RelxState = relx_state(Relx1, Name, Version),
    Goals = goals(RelxState, Name, Version),
    All = project_apps(State, Root),
    Own = needed(Goals, All),
    Configs = [{"", config(Root)} | [{maps:get(dir, A), config(maps:get(path, A))} || A <- Own, maps:get(dir, A) =/= "."]],
    Locked = [{N, S} || {N, S, _} <- rebar_config:consult_lock_file(filename:join(Root, "rebar.lock"))],
    Checkouts = checkouts(State),
    Known = Checkouts ++ [maps:get(name, A) || A <- All],
    ok = check_lock(Root, asked(Configs, default), Locked, Known),
    ok = check_versions(Configs, Locked, Known),
    {Dropped, Kept} = plugins(Configs, Profiles),
    Main = main_app([Name | Goals], Own),
    SysConfig = configuration(RelxState, Root, "sys.config", fun rlx_state:sys_config_src/1, fun rlx_state:sys_config/1),
    VmArgs = configuration(RelxState, Root, "vm.args", fun rlx_state:vm_args_src/1, fun rlx_state:vm_args/1),
    #{name => Name,
      version => bin(Version),
      release_apps => Goals,
      apps => [#{name => maps:get(name, A), dir => bin(maps:get(dir, A)), app_file => bin(maps:get(app_file, A)),
                 vsn => bin(vsn(State, A)), computed => maps:get(computed, A),
                 needs => [N || N <- maps:get(needs, A), is_atom(N)]} || A <- Own],
      other_apps => [#{name => maps:get(name, A), dir => bin(maps:get(dir, A)), app_file => bin(maps:get(app_file, A)),
                       vsn => <<>>, computed => false} || A <- All, not lists:member(A, Own)],
      locked => [N || {N, _} <- Locked],
      unlocked => [bin(N) || N <- lists:usort(lists:append([asked(Configs, P) || P <- Profiles])),
                             not lists:keymember(bin(N), 1, Locked), not lists:member(list_to_atom(N), Known)],
      checkouts => Checkouts,
      packages => bin([io_lib:format("~tp.~n", [P]) || P <- packages(Locked, Checkouts)]),
      without_checksum => [N || {N, _, undefined, undefined} <- packages(Locked, Checkouts)],
      repositories => [git(N, S) || {N, S} <- Locked, lists:member(element(1, S), [git, git_subdir]),
                                    not lists:member(binary_to_atom(N, utf8), Checkouts)],
      native => [#{name => bin(N), programs => [bin(T) || T <- Ts]}
                 || {N, Ts} <- [{"rebar.config", native(rebar_state:opts(State), none)}
                                | [{atom_to_list(maps:get(name, A)),
                                    native(rebar_app_info:opts(maps:get(info, A)), maps:get(path, A))} || A <- Own]],
                    Ts =/= []],
      hex => bin([io_lib:format("~tp.~n", [T]) || T <- config(Root), key(T) =:= hex]),
      executed => [bin(W) || W <- executed(State, Root, Own, Kept)],
      assembled_with => [bin(W) || W <- assembled_with(State, Relx1, Own,
                                                       relx_files(Relx1, RelxState, Root) ++ variables(Relx1, Root)
                                                       ++ [P || #{path := P} <- [SysConfig, VmArgs], P =/= <<>>])],
      plugins => [#{name => plugin_name(P), pinned => is_tuple(P)} || P <- Kept],
      dropped_plugins => [plugin_name(P) || P <- Dropped],
      sys_config => SysConfig,
      vm_args => VmArgs,
      relx_files => relx_files(Relx1, RelxState, Root),
      description => text(property(description, Main)),
      licenses => texts(property(licenses, Main)),
      links => [#{name => text(N), url => text(U)} || {N, U} <- list(property(links, Main))],
      configs => maps:from_list(configs(Configs, Dropped, forced(Relx1, State, SysConfig, VmArgs)))}.

%% Options of one release are read after those of all.
forced(Relx, State, SysConfig, VmArgs) ->
    Output = {output_dir, filename:join(rebar_dir:base_dir(State), "rel")},
    Forced = ?FORCED ++ [Output] ++ made(sys_config, "SYS_CONFIG", "sys.config.src", SysConfig)
             ++ made(vm_args, "VM_ARGS", "vm.args.src", VmArgs),
    [case has_options(T) of
         true -> setelement(tuple_size(T), T, element(tuple_size(T), T) ++ Forced);
         false -> T
     end || T <- Relx] ++ Forced.

%% {release, Id, Applications, Options} and not {release, Id, {erts, V}, Applications}.
is_options(List) -> is_list(List) andalso lists:all(fun(O) -> is_tuple(O) end, List).

%% A file of ours: one that was given, or a default where the project has none.
made(Key, Option, File, Found) ->
    case {option(Option), Found} of
        {"", #{}} -> [];
        _ -> [{Key, undefined}, {list_to_atom(atom_to_list(Key) ++ "_src"), "/pipeline/" ++ File}]
    end.

%% The release ------------------------------------------------------------------------------------

%% As rebar_relx:read_relx_config/2, which is not exported.
relx(State, Root) ->
    case rebar_state:get(State, relx, []) of
        [] ->
            case file:consult(filename:join(Root, "relx.config")) of
                {ok, Terms} -> Terms;
                {error, enoent} -> [];
                {error, Reason} -> bad("relx.config:~ts", [file_error(Reason)])
            end;
        Terms -> Terms
    end.

is_release(T) -> is_tuple(T) andalso element(1, T) =:= release.

%% The release that is built, its version, and the terms that make it: its own, and those that it extends.
release(Relx, Root) ->
    Releases = [T || T <- Relx, is_release(T)],
    [case is_tuple(element(2, T)) andalso is_atom(element(1, element(2, T))) of
         true -> ok;
         false -> bad("rebar.config: the name of a release must be an atom, as in {release, {my_app, \"1.0.0\"}, ...}, "
                      "not ~0tp", [element(2, T)])
     end || T <- Releases],
    Names = lists:usort([release_name(T) || T <- Releases]),
    Wanted = option("RELEASE"),
    Default = case lists:keyfind(default_release, 1, Relx) of
                  false -> undefined;
                  D -> element(2, D)
              end,
    Name = case {Names, Wanted} of
               {[], _} -> no_release(Root);
               {_, [_ | _]} ->
                   case [N || N <- Names, atom_to_list(N) =:= Wanted] of
                       [N] -> N;
                       [] -> bad("--release ~ts: rebar.config has no such release, but ~ts", [Wanted, names(Names)])
                   end;
               {[Single], ""} -> Single;
               {_, ""} ->
                   case lists:member(Default, Names) of
                       true -> Default;
                       false -> bad("rebar.config: there are several releases (~ts); choose one with --release", [names(Names)])
                   end
           end,
    Terms = [resolved(T, Name) || T <- closure([Name], Releases, [])],
    Versions = lists:usort([element(2, element(2, T)) || T <- Terms, release_name(T) =:= Name]),
    case Versions of
        [Version] -> {Name, Version, Terms};
        _ -> bad("rebar.config: release ~ts has several versions (~ts); remove all but one",
                 [Name, lists:join(", ", Versions)])
    end.

no_release(Root) ->
    Profiles = list(proplists:get_value(profiles, config(Root), [])),
    case [P || {P, Section} <- Profiles, lists:any(fun is_release/1, list(proplists:get_value(relx, list(Section), [])))] of
        [] -> bad("rebar.config: relx has no {release, {Name, Version}, Applications}, and there is no relx.config; "
                  "add a release, or give another configuration with --rebar-config", []);
        Found -> bad("rebar.config: this profile has no release, but ~ts: choose it with --profile",
                     [lists:join(", ", [io_lib:format("~ts has one", [P]) || P <- Found])])
    end.

release_name(T) -> element(1, element(2, T)).

names(Names) -> lists:join(", ", [atom_to_list(N) || N <- Names]).

closure([], Releases, Names) -> [T || T <- Releases, lists:member(release_name(T), Names)];
closure([Name | Rest], Releases, Names) ->
    Bases = [base(element(2, T)) || T <- Releases, release_name(T) =:= Name],
    New = [B || B <- Bases, B =/= none, not lists:member(B, [Name | Names])],
    closure(New ++ Rest, Releases, [Name | Names]).

base({_, _, {extend, {Base, _}}}) -> Base;
base({_, _, {extend, Base}}) -> Base;
base(_) -> none.

%% The term of a release with its version as text, and with the applications of --apps.
resolved(T, Name) ->
    Apps = case {release_name(T), option("APPS")} of
               {Name, [_ | _] = Given} -> [app(A) || A <- string:lexemes(Given, ",")];
               _ -> none
           end,
    Id = case element(2, T) of
             {N, V} -> {N, version(N, V, Name)};
             %% {extend, Base} is the base of the same version, whatever this release is called afterwards.
             {N, V, {extend, {B, W}}} -> {N, version(N, V, Name), {extend, {B, version(B, W, Name)}}};
             {N, V, {extend, B}} -> {N, version(N, V, Name), {extend, {B, version(B, V, none)}}}
         end,
    case {setelement(2, T, Id), Apps} of
        {T1, none} -> T1;
        {T1, _} when is_tuple(element(3, T1)) -> setelement(4, T1, Apps);
        {T1, _} -> setelement(3, setelement(2, T1, {element(1, Id), element(2, Id)}), Apps)
    end.

app(Text) ->
    case string:split(Text, ":") of
        [N, Type] -> {list_to_atom(N), list_to_atom(Type)};
        [N] -> list_to_atom(N)
    end.

version(Name, Given, Name) ->
    case option("RELEASE_VERSION") of
        "" -> version(Given, Name);
        Version -> check_version(Version, "--release-version", Version)
    end;
version(Name, Given, _) -> version(Given, Name).

version(Given, Name) ->
    Version = case is_text(Given) andalso not lists:member(Given, ["git", "semver"]) of
                  true -> Given;
                  false ->
                      whole(),
                      {ok, S} = rlx_config:load({release, {x, Given}, []}, {ok, rlx_state:new()}),
                      [{x, Resolved}] = maps:keys(rlx_state:configured_releases(S)),
                      Resolved =:= "0.0.0" andalso not_found(io_lib:format("release ~ts", [Name]), Given, "rebar.config"),
                      Resolved
              end,
    check_version(Version, io_lib:format("rebar.config: release ~ts", [Name]), Given).

%% What relx and rebar3 say when a command or git did not answer.
not_found(What, Given, File) ->
    bad("~ts: the version of ~ts is ~0tp, which gave no version; ~ts", [File, What, Given, way_out(Given)]).

way_out({cmd, _}) ->
    "add the files that the command reads to the source, and if it runs git, give --git=.git";
way_out({file, _}) ->
    "add the file to the source";
way_out(_) ->
    "give the .git directory of the checkout with --git=.git, or the release's version with --release-version".

check_version(Version, Where, Given) ->
    case re:run(Version, "^[0-9A-Za-z][0-9A-Za-z.+_~-]*$", [unicode]) of
        {match, _} -> Version;
        nomatch when Given =:= Version ->
            bad("~ts: ~0tp is not a version; use letters, digits and . + _ ~~ -", [Where, Version]);
        nomatch -> bad("~ts: its version (~0tp) gives ~0tp, which is not a version; use letters, digits and . + _ ~~ -",
                       [Where, Given, Version])
    end.

%% A version that takes more than the configuration to know.
whole() ->
    case option("WHOLE") of
        "" -> throw(again);
        _ -> ok
    end.

%% The state of relx with the options of the release, as relx builds it.
relx_state(Relx, Name, Version) ->
    try
        {ok, State} = rlx_config:to_state([T || T <- Relx, key(T) =/= overlay_vars]),
        Release = maps:get({Name, Version}, rlx_state:configured_releases(State)),
        {ok, State1} = lists:foldl(fun rlx_config:load/2, {ok, State}, rlx_release:config(Release)),
        State1
    catch error:Reason -> bad("rebar.config: relx reports an error: ~ts", [relx_error(Reason)])
    end.

relx_error({error, Reason}) -> relx_error(Reason);
relx_error({Module, Reason}) when is_atom(Module) ->
    try Module:format_error(Reason)
    catch error:_ -> io_lib:format("~0tp", [Reason])
    end;
relx_error(Reason) -> io_lib:format("~0tp", [Reason]).

goals(RelxState, Name, Version) ->
    Release = maps:get({Name, Version}, rlx_state:configured_releases(RelxState)),
    [element(1, G) || G <- rlx_release:goals(Release)].

%% Which file of the project becomes the sys.config or the vm.args: as rlx_assemble chooses it.
configuration(RelxState, Root, Name, Src, Plain) ->
    case {Src(RelxState), Plain(RelxState)} of
        {Path, _} when is_list(Path) -> file(Path, Root);
        {_, Path} when is_list(Path) -> file(Path, Root);
        {_, false} -> #{path => <<>>};
        {SrcSet, undefined} ->
            Paths = [filename:join([Root, "config", F]) || F <- [Name ++ ".src" || SrcSet =:= undefined] ++ [Name]],
            case [P || P <- Paths, filelib:is_regular(P)] of
                [Path | _] -> file(Path, Root);
                [] -> null
            end
    end.

file(Path, Root) -> #{path => bin(relative(Path, Root))}.

%% Files and folders that the release is made of besides its applications.
relx_files(Relx, RelxState, Root) ->
    Overlays = lists:append([E || {overlay, E} <- Relx, is_list(E)]) ++ list(rlx_state:overlay(RelxState)),
    Files = [element(2, E) || E <- Overlays, is_tuple(E), tuple_size(E) > 2],
    lists:usort([bin(relative(filename:absname(F, Root), Root)) || F <- Files, is_text(F)]).

%% Files of variables for templates.
variables(Relx, Root) ->
    Given = lists:append([case V of [C | _] when is_integer(C) -> [V]; _ -> list(V) end || {overlay_vars, V} <- Relx]),
    [bin(relative(filename:absname(F, Root), Root)) || F <- Given, is_text(F)].

relative(Path, Root) ->
    case string:prefix(filename:flatten(normal(Path)), Root ++ "/") of
        nomatch -> Path;
        Rest -> Rest
    end.

%% Without "." and "..".
normal(Path) ->
    filename:join(lists:reverse(lists:foldl(fun(".", Acc) -> Acc;
                                               ("..", [_ | Acc]) when Acc =/= [] -> Acc;
                                               (Part, Acc) -> [Part | Acc]
                                            end, [], filename:split(Path)))).

%% The applications of the project ----------------------------------------------------------------

%% In the order in which rebar3 compiles them.
project_apps(State, Root) ->
    case rebar_digraph:compile_order(rebar_state:project_apps(State)) of
        {ok, Apps} -> [project_app(A, Root) || A <- Apps];
        {error, {cycles, Cycles}} ->
            bad("rebar.config: these applications depend on each other in a circle; remove one dependency: ~ts",
                [lists:join("; ", [lists:join(" -> ", [to_list(N) || N <- C ++ [hd(C)]]) || C <- Cycles])])
    end.

project_app(App, Root) ->
    Path = filename:absname(rebar_app_info:dir(App)),
    Script = rebar_app_info:app_file_src_script(App),
    Source = first([rebar_app_info:app_file_src(App), Script, rebar_app_info:app_file(App)]),
    Details = details(App, Source, Script),
    Dir = case relative(Path, Root) of
              Path -> ".";
              Relative -> Relative
          end,
    #{name => list_to_atom(to_list(rebar_app_info:name(App))), info => App, path => Path, dir => Dir,
      app_file => relative(filename:absname(to_list(Source)), Root),
      computed => not is_text(proplists:get_value(vsn, Details, "")) orelse is_text(Script)
                  orelse lists:member(proplists:get_value(vsn, Details, ""), ["git", "semver"]),
      properties => Details,
      needs => lists:append([list(proplists:get_value(K, Details, []))
                             || K <- [applications, included_applications, optional_applications]])}.

details(App, Source, Script) ->
    Files = [F || F <- [Script, Source], is_text(F)],
    case Files of
        [File | _] ->
            case rebar_config:consult_app_file(File) of
                [{application, _, Properties} | _] -> Properties;
                _ -> list(rebar_app_info:app_details(App))
            end;
        [] -> list(rebar_app_info:app_details(App))
    end.

%% Those that the release's own applications need, in the order of rebar3.
needed(Goals, All) ->
    Names = needed(Goals, All, []),
    [A || #{name := N} = A <- All, lists:member(N, Names)].

needed([], _, Done) -> Done;
needed([Name | Rest], All, Done) ->
    case {lists:member(Name, Done), [A || #{name := N} = A <- All, N =:= Name]} of
        {false, [#{needs := Needs}]} -> needed(Needs ++ Rest, All, [Name | Done]);
        _ -> needed(Rest, All, Done)
    end.

%% What the image is described by: the application with the release's name, or else the first of the release.
main_app(Names, Own) ->
    case [A || N <- Names, #{name := M} = A <- Own, M =:= N] of
        [Main | _] -> Main;
        [] -> #{properties => []}
    end.

property(Key, #{properties := P}) -> proplists:get_value(Key, P, "").

vsn(State, #{info := App, app_file := File, computed := Computed, name := Name, properties := Properties}) ->
    Given = proplists:get_value(vsn, Properties, ""),
    Computed andalso whole(),
    Version = try rebar_utils:vcs_vsn(App, rebar_app_info:original_vsn(App), State)
              catch _:_ -> not_found(atom_to_list(Name), Given, File)
              end,
    Text = unicode:characters_to_list(Version),
    Computed andalso lists:prefix("0.0.0", Text) andalso not is_text(Given) andalso not_found(atom_to_list(Name), Given, File),
    check_version(Text, io_lib:format("~ts: application ~ts", [File, Name]), Given).

%% Why an application must see more of the others than what the compiler asks of them: code that runs while one is
%% compiled can look at anything, and what it does not find may change what it makes without a word.
executed(State, Root, Own, Kept) ->
    Apps = [{File, rebar_app_info:opts(maps:get(info, A)), A}
            || #{dir := Dir} = A <- Own, File <- [filename:join(Dir, "rebar.config")]],
    Every = [{"rebar.config", rebar_state:opts(State)} | [{F, O} || {F, O, _} <- Apps]],
    {ok, OfRebar} = application:get_key(rebar, applications),
    [io_lib:format("the plugin ~ts may run their code", [plugin_name(P)]) || P <- Kept]
    ++ [io_lib:format("~ts has hooks that run when compiling", [F]) || {F, O} <- Every, is_hooked(O)]
    ++ [io_lib:format("~ts names artifacts", [F]) || {F, O} <- Every, rebar_opts:get(O, artifacts, []) =/= []]
    ++ [io_lib:format("~ts names the parse transform ~ts", [F, T]) || {F, O} <- Every, T <- transforms(O)]
    ++ ["rebar.config has extra_src_dirs" || rebar_dir:extra_src_dirs(rebar_state:opts(State)) =/= []]
    ++ [io_lib:format("~ts uses the folder ~ts of another application", [F, D]) || {F, O, A} <- Apps, D <- foreign(O, A, Own, Root)]
    ++ [io_lib:format("~ts computes its version", [File]) || #{computed := true, app_file := File} <- Own]
    ++ [io_lib:format("~ts is also an application of rebar3 itself", [N]) || #{name := N} <- Own, lists:member(N, OfRebar)]
    ++ [io_lib:format("rebar3 does not compile ~ts itself", [N])
        || #{name := N, info := I} <- Own, not lists:member(rebar_app_info:project_type(I), [rebar3, undefined])].

%% What may look at the modules of the project, or at its sources, while relx assembles the release.
assembled_with(State, Relx, Own, Files) ->
    Every = [{"rebar.config", rebar_state:opts(State)}
             | [{filename:join(D, "rebar.config"), rebar_app_info:opts(I)} || #{dir := D, info := I} <- Own]],
    Options = [T || T <- Relx ++ lists:append([element(tuple_size(T), T) || T <- Relx, has_options(T)]),
                    lists:member(key(T), [exclude_modules, exref, warnings_as_errors])],
    [io_lib:format("~ts has hooks that run when the release is assembled", [F])
     || {F, O} <- Every, lists:member(release, hooks(O))]
    ++ [io_lib:format("rebar.config: relx has the option ~ts", [key(T)]) || T <- Options]
    ++ [io_lib:format("rebar.config: relx takes ~ts from the folder of an application", [F])
        || F <- Files, Parts <- [filename:split(to_list(F))], is_of_an_application(Parts, Own)].

has_options(T) -> is_release(T) andalso tuple_size(T) > 3 andalso is_options(element(tuple_size(T), T)).

%% Of these folders relx has only priv; of the root's, if that is an application, all but these.
is_of_an_application(Parts, Own) ->
    %% Up to a wildcard or a variable.
    Literal = lists:takewhile(fun(Part) -> lists:all(fun(C) -> not lists:member(C, "*?[{") end, Part) end, Parts),
    Folders = [["include"] | lists:append([case Dir of
                                               "." -> [["src"], ["c_src"]];
                                               _ -> [filename:split(Dir)]
                                           end || #{dir := Dir} <- Own])],
    lists:member(hd(Parts), ["/", "_build"])
        orelse lists:any(fun(Folder) ->
                                 lists:prefix(Literal, Folder) orelse
                                     (lists:prefix(Folder, Literal) andalso not lists:prefix(Folder ++ ["priv"], Literal))
                         end, Folders).

%% Commands of rebar3 that run when all is compiled, or never for a release; any other one may be part of compiling.
-define(NOT_COMPILING, [none, clean, cover, ct, dialyzer, edoc, escriptize, eunit, release, shell, tar, xref]).

is_hooked(Opts) -> lists:any(fun(When) -> not lists:member(When, ?NOT_COMPILING) end, hooks(Opts)).

%% The commands of rebar3 that have hooks.
hooks(Opts) ->
    [When || K <- [pre_hooks, post_hooks], H <- list(rebar_opts:get(Opts, K, [])), {When, _} <- [hook(H)]]
        ++ [When || {_, Pairs} <- list(rebar_opts:get(Opts, provider_hooks, [])), {When, _} <- list(Pairs)].

%% Those of OTP look at what they are given alone.
transforms(Opts) ->
    [T || {K, T} <- rebar_opts:erl_opts(Opts), lists:member(K, [parse_transform, core_transform]),
          not lists:member(T, [eunit_autoexport, merl_transform, ms_transform, qlc])].

%% Folders that modules or headers are taken from and that another application has, but for its headers, which all see.
foreign(Opts, #{path := Own} = App, Apps, Root) ->
    Sources = [filename:absname(D, Own) || D <- rebar_dir:src_dirs(Opts) ++ rebar_dir:extra_src_dirs(Opts)],
    Headers = [filename:absname(D, Root) || {i, D} <- rebar_opts:erl_opts(Opts)],
    [relative(normal(D), Root) || D <- Sources, not is_below(normal(D), Own)]
    ++ [relative(normal(D), Root) || D <- Headers, #{path := Path} = Other <- Apps, Other =/= App, is_below(normal(D), Path),
                                     not lists:member("include", filename:split(relative(normal(D), Path)))].

is_below(Path, Folder) -> lists:prefix(filename:split(Folder), filename:split(Path)).

%% Dependencies and the lock ------------------------------------------------------------------------

%% What a profile of the configurations asks for, by name.
asked(Configs, Profile) ->
    lists:append([[dep_name(D) || D <- list(proplists:get_value(deps, profile(Config, Profile), []))]
                  || {_, Config} <- Configs]).

profile(Config, default) -> Config;
profile(Config, Profile) -> list(proplists:get_value(Profile, list(proplists:get_value(profiles, Config, [])), [])).

dep_name(Dep) when is_tuple(Dep) -> to_list(element(1, Dep));
dep_name(Dep) -> to_list(Dep).

%% rebar3 takes the folder of _checkouts that has the name of a dependency.
checkouts(State) ->
    Dirs = filelib:wildcard(filename:join(to_list(rebar_dir:checkouts_dir(State)), "*")),
    [list_to_atom(filename:basename(D)) || D <- Dirs, rebar_app_discover:find_apps([D], all, State) =/= []] -- [?MODULE].

check_lock(Root, Asked, Locked, Known) ->
    Missing = [N || N <- Asked, not lists:keymember(bin(N), 1, Locked), not lists:member(list_to_atom(N), Known)],
    case {lists:usort(Missing), filelib:is_regular(filename:join(Root, "rebar.lock"))} of
        {[], _} -> ok;
        {Names, false} ->
            bad("rebar.lock: not found, but rebar.config asks for ~ts; run `rebar3 lock` and commit the file",
                [lists:join(", ", Names)]);
        {Names, true} ->
            bad("rebar.lock: it does not have ~ts, which rebar.config asks for; run `rebar3 lock` and commit the file",
                [lists:join(", ", Names)])
    end.

%% The lock counts, as in rebar3; what says something else than rebar.config is no lock of it.
check_versions(Configs, Locked, Known) ->
    Deps = lists:append([list(proplists:get_value(deps, Config, [])) || {_, Config} <- Configs]),
    [stale(dep_name(D), asked_version(D), locked_version(S))
     || D <- Deps, not lists:member(list_to_atom(dep_name(D)), Known), {N, S} <- Locked, N =:= bin(dep_name(D))],
    ok.

stale(_, Asked, Locked) when Asked =:= none; Locked =:= none; Asked =:= Locked -> ok;
stale(Name, Asked, Locked) ->
    bad("rebar.lock: it has ~ts ~ts, but rebar.config asks for ~ts; run `rebar3 upgrade ~ts` and commit the file",
        [Name, Locked, Asked, Name]).

%% Only a plain version or a commit can be compared; a requirement (~> 1.0), a tag or a branch is rebar3's business.
asked_version({_, Version}) -> plain_version(Version);
asked_version({_, Version, _}) when not is_tuple(Version) -> plain_version(Version);
asked_version(Dep) when is_tuple(Dep) ->
    case [to_list(R) || T <- tuple_to_list(Dep), is_tuple(T), tuple_size(T) > 2, element(1, T) =:= git,
                        {ref, R} <- [element(3, T)]] of
        [Ref | _] when length(Ref) =:= 40 -> Ref;
        _ -> none
    end;
asked_version(_) -> none.

plain_version(Version) ->
    case is_text(Version) andalso
        re:run(Version, "^[0-9]+\\.[0-9]+\\.[0-9]+[-+.0-9A-Za-z]*$", [{capture, none}]) =:= match of
        true -> to_list(Version);
        false -> none
    end.

locked_version(Source) when element(1, Source) =:= pkg -> to_list(element(3, Source));
locked_version({git, _, {ref, Ref}}) -> to_list(Ref);
locked_version(_) -> none.

%% What rebar3 fetches from Hex: name, version, and the SHA-256 of the contents and of the file, where the lock has them.
packages(Locked, Checkouts) ->
    [{Name, Version, Inner, Outer} || {N, {pkg, Name, Version, Inner, Outer}} <- Locked,
                                      not lists:member(binary_to_atom(N, utf8), Checkouts)].

git(Name, {Type, Url, {ref, Ref}}) when Type =:= git -> git(Name, {Type, Url, {ref, Ref}, ""});
git(Name, {_, Url, {ref, Ref}, Folder}) ->
    case re:run(Ref, "^[0-9a-f]{7,64}$", [{capture, none}]) of
        match -> #{name => Name, url => text(Url), commit => text(Ref), folder => text(Folder)};
        nomatch -> git(Name, Ref)
    end;
git(Name, _) ->
    bad("rebar.lock: ~ts is not locked at a commit; run `rebar3 upgrade ~ts` and commit the file", [Name, Name]).

%% Plugins ----------------------------------------------------------------------------------------

plugins(Configs, Profiles) ->
    Sections = [profile(C, P) || {_, C} <- Configs, P <- Profiles],
    All = unique(lists:append([list(V) || S <- Sections, {K, V} <- S, lists:member(K, [plugins, project_plugins])])),
    Hooks = [hook_names(H) || S <- Sections, {_, Pairs} <- list(proplists:get_value(provider_hooks, S, [])),
                              {_, H} <- list(Pairs)],
    Called = lists:append(Hooks),
    lists:partition(fun(P) ->
                            case lists:keyfind(plugin_name(P), 1, ?DEVELOPMENT_PLUGINS) of
                                {_, Provides} -> not lists:any(fun(N) -> lists:member(N, Called) end, Provides);
                                false -> false
                            end
                    end, All).

hook_names(Names) when is_list(Names) -> lists:append([hook_names(N) || N <- Names]);
hook_names({Namespace, Name}) -> [Namespace | hook_names(Name)];
hook_names(Name) when is_atom(Name) -> [Name];
hook_names(_) -> [].

plugin_name(P) when is_tuple(P) -> element(1, P);
plugin_name(P) -> P.

%% The configurations of the stages -----------------------------------------------------------------

%% The project's own terms, as rebar3 has them once its scripts have run. Without the plugins of developers; relx is
%% there for the release alone, so that a change of it compiles nothing.
config(Dir) -> rebar_config:consult(Dir).

configs(Configs, Dropped, Relx) ->
    [{"", Root} | Apps] = [{Dir, without(Dropped, Terms)} || {Dir, Terms} <- Configs],
    Plain = every_section(fun(Terms) -> [T || T <- Terms, key(T) =/= relx] end, Root),
    [{<<"rebar.config">>, terms("rebar.config", Plain)},
     {<<"rebar.release.config">>, terms("rebar.config", Plain ++ [{relx, Relx}])}
     | [{bin(Dir ++ "/rebar.config"), terms(Dir ++ "/rebar.config", Terms)} || {Dir, Terms} <- Apps, Terms =/= []]].

without([], Terms) -> Terms;
without(Dropped, Terms) ->
    every_section(fun(Section) ->
                          [case T of
                               {K, V} when K =:= plugins; K =:= project_plugins -> {K, list(V) -- Dropped};
                               _ -> T
                           end || T <- Section]
                  end, Terms).

every_section(Fun, Terms) ->
    [case T of
         {profiles, Profiles} when is_list(Profiles) ->
             {profiles, [case P of {N, Section} when is_list(Section) -> {N, Fun(Section)}; _ -> P end || P <- Profiles]};
         _ -> T
     end || T <- Fun(Terms)].

terms(File, Terms) ->
    Text = bin([io_lib:format("~tp.~n", [T]) || T <- Terms]),
    case parsed(Text) =:= Terms of
        true -> Text;
        false -> bad("~ts.script: it must return plain terms, without functions, processes or references", [File])
    end.

parsed(Text) ->
    {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Text)),
    try [begin {ok, Term} = erl_parse:parse_term(Ts), Term end || Ts <- sentences(Tokens, [], [])]
    catch error:{badmatch, _} -> none
    end.

sentences([], [], Acc) -> lists:reverse(Acc);
sentences([{dot, _} = Dot | Rest], Current, Acc) -> sentences(Rest, [], [lists:reverse([Dot | Current]) | Acc]);
sentences([Token | Rest], Current, Acc) -> sentences(Rest, [Token | Current], Acc).

%% Small things -------------------------------------------------------------------------------------

key(T) when is_tuple(T), tuple_size(T) > 0 -> element(1, T);
key(T) -> T.

unique(List) -> lists:foldl(fun(E, A) -> case lists:member(E, A) of true -> A; false -> A ++ [E] end end, [], List).

first([Value | Rest]) ->
    case is_text(Value) of true -> Value; false -> first(Rest) end;
first([]) -> "".

is_text([C | _]) -> is_integer(C);
is_text(B) -> is_binary(B) andalso B =/= <<>>.

list(L) when is_list(L) -> L;
list(_) -> [].

to_list(A) when is_atom(A) -> atom_to_list(A);
to_list(B) when is_binary(B) -> unicode:characters_to_list(B);
to_list(L) -> L.

file_error(Reason) when is_tuple(Reason) -> string:trim(file:format_error(Reason));
file_error(Reason) -> [" ", file:format_error(Reason)].
