#!/usr/bin/env escript
%% -*- erlang -*-
%% Takes the modules of applications out of what relx assembles a release of, and strips them as relx does.
%% Usage: pipeline_modules.escript part PLACEHOLDER STRIPPED EBIN...
%%   EBIN         a copy of an application's ebin, _build/PROFILE/lib/NAME/ebin; each module gives way to PLACEHOLDER
%%   STRIPPED     the folder that gets the stripped modules, as NAME-VERSION/ebin
%%        It prints the modules of which relx uses more than their names: where there is debug information, it looks for
%%        calls of functions that do not exist.
%% Usage: pipeline_modules.escript compare PLACEHOLDER LIB EBIN...
%%   LIB          that of the release, which has NAME-VERSION/ebin for each EBIN
%%        It prints the modules in which the release differs from what the first command expects.

%% A name of its own makes the compiled script the same every time.
-module(pipeline_modules).
-export([main/1]).

main(["part", Placeholder, Stripped | Ebins]) ->
    strip([File || Ebin <- Ebins, File <- parted(Placeholder, Ebin, in_release(Ebin, Stripped))]);
main(["compare", Placeholder, Lib | Ebins]) ->
    Stripped = filename:rootname(Placeholder) ++ "_stripped.beam",
    {ok, _} = file:copy(Placeholder, Stripped),
    strip([Stripped]),
    {ok, Expected} = file:read_file(Stripped),
    [io:format("~ts~n", [Difference])
     || Ebin <- Ebins, Difference <- differences(modules(Ebin), in_release(Ebin, Lib), Expected)].

parted(Placeholder, Ebin, To) ->
    ok = filelib:ensure_dir(filename:join(To, "ebin")),
    [begin
         {File, Module} = {filename:join(Ebin, Name), filename:join(To, Name)},
         has_debug_information(File) andalso io:format("~ts has debug information~n", [Name]),
         ok = file:rename(File, Module),
         ok = file:change_mode(Module, 8#644),
         {ok, _} = file:copy(Placeholder, File),
         Module
     end || Name <- modules(Ebin)].

%% As rlx_assemble does since rebar3 3.23.
strip(Files) ->
    {ok, _} = beam_lib:strip_files(Files, ["Attr"]),
    ok.

differences(Names, Folder, Expected) ->
    [io_lib:format("~ts: the release does not have it, or other modules in it", [Folder])
     || not filelib:is_dir(Folder) orelse modules(Folder) =/= Names]
        ++ [io_lib:format("~ts: relx stripped it in another way", [File])
            || File <- [filename:join(Folder, Name) || Name <- Names], {ok, Bytes} <- [file:read_file(File)], Bytes =/= Expected].

modules(Folder) -> lists:sort([filename:basename(File) || File <- filelib:wildcard(filename:join(Folder, "*.beam"))]).

%% Where relx puts the modules of an application.
in_release(Ebin, Lib) ->
    Name = filename:basename(filename:dirname(Ebin)),
    {ok, [{application, _, Properties}]} = file:consult(filename:join(Ebin, Name ++ ".app")),
    filename:join([Lib, Name ++ "-" ++ proplists:get_value(vsn, Properties), "ebin"]).

has_debug_information(File) ->
    case beam_lib:chunks(File, ["Dbgi", "Abst"], [allow_missing_chunks]) of
        {ok, {_, [{_, Chunk}, {_, missing_chunk}]}} -> Chunk =/= missing_chunk andalso not is_empty(Chunk);
        {ok, _} -> true
    end.

%% As the compiler writes it with no_debug_info. What is encrypted is no term.
is_empty(Chunk) ->
    try binary_to_term(Chunk) of
        {debug_info_v1, _, {none, _}} -> true;
        _ -> false
    catch
        error:badarg -> false
    end.
