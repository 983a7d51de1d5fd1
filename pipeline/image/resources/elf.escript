#!/usr/bin/env escript
%% -*- erlang -*-
%% Shown as (static): check the init program
%% Reads and writes ELF files, so that no file of another platform has to run. Used in a builder of the engine's own
%% platform.
%%
%% elf.escript strip FOLDER LIST
%%     Cuts out of each ELF file below FOLDER what nothing loads: symbols and debugging information. Writes to LIST which
%%     ELF files there are, each path below FOLDER in a line.
%% elf.escript swap ARCHITECTURE LAYERS FOREIGN
%%     Puts, in place of each ELF file of LAYERS/erts, the one of the same path below the Erlang of FOREIGN (the root
%%     filesystem of the other platform's builder), stripped. Writes what stands against it to LAYERS/problems, a line
%%     each: "native" and a file of the dependencies or applications, "processor" and a file of FOREIGN that is for
%%     another one, or "different" and where the two Erlangs differ.
%% elf.escript libraries ARCHITECTURE BASE BUILDER LAYERS ADDED TAKEN BASE_IMAGE BUILDER_IMAGE
%%     Copies to ADDED what the ELF files below LAYERS need, to the end, and BASE (the runtime's root filesystem) has
%%     not, out of BUILDER (the builder's, for the same platform). Writes what was copied to TAKEN: terms
%%     {path in BUILDER, path in the image}. Prints what neither has, then fails. Both images are for the message.
%% elf.escript check ARCHITECTURE ROOT RELEASE LOADS
%%     Prints what the ELF files below RELEASE (a folder of the root filesystem ROOT) need and ROOT has not, then
%%     fails. Writes to LOADS what each of them loads: a line for each, with both paths in ROOT and a tab between.
%% elf.escript static ARCHITECTURE FILE
%%     Fails unless FILE is a program of that processor that needs no library.
%%
%% ARCHITECTURE is amd64 or arm64, or native: that of this Erlang.
%% A name of its own makes the compiled script the same every time.
-module(elf).
-export([main/1]).
-include_lib("kernel/include/file.hrl").
-mode(compile).

-define(ET_EXEC, 2).
-define(ET_DYN, 3).
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
-define(SHT_SYMTAB, 2).
-define(SHT_REL, 9).
-define(SHT_RELA, 4).
-define(SHT_NOBITS, 8).
-define(SHF_ALLOC, 2).
-define(SHF_INFO_LINK, 16#40).

-include("root.hrl").

main(["strip", Folder, List]) ->
    Files = elf_files(Folder),
    lists:foreach(fun strip_file/1, Files),
    ok = file:write_file(List, unicode:characters_to_binary([[lists:nthtail(length(Folder) + 1, File), $\n] || File <- Files]));
main(["swap", Architecture, Layers, Foreign]) ->
    Problems = native(Layers) ++ swap(machine(Architecture), filename:join(Layers, "erts"), Foreign),
    ok = file:write_file(filename:join(Layers, "problems"), [[Problem, $\n] || Problem <- Problems]);
main(["libraries", Architecture, Base, Builder, Layers, Added, Taken, BaseImage, BuilderImage]) ->
    Releases = filelib:wildcard(Layers ++ "/*/opt"),
    Where = #{
        machine => machine(Architecture),
        base => Base,
        roots => [filename:dirname(Opt) || Opt <- Releases] ++ [Base],
        folders => folders(Base),
        builder => Builder,
        builder_folders => folders(Builder) ++ configured(Builder),
        names => {BaseImage, BuilderImage}
    },
    {Needs, Problems} = walk([below(File, Opt, "/opt") || Opt <- Releases, File <- elf_files(Opt)], Where),
    done(Problems),
    Pairs = lists:usort(lists:append([place(Need, Where) || Need <- Needs] ++ [beside(Need, Where) || Need <- Needs])),
    done([[Path, ": ", BaseImage, " has another version of this file than ", BuilderImage, " (", From, "): give images "
           "of the same distribution release with --runtime-image and --builder-image"]
          || {From, Path} <- Pairs, exists(Base, Path)]),
    lists:foreach(fun(Pair) -> take(Pair, Builder, Added) end, Pairs),
    ok = file:write_file(Taken, [io_lib:format("~tp.~n", [Pair]) || Pair <- Pairs]);
main(["check", Architecture, Root, Release, Loads]) ->
    Where = #{machine => machine(Architecture), base => Root, roots => [Root], folders => folders(Root),
              builder => none, names => {"the image", ""}},
    Files = lists:sort([below(File, Root ++ Release, Release) || File <- elf_files(Root ++ Release)]),
    {_, Problems} = walk(Files, Where),
    done(Problems),
    ok = file:write_file(Loads, [[Path, $\t, Library, $\n] || File = {Path, _} <- Files, Library <- loads(File, Where)]);
main(["static", Architecture, File]) ->
    Machine = machine(Architecture),
    case read(File) of
        #{machine := Machine, interpreter := [], needed := []} -> ok;
        #{machine := other} -> done(["it is not an ELF program"]);
        #{machine := Machine} -> done(["it is dynamically linked and needs libraries"]);
        _ -> done([["it is not for ", Architecture]])
    end.

done([]) ->
    ok;
done(Problems) ->
    io:format("~ts~n", [lists:join($\n, lists:usort([unicode:characters_to_list(Problem) || Problem <- Problems]))]),
    halt(1).

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
    case find([Foreign], Path) of
        {ok, _, Other} ->
            case read(Other) of
                #{machine := Machine} ->
                    {ok, Data} = file:read_file(Other),
                    replace(File, strip(Data)),
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

%% From a file of this filesystem to {path in the image, file}.
below(File, Folder, Path) ->
    {Path ++ lists:nthtail(length(Folder), File), File}.

%% Each file's needs, then the needs of what it needs; each file once. Returns {needs, problems}; a need is
%% {image or builder, its name, its path there, whether it was found by a RUNPATH}.
walk(Files, Where) ->
    walk(Files, Where, #{}, [], []).

walk([], _, _, Needs, Problems) ->
    {lists:usort(Needs), Problems};
walk([{Path, _} | Rest], Where, Seen, Needs, Problems) when is_map_key(Path, Seen) ->
    walk(Rest, Where, Seen, Needs, Problems);
walk([{Path, File} | Rest], #{machine := Machine, base := Base, names := {Image, _}} = Where, Seen, Needs, Problems) ->
    case read(File) of
        #{machine := Machine, interpreter := Interpreters, needed := Names} = Elf ->
            Loader = [[Path, ": ", Name, " is not in ", Image] || Name <- Interpreters, find([Base], Name) =:= error],
            Opened = [Need || {ok, _, _} = Need <- [need(Name, Path, Elf, Where) || Name <- opened(Path)]],
            Found = [need(Name, Path, Elf, Where) || Name <- Names] ++ Opened,
            Next = [{At, Of} || {ok, {_, _, At, _}, Of} <- Found],
            walk(Next ++ Rest, Where, Seen#{Path => true}, [Need || {ok, Need, _} <- Found] ++ Needs,
                 Loader ++ [Problem || {problem, Problem} <- Found] ++ Problems);
        _ ->
            walk(Rest, Where, Seen#{Path => true}, Needs, [[Path, ": is not for this platform"] | Problems])
    end.

%% What a file loads, with every link followed.
loads({Path, File}, #{base := Base} = Where) ->
    #{interpreter := Interpreters, needed := Names} = Elf = read(File),
    Found = [At || {ok, {image, _, At, _}, _} <- [need(Name, Path, Elf, Where) || Name <- Names ++ opened(Path)]],
    lists:usort([real(Base, At) || At <- Interpreters ++ Found]
                %% musl's loader is its libc.
                ++ [real(Base, lists:nthtail(length(Base), Loader))
                    || Name <- Names, is_musl_itself(Name, Base),
                       Loader <- filelib:wildcard(Base ++ "/lib/ld-musl-*.so.1")]).

%% What a file opens by itself if it is there: without it the emulator of OTP 29 warns at each start.
opened(Path) ->
    case filename:basename(Path) of
        "beam.smp" -> ["libsctp.so.1"];
        _ -> []
    end.

need(Name, Path, #{runpath := Runpath, wanted := Wanted}, #{roots := Roots, folders := Folders} = Where) ->
    #{base := Base, builder := Builder, names := {Image, BuilderImage}} = Where,
    Origin = filename:dirname(Path),
    Expanded = [re:replace(Folder, "\\$(ORIGIN|{ORIGIN})", Origin, [{return, list}, global]) || Folder <- Runpath],
    Own = [Folder || [$/ | _] = Folder <- Expanded],
    Versions = maps:get(Name, Wanted, []),
    Glibc = [Version || "GLIBC_" ++ _ = Version <- Versions],
    case is_musl_itself(Name, Base) orelse search(Name, Own ++ Folders, Roots, Where) of
        %% It has no versions and serves any name; what glibc alone has would be missing while the node runs.
        true when Glibc =/= [] ->
            {problem, [Path, ": is compiled for glibc (", hd(Glibc), "), but ", Image, " has musl: compile it in an Alpine "
                       "builder, or give --flavor=debian"]};
        true ->
            loader;
        {At, File, #{defined := Defined}, _} ->
            case lacking(Versions, Defined) of
                [] -> {ok, {image, Name, At, false}, File};
                [Version | _] -> {problem, [Path, ": ", Name, " of ", Image, " has no ", Version,
                                            newer(Name, Versions, Own, Where)]}
            end;
        none when Builder =:= none ->
            {problem, [Path, ": the image lacks its library ", Name]};
        none ->
            #{builder_folders := BuilderFolders} = Where,
            case search(Name, Own ++ BuilderFolders, [Builder], Where) of
                {At, File, #{defined := Defined}, Folder} ->
                    case lacking(Versions, Defined) of
                        [] -> {ok, {builder, Name, At, lists:member(Folder, Own)}, File};
                        [Version | _] -> {problem, [Path, ": ", Name, " of ", BuilderImage, " has no ", Version]}
                    end;
                none ->
                    {problem, [Path, ": its library ", Name, " is neither in ", BuilderImage, " nor in ", Image,
                               "; install the library's package in an image of your own, and give it with --builder-image"]}
            end
    end.

%% A library without versions serves whoever asks for one.
lacking(_, []) -> [];
lacking(Versions, Defined) -> Versions -- Defined.

newer(Name, Versions, Own, #{builder := Builder, builder_folders := Folders, names := {_, BuilderImage}} = Where) ->
    case search(Name, Own ++ Folders, [Builder], Where) of
        {_, _, #{defined := Defined}, _} ->
            case lacking(Versions, Defined) of
                [] -> [", but that of ", BuilderImage, " has it: give a --runtime-image as new as the builder"];
                _ -> ""
            end;
        none ->
            ""
    end;
newer(_, _, _, _) ->
    "".

%% The loader of musl serves what its libc has, under any of these names, whatever follows (load_library in its
%% ldso/dynlink.c): a file of that name is never looked for.
is_musl_itself("lib" ++ Name, Base) ->
    [Stem | _] = string:split(Name, "."),
    Name =/= Stem andalso lists:member(Stem, ["c", "pthread", "rt", "m", "dl", "util", "xnet"])
        andalso filelib:wildcard(Base ++ "/lib/ld-musl-*.so.1") =/= [];
is_musl_itself(_, _) ->
    false.

%% Returns {path, file, what it is, the folder that led there}: the first for this processor.
search(_, [], _, _) ->
    none;
search(Name, [Folder | Folders], Roots, #{machine := Machine} = Where) ->
    case find(Roots, in(Folder, Name)) of
        {ok, Path, File} ->
            case read(File) of
                #{machine := Machine} = Elf -> {Path, File, Elf, Folder};
                _ -> search(Name, Folders, Roots, Where)
            end;
        error ->
            search(Name, Folders, Roots, Where)
    end.

in({cache, Paths}, Name) -> maps:get(Name, Paths, none);
in(Folder, Name) -> filename:join(Folder, Name).

find(_, none) ->
    error;
find([], _) ->
    error;
find([Root | Roots], Path) ->
    File = Root ++ real(Root, Path),
    case filelib:is_regular(File) of
        true -> {ok, Path, File};
        false -> find(Roots, Path)
    end.

exists(Root, Path) ->
    {error, enoent} =/= file:read_link_info(Root ++ in_real_folder(Root, Path)).

%% Where the loader of a root filesystem looks, in its order.
folders(Root) ->
    case filelib:wildcard(Root ++ "/lib/ld-musl-*.so.1") of
        [] ->
            Triplets = [filename:basename(Folder) || Folder <- filelib:wildcard(Root ++ "/usr/lib/*-linux-gnu")],
            [{cache, cache(Root ++ "/etc/ld.so.cache")}]
                ++ [Folder ++ Triplet || Triplet <- Triplets, Folder <- ["/lib/", "/usr/lib/"]]
                ++ ["/lib", "/usr/lib", "/lib64", "/usr/lib64"];
        [Loader | _] ->
            case file:read_file(Root ++ "/etc/" ++ filename:basename(Loader, ".so.1") ++ ".path") of
                {ok, Text} -> string:lexemes(binary_to_list(Text), ":\n");
                {error, _} -> ["/lib", "/usr/local/lib", "/usr/lib"]
            end
    end.

%% Folders that the cache of a root filesystem would be made of.
configured(Root) ->
    Lines = [Line || File <- filelib:wildcard(Root ++ "/etc/ld.so.conf.d/*.conf"),
                     {ok, Text} <- [file:read_file(File)],
                     Line <- string:lexemes(binary_to_list(Text), "\n")],
    [string:trim(Line) || [$/ | _] = Line <- Lines] ++ ["/usr/local/lib"].

%% The cache of glibc's loader (sysdeps/generic/dl-cache.h): by name, the path.
cache(File) ->
    case file:read_file(File) of
        {ok, <<"glibc-ld.so.cache1.1", Count:32/little, _:24/binary, Rest/binary>> = Data} ->
            Entries = [{string_at(Data, Name), string_at(Data, Path)}
                       || <<_:32, Name:32/little, Path:32/little, _:32, 0:64>>
                              <= binary:part(Rest, 0, min(byte_size(Rest), Count * 24))],
            %% The first counts; those for some processors only are left out.
            maps:from_list(lists:reverse(Entries));
        _ ->
            #{}
    end.

%% --- what is taken ---

%% Returns {path in the builder, path in the image} for a library and each link that leads to it.
place({image, _, _, _}, _) ->
    [];
place({builder, Name, At, ByRunpath}, #{base := Base, builder := Builder, folders := Folders}) ->
    Searched = [real(Base, Folder) || [$/ | _] = Folder <- Folders],
    Folder = real(Base, real(Builder, filename:dirname(At))),
    case ByRunpath orelse lists:member(Folder, Searched) of
        true ->
            chain(At, Base, Builder);
        false ->
            %% The image's loader would not look there: under the name that is asked for, where it does.
            [{real(Builder, At), filename:join(hd(Searched), Name)}]
    end.

chain(At, Base, Builder) ->
    From = in_real_folder(Builder, At),
    Pair = {From, in_real_folder(Base, From)},
    case file:read_link(Builder ++ From) of
        {ok, Target} -> [Pair | chain(filename:absname(Target, filename:dirname(From)), Base, Builder)];
        {error, _} -> [Pair]
    end.

%% Files that a library opens by itself, unless the image has some: descriptions of terminals, modules of OpenSSL.
beside({Source, Name, At, _}, #{base := Base, builder := Builder}) ->
    Patterns =
        case string:split(Name, ".") of
            ["lib" ++ Stem | _] when Stem =:= "tinfo"; Stem =:= "tinfow"; Stem =:= "ncurses"; Stem =:= "ncursesw" ->
                ["/etc/terminfo/?/*", "/lib/terminfo/?/*", "/usr/share/terminfo/?/*", "/usr/lib/terminfo/?/*"];
            ["libcrypto" | _] when Source =:= builder ->
                [Folder ++ "/ossl-modules/*.so" || Folder <- lists:usort([filename:dirname(At), "/usr/lib"])];
            _ ->
                []
        end,
    case [File || Pattern <- Patterns, File <- filelib:wildcard(Base ++ Pattern)] of
        [] ->
            lists:append([chain(lists:nthtail(length(Builder), File), Base, Builder)
                          || Pattern <- Patterns, File <- filelib:wildcard(Builder ++ Pattern)]);
        _ ->
            []
    end.

take({From, Path}, Builder, Added) ->
    Source = Builder ++ From,
    Target = Added ++ Path,
    ok = filelib:ensure_dir(Target),
    case file:read_link(Source) of
        {ok, Link} ->
            ok = file:make_symlink(Link, Target);
        {error, einval} ->
            {ok, #file_info{mode = Mode}} = file:read_file_info(Source),
            {ok, _} = file:copy(Source, Target),
            ok = file:change_mode(Target, Mode band 8#777)
    end.

%% --- strip ---

strip_file(File) ->
    {ok, Data} = file:read_file(File),
    case strip(Data) of
        Data ->
            ok;
        Stripped ->
            replace(File, Stripped)
    end.

%% Not written over: the file may be a hard link.
replace(File, Data) ->
    {ok, #file_info{mode = Mode}} = file:read_file_info(File),
    ok = file:delete(File),
    ok = file:write_file(File, Data),
    ok = file:change_mode(File, Mode band 8#777).

%% What programs and libraries are loaded by stays where it is; sections that are not loaded follow it, without those of
%% symbols and of debugging, then the table of sections. A file that is put together in another way stays as it is.
strip(<<16#7f, "ELF", 2, 1, _:10/binary, Type:16/little, _:16, _:32, _Entry:64, Programs:64/little, Table:64/little,
        _:32, _:16, ProgramSize:16/little, ProgramCount:16/little, 64:16/little, Count:16/little, Names:16/little,
        _/binary>> = Data)
  when Type =:= ?ET_EXEC orelse Type =:= ?ET_DYN, Count > 1, Table + Count * 64 =< byte_size(Data) ->
    Sections = [section(binary:part(Data, Table + Index * 64, 64)) || Index <- lists:seq(0, Count - 1)],
    #{offset := NamesAt} = lists:nth(Names + 1, Sections),
    Numbered = [Section#{index => Index, called => string_at(Data, NamesAt + Name)}
                || {Index, #{name := Name} = Section} <- lists:zip(lists:seq(0, Count - 1), Sections)],
    Ends = [At + Size || {_, At, _, Size} <- program_headers(Data, Programs, ProgramSize, ProgramCount)],
    Loaded = lists:max([Programs + ProgramSize * ProgramCount | Ends]),
    Last = lists:max([Table + Count * 64 | [At + Size || #{offset := At, size := Size, type := Kind} <- Sections,
                                                         Kind =/= ?SHT_NOBITS]]),
    Symbols = [Index || #{type := ?SHT_SYMTAB, link := Index} <- Sections],
    Kept = [Section || #{index := Index} = Section <- Numbered,
                       Index =:= Names orelse not (lists:member(Index, Symbols) orelse is_debug(Section))],
    %% Sections that are kept must not need one that goes, nor may there be anything behind the sections.
    Map = maps:from_list(lists:zip([Index || #{index := Index} <- Kept], lists:seq(0, length(Kept) - 1))),
    Orphans = [Section || Section <- Kept, not lists:all(fun(Index) -> is_map_key(Index, Map) end, links(Section))],
    Misplaced = [Section || #{flags := Flags, offset := At, size := Size, type := Kind} = Section <- Kept,
                            Kind =/= ?SHT_NOBITS, (Flags band ?SHF_ALLOC =/= 0) =/= (At + Size =< Loaded), Size > 0],
    case length(Kept) < Count andalso Last =:= byte_size(Data) andalso Loaded =< byte_size(Data)
         andalso Orphans =:= [] andalso Misplaced =:= [] of
        true -> write(Data, Loaded, Kept, Map, maps:get(Names, Map));
        false -> Data
    end;
strip(Data) ->
    Data.

is_debug(#{type := ?SHT_SYMTAB}) -> true;
is_debug(#{flags := Flags, called := Name}) when Flags band ?SHF_ALLOC =:= 0 ->
    lists:any(fun(Prefix) -> lists:prefix(Prefix, Name) end,
              [".debug_", ".zdebug_", ".rela.debug_", ".gdb_index", ".gnu.debuglto_"]);
is_debug(_) -> false.

%% The sections that one names.
links(#{link := Link, info := Info, flags := Flags, type := Type}) ->
    [Link] ++ [Info || Flags band ?SHF_INFO_LINK =/= 0 orelse Type =:= ?SHT_REL orelse Type =:= ?SHT_RELA].

write(Data, Loaded, Kept, Map, Names) ->
    {Bodies, Written, End} = lists:foldl(
        fun(#{flags := Flags, type := Type, offset := From, size := Size, align := Align} = Section, {Out, Done, At}) ->
            case Flags band ?SHF_ALLOC =/= 0 orelse Type =:= 0 orelse Type =:= ?SHT_NOBITS of
                true ->
                    {Out, [Section | Done], At};
                false ->
                    Pad = padding(At, max(Align, 1)),
                    {[Out, <<0:(Pad * 8)>>, binary:part(Data, From, Size)],
                     [Section#{offset := At + Pad} | Done], At + Pad + Size}
            end
        end,
        {[], [], Loaded},
        Kept
    ),
    Pad = padding(End, 8),
    <<Before:40/binary, _:64, Middle:12/binary, _:32, _/binary>> = binary:part(Data, 0, 64),
    Header = [Before, <<(End + Pad):64/little>>, Middle, <<(length(Kept)):16/little, Names:16/little>>],
    Table = [header_of(Section, Map) || Section <- lists:reverse(Written)],
    iolist_to_binary([Header, binary:part(Data, 64, Loaded - 64), Bodies, <<0:(Pad * 8)>>, Table]).

padding(At, Align) ->
    (Align - At rem Align) rem Align.

section(<<Name:32/little, Type:32/little, Flags:64/little, Address:64/little, Offset:64/little, Size:64/little,
          Link:32/little, Info:32/little, Align:64/little, Each:64/little>>) ->
    #{name => Name, type => Type, flags => Flags, address => Address, offset => Offset, size => Size, link => Link,
      info => Info, align => Align, each => Each}.

header_of(#{name := Name, type := Type, flags := Flags, address := Address, offset := Offset, size := Size,
            link := Link, info := Info, align := Align, each := Each} = Section, Map) ->
    Named = case links(Section) of [_, _] -> maps:get(Info, Map); [_] -> Info end,
    <<Name:32/little, Type:32/little, Flags:64/little, Address:64/little, Offset:64/little, Size:64/little,
      (maps:get(Link, Map)):32/little, Named:32/little, Align:64/little, Each:64/little>>.

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

%% --- the format (64 bit, little endian: what both platforms are) ---

read(File) ->
    {ok, Data} = file:read_file(File),
    parse(Data).

parse(<<16#7f, "ELF", 2, 1, _:10/binary, _Type:16/little, Machine:16/little, _Version:32, _Entry:64,
        Offset:64/little, _Sections:64, _Flags:32, _Size:16, EntrySize:16/little, Count:16/little, _/binary>> = Data) ->
    Headers = program_headers(Data, Offset, EntrySize, Count),
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

program_headers(Data, Offset, Size, Count) ->
    [header(binary:part(Data, Offset + Index * Size, Size)) || Index <- lists:seq(0, Count - 1)].

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
