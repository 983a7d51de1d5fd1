%% -*- erlang -*-
%% Which programs, besides Erlang's, an application's configuration calls to compile it: those of the commands of its
%% hooks, a C compiler for what lies in its c_src if anything is called there, and those of its plugins.

%% The commands of rebar3 that a build runs.
-define(BUILDING, [compile, app_compile, erlc_compile, bare_compile, install_deps, release]).
-define(NATIVE, ["make", "gmake", "cc", "gcc", "g++", "c++", "clang", "clang++", "cmake", "ninja", "meson", "autoconf",
                 "autoreconf", "cargo", "rustc", "go", "zig"]).
%% By the namespace, or else the name, of a provider.
-define(NATIVE_PLUGINS, #{pc => ["cc"], cargo => ["cargo"], cmake => ["cmake"]}).

%% The names of the programs, each once; `Folder` is the application's, none for the project's root.
native(Opts, Folder) ->
    Hooks = [hook(H) || K <- [pre_hooks, post_hooks], H <- native_list(rebar_opts:get(Opts, K, []))],
    Commands = [C || {When, C} <- Hooks, lists:member(When, ?BUILDING)],
    Providers = [P || {_, Pairs} <- native_list(rebar_opts:get(Opts, provider_hooks, [])), {When, P} <- native_list(Pairs),
                      lists:member(When, ?BUILDING)],
    Source = Folder =/= none andalso filelib:is_dir(filename:join(Folder, "c_src")),
    lists:usort([W || C <- Commands, W <- called(C), lists:member(W, ?NATIVE)]
                ++ ["cc" || Source, Commands =/= []]
                ++ [T || P <- Providers, N <- native_names(P), T <- maps:get(N, ?NATIVE_PLUGINS, [])]).

hook({Arch, When, Command}) ->
    case rebar_utils:is_arch(Arch) of
        true -> {When, Command};
        false -> {none, ""}
    end;
hook({When, Command}) -> {When, Command};
hook(_) -> {none, ""}.

%% The first word of each command of the shell.
called(Command) ->
    Parts = re:split(unicode:characters_to_list(Command), "[;&|(){}\n\"'`]+", [unicode, {return, list}]),
    lists:append([called_first(string:lexemes(P, " \t")) || P <- Parts]).

called_first([Word | Rest]) ->
    case lists:member(Word, ["exec", "env", "if", "then", "else", "do", "!", "time"]) orelse lists:member($=, Word) of
        true -> called_first(Rest);
        false -> [filename:basename(Word)]
    end;
called_first([]) -> [].

native_names(Names) when is_list(Names) -> lists:append([native_names(N) || N <- Names]);
native_names({Namespace, _}) -> [Namespace];
native_names(Name) when is_atom(Name) -> [Name];
native_names(_) -> [].

native_list(L) when is_list(L) -> L;
native_list(_) -> [].
