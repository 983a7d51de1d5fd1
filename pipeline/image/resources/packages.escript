#!/usr/bin/env escript
%% -*- erlang -*-
%% Writes down which packages the files are of that an image has from its builder, as the distribution's own tools and
%% scanners read it. No package manager runs.
%%
%% packages.escript BASE BUILDER ADDED TAKEN BUILDER_IMAGE
%%     BASE and BUILDER are root filesystems, ADDED what lies over BASE, TAKEN the list of `elf.escript libraries`.
%%     Fails if a file is of no package of BUILDER.
-include_lib("kernel/include/file.hrl").
-mode(compile).

-include("root.hrl").

main([Base, Builder, Added, TakenFile, BuilderImage]) ->
    {ok, Taken} = file:consult(TakenFile),
    case databases(Builder) of
        _ when Taken =:= [] ->
            ok;
        {apk, File} ->
            {ok, Text} = file:read_file(Builder ++ File),
            {Entries, Unowned} = apk_entries(unicode:characters_to_list(Text), Taken, Builder),
            owned(Unowned, Builder, BuilderImage),
            apk(Entries, Base, Added);
        {dpkg, Folder} ->
            {Owners, Unowned} = dpkg_owners(Builder, Folder, Taken),
            owned(Unowned, Builder, BuilderImage),
            {ok, Status} = file:read_file(Builder ++ Folder ++ "/status"),
            Stanzas = string:split(unicode:characters_to_list(Status), "\n\n", all),
            lists:foreach(fun({Name, Files}) -> dpkg(Name, Files, Stanzas, Builder, Added) end, Owners);
        none ->
            owned([From || {From, _} <- Taken], Builder, BuilderImage)
    end.

%% Links may be of no package: ldconfig and update-alternatives make some.
owned(Files, Builder, Image) ->
    case [File || File <- Files, {error, einval} =:= file:read_link(Builder ++ File)] of
        [] ->
            ok;
        Unowned ->
            [io:format("~ts: this library of ~ts belongs to no package, so scanners would not see it: install it from a "
                       "package, or put it into a base image of your own (--runtime-image)~n", [File, Image])
             || File <- Unowned],
            halt(1)
    end.

%% Where a root filesystem has its database; apk-tools 3 knows a second place.
databases(Root) ->
    Known = [{apk, "/lib/apk/db/installed"}, {apk, "/usr/lib/apk/db/installed"}, {dpkg, "/var/lib/dpkg"}],
    case [{Kind, real(Root, Path)} || {Kind, Path} <- Known, file_exists(Root ++ real(Root, Path))] of
        [Found | _] -> Found;
        [] -> none
    end.

file_exists(Path) ->
    {error, enoent} =/= file:read_file_info(Path).

%% --- Debian: an entry for each package in status.d, as distroless images have them; not in status: dpkg, in an image
%% built upon this one, must not believe that the whole package is there. ---

%% Returns {[{package, [{path in the builder, in the image}]}], files of none}. A list is NAME.list or NAME:ARCH.list,
%% and has paths as they were before folders became links.
dpkg_owners(Builder, Folder, Taken) ->
    Lists = filelib:wildcard(Builder ++ Folder ++ "/info/*.list"),
    Wanted = maps:from_list(Taken),
    Owned = [{Name, From}
             || List <- Lists, Name <- [hd(string:split(filename:basename(List, ".list"), ":"))],
                {ok, Text} <- [file:read_file(List)],
                Path <- string:lexemes(unicode:characters_to_list(Text), "\n"),
                may_be(Path, Wanted), From <- [in_real_folder(Builder, Path)], is_map_key(From, Wanted)],
    Names = lists:usort([Name || {Name, _} <- Owned]),
    {[{Name, lists:usort([{From, maps:get(From, Wanted)} || {Owner, From} <- Owned, Owner =:= Name])} || Name <- Names],
     maps:keys(Wanted) -- [From || {_, From} <- Owned]}.

%% Following links costs: only where the name is one of those that are looked for.
may_be(Path, Wanted) ->
    Name = filename:basename(Path),
    lists:any(fun(From) -> filename:basename(From) =:= Name end, maps:keys(Wanted)).

dpkg(Name, Files, Stanzas, Builder, Added) ->
    [Stanza | _] = [Stanza || Stanza <- Stanzas, lists:member("Package: " ++ Name, string:split(Stanza, "\n", all))],
    Lines = [Line || Line <- string:split(string:trim(Stanza), "\n", all), not lists:prefix("Status: ", Line)],
    Entry = Added ++ "/var/lib/dpkg/status.d/" ++ Name,
    write(Entry, [[Line, $\n] || Line <- Lines]),
    write(Entry ++ ".md5sums", [[md5(Builder ++ From), "  ", tl(Path), $\n]
                                || {From, Path} <- Files, {error, einval} =:= file:read_link(Builder ++ From)]),
    Copyright = "/usr/share/doc/" ++ Name ++ "/copyright",
    case file:read_file(Builder ++ real(Builder, Copyright)) of
        {ok, Text} -> write_bytes(Added ++ Copyright, Text);
        {error, enoent} -> ok
    end.

md5(File) ->
    {ok, Data} = file:read_file(File),
    [io_lib:format("~2.16.0b", [Byte]) || <<Byte>> <= erlang:md5(Data)].

%% --- Alpine: the entries, with the files that are there alone, behind those of the base. ---

%% Returns {[{its lines about the package, those about files}], files of none}.
apk_entries(Text, Taken, Builder) ->
    Wanted = maps:from_list(Taken),
    Entries = [apk_entry(string:split(Stanza, "\n", all), Wanted, Builder)
               || Stanza <- string:split(string:trim(Text), "\n\n", all)],
    Owned = lists:append([Found || {_, _, Found} <- Entries]),
    {[{About, Files} || {About, Files, [_ | _]} <- Entries], maps:keys(Wanted) -- Owned}.

%% F: begins a folder, R: a file of it; M:, a: and Z: say more about the one above.
apk_entry(Lines, Wanted, Builder) ->
    {About, Rest} = lists:splitwith(fun(Line) -> not lists:prefix("F:", Line) end, Lines),
    {Files, Found, _} = lists:foldl(
        fun
            ("F:" ++ Folder = Line, {Out, Found, _}) ->
                {Out, Found, {folder, Folder, [Line], none}};
            ("R:" ++ Name = Line, {Out, Found, {folder, Folder, Head, _}}) ->
                From = in_real_folder(Builder, "/" ++ Folder ++ "/" ++ Name),
                case is_map_key(From, Wanted) of
                    true -> {Out ++ Head ++ [Line], [From | Found], {folder, Folder, [], taken}};
                    false -> {Out, Found, {folder, Folder, Head, left}}
                end;
            (Line, {Out, Found, {folder, Folder, Head, none}}) ->
                {Out, Found, {folder, Folder, Head ++ [Line], none}};
            (Line, {Out, Found, {_, _, _, taken} = State}) ->
                {Out ++ [Line], Found, State};
            (_, {Out, Found, State}) ->
                {Out, Found, State}
        end,
        {[], [], {folder, "", [], none}},
        Rest
    ),
    {About, Files, Found}.

apk(Entries, Base, Added) ->
    File = case databases(Base) of
               {apk, Found} -> Found;
               _ ->
                   io:format("the runtime image has no apk database (/lib/apk/db/installed), so scanners would not see "
                             "the added packages: give an image that has one with --runtime-image~n"),
                   halt(1)
           end,
    {ok, Binary} = file:read_file(Base ++ File),
    Text = string:trim(unicode:characters_to_list(Binary)),
    Installed = [string:split(Stanza, "\n", all) || Stanza <- string:split(Text, "\n\n", all)],
    Here = lists:append([provided(Lines) || Lines <- Installed ++ [About || {About, _} <- Entries]]),
    New = [lists:join($\n, lists:append([wanting(Line, Here) || Line <- About]) ++ Files) || {About, Files} <- Entries],
    write(Added ++ File, [lists:join("\n\n", [Text | New]), "\n\n"]),
    %% What nobody asked for, and no package needs, apk would remove.
    World = real(Base, "/etc/apk/world"),
    Asked = case file:read_file(Base ++ World) of
                {ok, Words} -> string:lexemes(unicode:characters_to_list(Words), "\n ");
                {error, enoent} -> []
            end,
    Names = [Name || {About, _} <- Entries, "P:" ++ Name <- About],
    write(Added ++ World, [[Word, $\n] || Word <- lists:usort(Asked ++ Names)]).

%% Names that a package answers to.
provided(Lines) ->
    [Name || "P:" ++ Name <- Lines] ++ [name(Word) || "p:" ++ Words <- Lines, Word <- string:lexemes(Words, " ")].

%% Of what a package needs only what is there is kept: apk refuses any work upon a system where a need is not met.
wanting("D:" ++ Words, Here) ->
    case [Word || Word <- string:lexemes(Words, " "), hd(Word) =:= $! orelse lists:member(name(Word), Here)] of
        [] -> [];
        Kept -> ["D:" ++ lists:append(lists:join(" ", Kept))]
    end;
wanting(Line, _) ->
    [Line].

name(Word) ->
    hd(string:lexemes(Word, "<>=~")).

write(Path, Characters) ->
    write_bytes(Path, unicode:characters_to_binary(Characters)).

write_bytes(Path, Bytes) ->
    ok = filelib:ensure_dir(Path),
    ok = file:write_file(Path, Bytes).
