#!/usr/bin/env escript
%% -*- erlang -*-
%% Reads ELF files, so that no file of another platform has to run. Used in a builder of the engine's own platform.
%%
%% elf.escript swap ARCHITECTURE LAYERS FOREIGN
%%     Puts, in place of each ELF file of LAYERS/erts, the one of the same path below the Erlang of FOREIGN (the root
%%     filesystem of the other platform's builder). Writes what stands against it to LAYERS/problems, a line each:
%%     "native" and a file of the dependencies or applications, "processor" and a file of FOREIGN that is for another
%%     one, or "different" and where the two Erlangs differ.
%% elf.escript libraries ARCHITECTURE ROOT RELEASE
%%     Prints what the ELF files below RELEASE (a folder of the root filesystem ROOT) need and ROOT has not, then
%%     fails. ARCHITECTURE may be "native" here.
-include_lib("kernel/include/file.hrl").
-mode(compile).

-define(PT_LOAD, 1).
-define(PT_DYNAMIC, 2).
-define(PT_INTERP, 3).
-define(DT_NEEDED, 1).
-define(DT_STRTAB, 5).
-define(DT_RPATH, 15).
-define(DT_RUNPATH, 29).
-define(DT_VERDEF, 16#6ffffffc).
-define(DT_VERNEED, 16#6ffffffe).
-define(VER_FLG_WEAK, 2).

main(["swap", Architecture, Layers, Foreign]) ->
    Problems = native(Layers) ++ swap(machine(Architecture), filename:join(Layers, "erts"), Foreign),
    ok = file:write_file(filename:join(Layers, "problems"), [[Problem, $\n] || Problem <- Problems]);
main(["libraries", Architecture, Root, Release]) ->
    case libraries(machine(Architecture), Root, Release) of
        [] ->
            ok;
        Problems ->
            io:format("libraries that the runtime image lacks:~n~ts~n", [lists:join($\n, Problems)]),
            halt(1)
    end.

%% e_machine, by the architecture's name in a platform.
machine("amd64") ->
    62;
machine("arm64") ->
    183;
machine("native") ->
    Erts = "erts-" ++ erlang:system_info(version),
    #{machine := Machine} = read(filename:join([code:root_dir(), Erts, "bin", "beam.smp"])),
    Machine.

%% --- swap ---

native(Layers) ->
    [["native ", inside(File)]
     || Layer <- ["dependencies", "applications"], File <- elf_files(filename:join(Layers, Layer))].

%% From "…/opt/NAME/lib/APP-VSN/priv/x.so": what comes after the release's folder.
inside(File) ->
    [_, Rest] = string:split(File, "/opt/"),
    [_, Path] = string:split(Rest, "/"),
    Path.

swap(Machine, Layer, Foreign) ->
    case different(Layer, Foreign) of
        [] -> lists:flatmap(fun(File) -> swap_file(Machine, File, Foreign) end, elf_files(Layer));
        Problems -> Problems
    end.

%% The versions of ERTS and of each application of OTP must be the same: the BEAM files are the native builder's.
different(Layer, Foreign) ->
    Parts = filelib:wildcard(Layer ++ "/opt/*/erts-*") ++ filelib:wildcard(Layer ++ "/opt/*/lib/*"),
    [["different no ", inside(Part), there(inside(Part), Foreign)]
     || Part <- Parts, not filelib:is_dir(filename:join(erlang_root(Foreign), inside(Part)))].

%% What is there instead, if anything.
there(Part, Foreign) ->
    [Name | _] = string:split(Part, "-", trailing),
    case filelib:wildcard(filename:join(erlang_root(Foreign), Name ++ "-[0-9]*")) of
        [] -> "";
        Found -> [", but ", lists:join(" and ", [filename:basename(Other) || Other <- Found])]
    end.

erlang_root(Foreign) ->
    Foreign ++ code:root_dir().

swap_file(Machine, File, Foreign) ->
    Path = origin(filename:join(code:root_dir(), inside(File))),
    case find(Foreign, Path) of
        {ok, Other} ->
            case read(Other) of
                #{machine := Machine} ->
                    {ok, #file_info{mode = Mode}} = file:read_file_info(File),
                    %% Not written over: the file may be a hard link.
                    ok = file:delete(File),
                    {ok, _} = file:copy(Other, File),
                    ok = file:change_mode(File, Mode band 8#777),
                    [];
                _ ->
                    [["processor ", Path]]
            end;
        error ->
            [["different no ", Path]]
    end.

%% Where relx took a file from: the script erl of an installed ERTS knows its place, so it puts dyn_erl there.
origin(Path) ->
    Dynamic = filename:join(filename:dirname(Path), "dyn_erl"),
    case filename:basename(Path) =:= "erl" andalso filelib:is_regular(Dynamic) of
        true -> Dynamic;
        false -> Path
    end.

%% --- libraries ---

libraries(Machine, Root, Release) ->
    Files = [{lists:nthtail(length(Root), File), File} || File <- elf_files(Root ++ Release)],
    check(Files, {Machine, Root, default_folders(Root)}, #{}, []).

%% Each file's needs, then the needs of what it needs; each file once.
check([], _, _, Problems) ->
    lists:usort(Problems);
check([{Path, _} | Rest], Where, Seen, Problems) when is_map_key(Path, Seen) ->
    check(Rest, Where, Seen, Problems);
check([{Path, File} | Rest], {Machine, Root, _} = Where, Seen, Problems) ->
    case read(File) of
        #{machine := Machine} = Elf ->
            Interpreter = [[Path, ": ", Name, " is not there"]
                           || Name <- maps:get(interpreter, Elf), find(Root, Name) =:= error],
            {Found, Missing} = needs(Path, Elf, Where),
            check(Found ++ Rest, Where, Seen#{Path => true}, Interpreter ++ Missing ++ Problems);
        _ ->
            check(Rest, Where, Seen#{Path => true}, [[Path, ": is not for this platform"] | Problems])
    end.

needs(Path, #{needed := Needed, runpath := Runpath, wanted := Wanted}, {Machine, Root, Default}) ->
    Origin = filename:dirname(Path),
    Folders = [re:replace(Folder, "\\$(ORIGIN|{ORIGIN})", Origin, [{return, list}]) || Folder <- Runpath] ++ Default,
    lists:foldl(
        fun(Name, {Found, Missing}) ->
            case library(Name, Folders, Machine, Root) of
                {Library, #{defined := Defined}} ->
                    %% A library without versions serves whoever asks for one.
                    Unmet = [Version || Version <- maps:get(Name, Wanted, []),
                                        Defined =/= [], not lists:member(Version, Defined)],
                    Said = [[Path, ": ", Name, " has no ", Version] || Version <- Unmet],
                    {[Library | Found], Said ++ Missing};
                none ->
                    {Found, [[Path, ": ", Name, " is not there"] | Missing]}
            end
        end,
        {[], []},
        Needed
    ).

library(_, [], _, _) ->
    none;
library(Name, [Folder | Folders], Machine, Root) ->
    Path = filename:join(Folder, Name),
    case find(Root, Path) of
        {ok, File} ->
            case read(File) of
                #{machine := Machine} = Elf -> {{Path, File}, Elf};
                _ -> library(Name, Folders, Machine, Root)
            end;
        error ->
            library(Name, Folders, Machine, Root)
    end.

%% Where the loaders of musl and glibc look.
default_folders(Root) ->
    Lines = [Line || File <- filelib:wildcard(Root ++ "/etc/ld.so.conf.d/*.conf"),
                     {ok, Text} <- [file:read_file(File)],
                     Line <- string:lexemes(binary_to_list(Text), "\n")],
    [string:trim(Line) || [$/ | _] = Line <- Lines] ++ ["/lib", "/usr/local/lib", "/usr/lib", "/lib64", "/usr/lib64"].

%% --- files ---

elf_files(Folder) ->
    filelib:fold_files(Folder, "", true, fun(File, Files) ->
        case is_elf(File) of
            true -> [File | Files];
            false -> Files
        end
    end, []).

%% A link counts where it leads to.
is_elf(File) ->
    {ok, #file_info{type = Type}} = file:read_link_info(File),
    Type =:= regular andalso begin
        {ok, Device} = file:open(File, [read, raw, binary]),
        Start = file:read(Device, 4),
        ok = file:close(Device),
        Start =:= {ok, <<16#7f, "ELF">>}
    end.

%% Follows links inside a root filesystem: an absolute one starts at its root, not at ours.
find(Root, Path) ->
    find(Root, tl(filename:split(Path)), [], 40).

find(Root, [], Done, _) ->
    File = filename:join([Root | lists:reverse(Done)]),
    case filelib:is_regular(File) of
        true -> {ok, File};
        false -> error
    end;
find(_, _, _, 0) ->
    error;
find(Root, [".." | Rest], Done, Left) ->
    find(Root, Rest, case Done of [] -> []; [_ | Up] -> Up end, Left);
find(Root, [Name | Rest], Done, Left) ->
    case file:read_link(filename:join([Root | lists:reverse(Done, [Name])])) of
        {ok, [$/ | _] = Target} -> find(Root, tl(filename:split(Target)) ++ Rest, [], Left - 1);
        {ok, Target} -> find(Root, filename:split(Target) ++ Rest, Done, Left - 1);
        {error, _} -> find(Root, Rest, [Name | Done], Left)
    end.

%% --- the format (64 bit, little endian: what both platforms are) ---

read(File) ->
    {ok, Data} = file:read_file(File),
    parse(Data).

parse(<<16#7f, "ELF", 2, 1, _:10/binary, _Type:16/little, Machine:16/little, _Version:32, _Entry:64,
        Offset:64/little, _Sections:64, _Flags:32, _Size:16, EntrySize:16/little, Count:16/little, _/binary>> = Data) ->
    Headers = [header(binary:part(Data, Offset + Index * EntrySize, EntrySize)) || Index <- lists:seq(0, Count - 1)],
    Dynamic = [Entry || {?PT_DYNAMIC, At, _, Size} <- Headers, Entry <- dynamic(binary:part(Data, At, Size))],
    %% Addresses of the dynamic section are those of the loaded file.
    Place = fun(Address) ->
        hd([At + Address - Virtual || {?PT_LOAD, At, Virtual, Size} <- Headers, Address >= Virtual, Address < Virtual + Size])
    end,
    String = fun(Index) -> string_at(Data, Place(proplists:get_value(?DT_STRTAB, Dynamic)) + Index) end,
    Runpath = [Folder || Tag <- [?DT_RPATH, ?DT_RUNPATH], Index <- proplists:get_all_values(Tag, Dynamic),
                         Folder <- string:lexemes(String(Index), ":")],
    #{
        machine => Machine,
        interpreter => [string_at(Data, At) || {?PT_INTERP, At, _, _} <- Headers],
        needed => [String(Index) || Index <- proplists:get_all_values(?DT_NEEDED, Dynamic)],
        runpath => Runpath,
        wanted => maps:from_list([Wanted || Address <- proplists:get_all_values(?DT_VERNEED, Dynamic),
                                            Wanted <- wanted(Data, Place(Address), String)]),
        defined => [Version || Address <- proplists:get_all_values(?DT_VERDEF, Dynamic),
                               Version <- defined(Data, Place(Address), String)]
    };
parse(_) ->
    #{machine => other}.

header(<<Type:32/little, _Flags:32, At:64/little, Virtual:64/little, _:64, Size:64/little, _/binary>>) ->
    {Type, At, Virtual, Size}.

dynamic(<<0:64, _/binary>>) -> [];
dynamic(<<Tag:64/little, Value:64/little, Rest/binary>>) -> [{Tag, Value} | dynamic(Rest)];
dynamic(_) -> [].

%% Versions of symbols that a file wants of each library: chains of records, each with the distance to the next.
wanted(Data, At, String) ->
    <<_:16, _:16, File:32/little, Aux:32/little, Next:32/little>> = binary:part(Data, At, 16),
    [{String(File), wanted_versions(Data, At + Aux, String)}
     | if Next =:= 0 -> []; true -> wanted(Data, At + Next, String) end].

wanted_versions(Data, At, String) ->
    <<_:32, Flags:16/little, _:16, Name:32/little, Next:32/little>> = binary:part(Data, At, 16),
    [String(Name) || Flags band ?VER_FLG_WEAK =:= 0]
        ++ if Next =:= 0 -> []; true -> wanted_versions(Data, At + Next, String) end.

defined(Data, At, String) ->
    <<_:16, _:16, _:16, _:16, _:32, Aux:32/little, Next:32/little>> = binary:part(Data, At, 20),
    <<Name:32/little, _:32>> = binary:part(Data, At + Aux, 8),
    [String(Name) | if Next =:= 0 -> []; true -> defined(Data, At + Next, String) end].

string_at(Data, At) ->
    {End, _} = binary:match(Data, <<0>>, [{scope, {At, byte_size(Data) - At}}]),
    binary_to_list(binary:part(Data, At, End - At)).
