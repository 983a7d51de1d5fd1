%% -*- erlang -*-
%% rebar3's own compiler of modules, but for two things. It compiles the applications in PIPELINE_FOLDERS alone, parted by
%% colons: the others are compiled.
%%
%% Of two modules of one name, which rebar3 compiles into one file at the same time, the one is compiled first that comes
%% first in rebar3's order. So the other one stays, as it does where there is one scheduler.
%%
%% With PIPELINE_MODULES, a folder that outlasts this container, a module is not compiled whose beam is there. A beam is
%% known by all that the compiler is given: the preprocessed forms, in which is what each header, macro and -file says, the
%% options, those of the environment, the versions of the compiler and of Erlang, and what each of the module's behaviours
%% says of its callbacks, of which the compiler warns. A transform may ask for anything: a module with one is compiled each
%% time. What the compiler warned of is kept with the beam, and shown again.
-module(pipeline_compiler).
-export([context/1, needed_files/4, dependencies/3, dependencies/4, compile/4, compile_and_track/4, clean/2]).
-export([known/2, compile_known/5, taken/3]).

context(App) ->
    Context = rebar_compiler_erl:context(App),
    Folders = [absolute(Folder) || Folder <- string:lexemes(os:getenv("PIPELINE_FOLDERS"), ":")],
    case lists:member(absolute(rebar_app_info:dir(App)), Folders) of
        true -> Context;
        false -> Context#{src_dirs => []}
    end.

absolute(Folder) -> filename:join([Part || Part <- filename:split(filename:absname(Folder)), Part =/= "."]).

needed_files(Graph, Found, Mappings, App) ->
    {{First, FirstOpts}, {{Sequential, Parallel}, Opts}} = rebar_compiler_erl:needed_files(Graph, Found, Mappings, App),
    Replaced = replaced(First ++ Sequential ++ Parallel),
    [rebar_api:warn("~ts and ~ts have the same module name; the release has the second one, which rebar3 compiles last",
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
    Known = case kept() of
                false -> none;
                _ -> known(Source, Opts)
            end,
    compile_known(Known, Source, Mappings, Config, Opts).

%% The same; Known is what known/2 says of it.
compile_known(Known, Source, Mappings, Config, Opts) ->
    case Known =/= none andalso kept() of
        false ->
            rebar_compiler_erl:compile_and_track(Source, Mappings, Config, Opts);
        Modules ->
            {ok, Key} = Known,
            Kept = filename:join(Modules, binary_to_list(Key)),
            case read(Kept) of
                none ->
                    Made = rebar_compiler_erl:compile_and_track(Source, Mappings, Config, Opts),
                    keep(Made, target(Source, Mappings), Kept),
                    Made;
                Made ->
                    taken(Made, Source, Mappings)
            end
    end.
clean(Files, App) -> rebar_compiler_erl:clean(Files, App).

%% What is kept in a file; none if there is no such file, or a machine that stopped left a part of one.
read(Kept) ->
    try
        {ok, Bytes} = file:read_file(Kept),
        {Beam, Tracked, Warnings} = binary_to_term(Bytes),
        {ok, _} = beam_lib:md5(Beam),
        {Beam, Tracked, Warnings}
    catch
        error:_ -> none
    end.

%% Put a beam where rebar3's own compiler would, and say of it what that one would: Tracked are the options that it notes.
taken({Beam, Tracked, Warnings}, Source, [{_, Folder}] = Mappings) ->
    Target = target(Source, Mappings),
    ok = file:write_file(Target, Beam),
    Made = [{Source, Target, [{outdir, Folder} | proplists:delete(outdir, Tracked)]}],
    case Warnings of
        [] -> {ok, Made};
        _ -> {ok, Made, Warnings}
    end.

target(Source, [{Extension, Folder}]) -> filename:join(Folder, filename:basename(Source, ".erl") ++ Extension).

keep({ok, [{_, _, Tracked}]}, Target, Kept) -> keep(Target, Tracked, [], Kept);
keep({ok, [{_, _, Tracked}], Warnings}, Target, Kept) -> keep(Target, Tracked, Warnings, Kept);
keep(_, _, _) -> ok.

keep(Target, Tracked, Warnings, Kept) ->
    %% Whole or not at all: another container may do the same.
    New = lists:concat([Kept, ".", os:getpid(), ".", erlang:unique_integer([positive])]),
    {ok, Beam} = file:read_file(Target),
    case file:write_file(New, term_to_binary({Beam, Tracked, Warnings})) of
        ok -> ok = file:rename(New, Kept);
        {error, _} -> ok
    end.

%% Where beams are kept, if they are.
kept() -> os:getenv("PIPELINE_MODULES").

%% The hash of all that the beam of a module is made of; none if that is not known.
known(Source, Given) ->
    Opts = Given ++ compile:env_compiler_options(),
    Includes = [".", filename:dirname(Source) | [Path || {i, Path} <- Opts]],
    Macros = [Macro || Opt <- Opts, Macro <- macro(Opt)],
    case epp:parse_file(Source, [{includes, Includes}, {macros, Macros}, {location, {1, 1}}]) of
        {ok, Forms} ->
            case lists:any(fun is_unclear/1, Forms ++ Opts) of
                false ->
                    {ok, Compiler} = application:get_key(compiler, vsn),
                    %% What a file holds is part of it: since the second form, the warnings too.
                    Known = {2, Source, Forms, Opts, Compiler, erlang:system_info(otp_release),
                             erlang:system_info(version),
                             [callbacks(Name) || {attribute, _, Kind, Name} <- Forms,
                                                 Kind =:= behaviour orelse Kind =:= behavior]},
                    {ok, binary:encode_hex(crypto:hash(sha256, term_to_binary(Known)))};
                true ->
                    none
            end;
        {error, _} ->
            none
    end.

%% Whether what the compiler makes depends on more than is known here: a form that is an error, a transform, a feature of
%% the language that is switched by an option.
is_unclear({error, _}) -> true;
is_unclear({warning, _}) -> true;
is_unclear({attribute, _, compile, Options}) -> lists:any(fun is_unclear/1, lists:flatten([Options]));
is_unclear({parse_transform, _}) -> true;
is_unclear({core_transform, _}) -> true;
is_unclear(Option) when element(1, Option) =:= feature; element(1, Option) =:= enable_feature -> true;
is_unclear(_) -> false.

macro({d, Name}) -> [Name];
macro({d, Name, Value}) -> [{Name, Value}];
macro(_) -> [].

callbacks(Name) ->
    [Name | [try Name:behaviour_info(Kind) catch _:_ -> none end || Kind <- [callbacks, optional_callbacks]]].
