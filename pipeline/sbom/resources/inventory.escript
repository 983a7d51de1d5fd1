#!/usr/bin/env escript
%% -*- erlang -*-
%%! +fnu
%% Shown as: read what the release is made of
%% Reads what a release is made of, lets Erlang parse Erlang, and writes it to OUT as JSON, or {"error": "..."}:
%%   root                              RELEASE
%%   contents, content                 SHA-512 of parts of the release as they are in the image: of a file, or of what
%%                                     `find . -type f | LC_ALL=C sort | xargs sha256sum` prints in a folder
%%   erts, otp_release, otp_version    of the release and of the Erlang/OTP that runs this
%%   otp_package                       the distribution's package that this Erlang/OTP came from: its format, and name and
%%                                     version of its source; null if it belongs to none
%%   reviews                           of each package of the image, the SHA-256 of the distribution's copyright file, and
%%                                     the licences of its files, if that is of the form that machines read (DEP-5)
%%   relx                              version of relx in rebar3, which writes the start scripts; null if it is not found
%%   embedded                          what this emulator has in it of others: versions of PCRE and Unicode, whether it
%%                                     compiles to machine code, and, if it knows that, names of what else was compiled in
%%   applications                      one entry for each lib/*/ebin/*.app of the release
%%   locks                             one entry for each dependency of rebar.lock, shipped or not; what is direct is what
%%                                     the project itself asks for
%%   files                             path, SHA-256 and SHA-512 of each file of --files, the version of tini, if it is
%%                                     one, and whether the GNU C library is in it
%%   natives                           path, SHA-256 and SHA-512 of each ELF file of the release that is neither of an
%%                                     application nor of ERTS
%%   system                            path and SHA-512 of the file that says which distribution the image is
%% Usage: inventory.escript RELEASE OUT [--project DIR] [--libs DIR] [--lock FILE] [--own A,B] [--checkouts A,B]
%%                          [--repositories FILE] [--image DIR --files A,B] [--root DIR]
%%   --project DIR     the project's own folder, with _checkouts
%%   --libs DIR        what rebar3 built, as _build/prod/lib; beside it lies what it built of _checkouts
%%   --own A,B         applications of the project itself
%%   --checkouts A,B   dependencies that come from _checkouts: what the lock says of them does not hold
%%   --repositories F  which packages of Hex were fetched, and from where: lines NAME VERSION REPOSITORY [URL], name and
%%                     version as the lock has them, REPOSITORY as rebar3 calls it (hexpm, hexpm:ORGANISATION, another),
%%                     and perhaps sha512:CHECKSUM of the archive behind them;
%%                     of a package without a line the lock's checksum proves nothing; without the option each is hexpm's
%%   --image DIR       root filesystem of the image
%%   --files A,B       files of it that come from no package
%%   --root DIR        where the distribution's database of packages lies, if not in /
-mode(compile).
-include("common.hrl").

main([Release, Out | Options]) ->
    Result =
        try inventory(Release, options(Options, #{}))
        catch throw:{input, Message} -> #{error => Message}
        end,
    ok = filelib:ensure_dir(Out),
    ok = file:write_file(Out, unicode:characters_to_binary([json(Result), $\n])).

names(Key, Options) -> string:lexemes(maps:get(Key, Options, ""), ",").

inventory(Release, Options) ->
    Repositories = repositories(maps:get("repositories", Options, undefined)),
    Locks = [repository(Lock, Repositories) || Lock <- locks(maps:get("lock", Options, undefined))],
    Files = filelib:wildcard(filename:join(Release, "lib/*/ebin/*.app")),
    Files =:= [] andalso bad("~ts: no application in it (lib/*/ebin/*.app); is it a release?", [Release]),
    #{root => bin(Release),
      erts => erts(Release),
      contents => maps:from_list([{bin(Key), content(filename:join(Release, Wildcard), Options)}
                                  || {Key, Wildcard} <- [{"erts", "erts-*"}, {"emulator", "erts-*/bin/beam.smp"}, {"bin", "bin"},
                                                         {"unicode", "lib/stdlib-*/ebin/unicode_util.beam"}]]),
      otp_release => bin(erlang:system_info(otp_release)),
      otp_version => otp_version(),
      relx => relx(),
      embedded => #{pcre => bin(re:version()),
                    unicode => bin(lists:join($., [integer_to_list(N) || N <- tuple_to_list(unicode_util:spec_version())])),
                    jit => erlang:system_info(emu_flavor) =:= jit,
                    included => included()},
      otp_package => otp_package(maps:get("root", Options, "/")),
      reviews => reviews(maps:get("image", Options, none)),
      applications => [application(File, Locks, Options) || File <- lists:sort(Files)],
      locks => Locks,
      files => [#{path => bin(File), sha256 => sha256(maps:get("image", Options) ++ File),
                  sha512 => sha512(maps:get("image", Options) ++ File),
                  tini => tini(maps:get("image", Options) ++ File),
                  glibc => glibc(maps:get("image", Options) ++ File)} || File <- names("files", Options)],
      natives => natives(Release, Options),
      system => system(Options)}.

%% The version that a tini says of itself; empty for any other file.
tini(File) ->
    {ok, Data} = file:read_file(File),
    case re:run(Data, "\\0tini version ([0-9]+(?:\\.[0-9]+)+)", [{capture, all_but_first, binary}]) of
        {match, [Version]} -> Version;
        nomatch -> <<>>
    end.

%% Whether the GNU C library is linked into a file: its messages speak of it. One that loads it names GLIBC_2.34 and the like.
glibc(File) ->
    {ok, Data} = file:read_file(File),
    binary:match(Data, <<"glibc">>) =/= nomatch.

sha256(File) ->
    {ok, Data} = file:read_file(File),
    hex(crypto:hash(sha256, Data)).

content(Wildcard, #{"image" := Image}) ->
    case filelib:wildcard(Image ++ Wildcard) of
        [Path | _] ->
            case filelib:is_dir(Path) of
                true -> hex(crypto:hash(sha512, [[sha256(filename:join(Path, F)), "  ./", bin(F), $\n]
                                                 || F <- lists:sort(regular(Path, ""))]));
                false -> {ok, Data} = file:read_file(Path), hex(crypto:hash(sha512, Data))
            end;
        [] -> null
    end;
content(_, _) -> null.

%% Files below a folder, links left alone; paths begin as `find .` would have them, without the dot and its slash.
regular(Folder, Below) ->
    {ok, Names} = file:list_dir(filename:join(Folder, Below)),
    lists:append([case file:read_link_info(filename:join(Folder, Below ++ Name)) of
                      {ok, Info} when element(3, Info) =:= regular -> [Below ++ Name];
                      {ok, Info} when element(3, Info) =:= directory -> regular(Folder, Below ++ Name ++ "/");
                      {ok, _} -> []
                  end || Name <- Names]).

sha512(File) ->
    {ok, Data} = file:read_file(File),
    hex(crypto:hash(sha512, Data)).

%% Both the release and the image have them, but in the image without what nothing loads.
natives(Release, #{"image" := Image}) ->
    [#{path => bin(Path), sha256 => sha256(Image ++ Path), sha512 => sha512(Image ++ Path)}
     || File <- lists:sort(regular(Release, "")), not lists:prefix("lib/", File), not lists:prefix("erts-", File),
        Path <- [filename:join(Release, File)], is_elf(Image ++ Path)];
natives(_, _) -> [].

is_elf(File) ->
    case file:open(File, [read, raw, binary]) of
        {ok, Handle} ->
            Begin = file:read(Handle, 4),
            ok = file:close(Handle),
            Begin =:= {ok, <<16#7f, "ELF">>};
        {error, _} -> false
    end.

%% os-release(5): the first is a link to the second, or the other way round.
system(#{"image" := Image}) ->
    case [File || File <- ["/usr/lib/os-release", "/etc/os-release"], is_regular(Image ++ File)] of
        [File | _] -> #{path => bin(File), sha512 => sha512(Image ++ File)};
        [] -> null
    end;
system(_) -> null.

is_regular(File) ->
    case file:read_link_info(File) of
        {ok, Info} -> element(3, Info) =:= regular;
        {error, _} -> false
    end.

hex(Binary) -> bin([io_lib:format("~2.16.0b", [Byte]) || <<Byte>> <= Binary]).

erts(Release) ->
    case filelib:wildcard("erts-*", Release) of
        ["erts-" ++ Version | _] -> bin(Version);
        [] -> null
    end.

%% The release alone ("27") is too coarse for an advisory; the file has the patch too ("27.3.4.1").
otp_version() ->
    Major = erlang:system_info(otp_release),
    case file:read_file(filename:join([code:root_dir(), "releases", Major, "OTP_VERSION"])) of
        %% "**" marks an installation patched by hand.
        {ok, Text} -> bin(string:trim(string:trim(binary_to_list(Text)), trailing, "*"));
        {error, _} -> bin(Major)
    end.

relx() ->
    try
        {ok, Sections} = escript:extract(os:find_executable("rebar3"), []),
        {archive, Archive} = lists:keyfind(archive, 1, Sections),
        IsRelx = fun(File) -> lists:suffix("relx/ebin/relx.app", element(2, File)) end,
        {ok, [{_, Data} | _]} = zip:unzip(Archive, [memory, {file_filter, IsRelx}]),
        {ok, Tokens, _} = erl_scan:string(binary_to_list(Data)),
        {ok, {application, relx, Properties}} = erl_parse:parse_term(Tokens),
        text(value(vsn, Properties, ""))
    catch _:_ ->
        %% Of a distribution it is an application of its Erlang.
        case application:load(relx) of
            {error, {"no such file or directory", _}} -> null;
            _ -> {ok, Vsn} = application:get_key(relx, vsn), text(Vsn)
        end
    end.

%% The emulator tells it from 16.4 on.
included() ->
    try erlang:system_info(embedded_3pps) of
        #{included := Names} -> Names
    catch error:badarg -> null
    end.

%% Of the package that owns the emulator. Both databases have a path as it was before folders became links.
otp_package(Root) ->
    Emulator = filename:join([code:root_dir(), "erts-" ++ erlang:system_info(version), "bin", "beam.smp"]),
    Lists = filelib:wildcard(filename:join(Root, "var/lib/dpkg/info/*.list")),
    Installed = [File || File <- ["lib/apk/db/installed", "usr/lib/apk/db/installed"],
                         filelib:is_regular(filename:join(Root, File))],
    case [filename:basename(List, ".list") || List <- Lists, has_line(List, Emulator)] of
        [Owner | _] ->
            [Name | _] = string:split(Owner, ":"),
            [Fields | _] = [Fields || Fields <- stanzas(filename:join(Root, "var/lib/dpkg/status"), ": "),
                                      value("Package", Fields, "") =:= Name],
            Version = value("Version", Fields, ""),
            case string:lexemes(value("Source", Fields, Name), " ()") of
                [Source, Own] -> #{format => deb, name => bin(Source), version => bin(Own)};
                [Source] -> #{format => deb, name => bin(Source), version => bin(Version)}
            end;
        [] when Installed =/= [] ->
            Folder = filename:dirname(tl(Emulator)),
            Owners = [Fields || Fields <- stanzas(filename:join(Root, hd(Installed)), ":"),
                                owns(Fields, Folder, filename:basename(Emulator))],
            case Owners of
                [Fields | _] ->
                    Name = value("o", Fields, value("P", Fields, "")),
                    #{format => apk, name => bin(Name), version => bin(value("V", Fields, ""))};
                [] -> null
            end;
        [] -> null
    end.

has_line(File, Line) ->
    {ok, Text} = file:read_file(File),
    binary:match(Text, bin([Line, $\n])) =/= nomatch.

%% Each entry of a database, as its fields in order.
stanzas(File, Separator) ->
    {ok, Text} = file:read_file(File),
    [[{Key, Value} || Line <- string:split(Stanza, "\n", all), [Key, Value] <- [string:split(Line, Separator)]]
     || Stanza <- string:split(unicode:characters_to_list(Text), "\n\n", all)].

%% Files stand below their folder.
owns([{"F", Folder} | Rest], Folder, Name) ->
    Files = lists:takewhile(fun({Key, _}) -> Key =/= "F" end, Rest),
    lists:member({"R", Name}, Files) orelse owns(Rest, Folder, Name);
owns([_ | Rest], Folder, Name) -> owns(Rest, Folder, Name);
owns([], _, _) -> false.

%% Copyright files -----------------------------------------------------------------------------------

%% Of each package of the image, its copyright file, and which licences its files have; each once.
reviews(none) -> [];
reviews(Image) ->
    [#{package => bin(filename:basename(filename:dirname(File))),
       sha256 => hex(crypto:hash(sha256, Data)),
       licenses => lists:usort(review(Data))}
     || File <- lists:sort(filelib:wildcard(Image ++ "/usr/share/doc/*/copyright")), {ok, Data} <- [file:read_file(File)]].

%% What each paragraph of a copyright file about files (www.debian.org/doc/packaging-manuals/copyright-format/1.0) names
%% as their licence; nothing if the file is of another form.
review(Data) ->
    case [fields(Paragraph) || Paragraph <- re:split(Data, "\n(?:[ \t]*\n)+", [{return, binary}])] of
        [#{<<"format">> := Format} | Paragraphs] ->
            Known = re:run(Format, "copyright-format/1\\.0|/dep5", [caseless, {capture, none}]) =:= match,
            [string:trim(hd(binary:split(maps:get(<<"license">>, Paragraph, <<>>), <<"\n">>)))
             || Known, #{<<"files">> := _} = Paragraph <- Paragraphs];
        _ -> []
    end.

%% A field begins a line; what follows of it has white space in front.
fields(Paragraph) ->
    case re:run(Paragraph, "^([A-Za-z-]+):(.*(?:\\n[ \\t].*)*)", [global, multiline, {capture, all_but_first, binary}]) of
        {match, Found} -> maps:from_list([{string:lowercase(Key), Value} || [Key, Value] <- Found]);
        nomatch -> #{}
    end.

%% Applications -------------------------------------------------------------------------------------

application(File, Locks, Options) ->
    case file:consult(File) of
        {ok, [{application, Name, Properties} | _]} when is_atom(Name), is_list(Properties) ->
            Hex = hex_metadata(Name, Options),
            #{name => Name,
              folder => bin(filename:dirname(filename:dirname(File))),
              content => content(filename:dirname(filename:dirname(File)), Options),
              vsn => text(value(vsn, Properties, "")),
              kind => kind(Name, File, Locks, Options),
              checkout => is_checkout(atom_to_list(Name), Options),
              description => text(value(description, Properties, "")),
              applications => atoms(value(applications, Properties, [])),
              included_applications => atoms(value(included_applications, Properties, [])),
              optional_applications => atoms(value(optional_applications, Properties, [])),
              licenses => first([texts(value(<<"licenses">>, Hex, [])), texts(value(licenses, Properties, []))]),
              maintainers => texts(value(maintainers, Properties, [])),
              texts => license_texts(Name, File, Options),
              links => links(first([value(<<"links">>, Hex, []), value(links, Properties, [])])),
              hex => case Hex of
                         [] -> null;
                         _ -> #{name => text(value(<<"name">>, Hex, atom_to_binary(Name, utf8))),
                                version => text(value(<<"version">>, Hex, <<>>))}
                     end};
        {ok, _} -> bad("~ts: not an application resource file ({application, Name, Properties})", [File]);
        {error, Reason} -> bad("~ts: ~ts", [File, file:format_error(Reason)])
    end.

%% A locked name wins over a folder of the builder's Erlang: a distribution may put dependencies there too
%% (Debian's rebar3 brings bbmustache and others).
kind(Name, File, Locks, Options) ->
    Versioned = filename:basename(filename:dirname(filename:dirname(File))),
    Text = atom_to_list(Name),
    Locked = [L || #{name := L} <- Locks, L =:= list_to_binary(Text)] =/= [],
    case {lists:member(Text, names("own", Options)), Locked orelse is_checkout(Text, Options),
          filelib:is_dir(filename:join(code:lib_dir(), Versioned))} of
        {true, _, _} -> own;
        {_, false, true} -> otp;
        _ -> dependency
    end.

%% What was built decides: rebar3 compiles a checkout into a folder of its own, whatever the lock has.
is_checkout(Name, Options) ->
    lists:member(Name, names("checkouts", Options)) orelse
        case Options of
            #{"libs" := Libs} -> filelib:is_dir(filename:join([filename:dirname(Libs), "checkouts", Name]));
            #{} -> false
        end.

%% Where the files lie that an application was compiled from.
sources(Name, Options) ->
    Folders = case {is_checkout(Name, Options), Options} of
                  {true, #{"project" := Project}} -> [filename:join([Project, "_checkouts", Name])];
                  {false, #{"libs" := Libs}} -> [filename:join(Libs, Name)];
                  _ -> []
              end,
    [F || F <- Folders, filelib:is_dir(F)].

hex_metadata(Name, Options) ->
    case sources(atom_to_list(Name), Options) of
        [] -> [];
        [Folder] ->
            case file:consult(filename:join(Folder, "hex_metadata.config")) of
                {ok, Terms} -> Terms;
                {error, enoent} -> [];
                {error, Reason} -> bad("~ts/hex_metadata.config: ~ts", [Name, file:format_error(Reason)])
            end
    end.

%% Licence files at the top of what an application was compiled from, beside it in the release, and, if it is of the
%% project itself, at the project's root; and the NOTICE, which whoever uses the Apache License puts the copyright into.
license_texts(Name, File, Options) ->
    Root = case {lists:member(atom_to_list(Name), names("own", Options)), Options} of
               {true, #{"project" := Project}} -> [Project];
               _ -> []
           end,
    Folders = sources(atom_to_list(Name), Options) ++ [filename:dirname(filename:dirname(File))] ++ Root,
    Files = [F || Folder <- Folders, F <- lists:sort(filelib:wildcard(filename:join(Folder, "*"))),
                  re:run(filename:basename(F), "^(un)?licen[cs]e|^copying|^notice", [caseless, {capture, none}]) =:= match,
                  filelib:is_regular(F), filelib:file_size(F) < 100000],
    lists:uniq([text(Data) || F <- Files, {ok, Data} <- [file:read_file(F)]]).

value(Key, List, Default) -> proplists:get_value(Key, List, Default).

first([[_ | _] = Value | _]) -> Value;
first([_ | Rest]) -> first(Rest);
first([]) -> [].

atoms(List) when is_list(List) -> [A || A <- List, is_atom(A)];
atoms(_) -> [].

links(List) when is_list(List) -> [#{name => text(N), url => text(U)} || {N, U} <- List];
links(_) -> [].

%% The lock -----------------------------------------------------------------------------------------

locks(undefined) -> [];
locks(File) ->
    case file:consult(File) of
        {ok, [{_, Entries} | Rest]} when is_list(Entries) -> locks(Entries, Rest);
        {ok, [Entries | Rest]} when is_list(Entries) -> locks(Entries, Rest);
        {ok, []} -> [];
        {ok, _} -> bad("rebar.lock: not a lock file of rebar3", []);
        {error, enoent} -> [];
        {error, Reason} -> bad("rebar.lock: ~ts", [file:format_error(Reason)])
    end.

locks(Entries, Rest) ->
    Hashes = lists:append([H || H <- Rest, is_list(H)]),
    [case Entry of
         {Name, Source, Level} when is_integer(Level) -> (lock(Name, Source, Hashes))#{direct => Level =:= 0};
         _ -> bad("rebar.lock: ~tp is no entry ({Name, Source, Level})", [Entry])
     end || Entry <- Entries].

%% Of a Hex package, pkg_hash is the inner checksum (of the files within, deprecated), pkg_hash_ext the outer one: the
%% SHA-256 of the tarball.
lock(Name, Source, Hashes) when element(1, Source) =:= pkg, tuple_size(Source) >= 3 ->
    #{name => text(Name), kind => hex, package => text(element(2, Source)), version => text(element(3, Source)),
      inner => hash(Name, pkg_hash, Hashes), outer => hash(Name, pkg_hash_ext, Hashes)};
lock(Name, {git, Url, Ref}, _) ->
    #{name => text(Name), kind => git, url => text(Url), ref => ref(Ref), subdir => <<>>};
lock(Name, {git_subdir, Url, Ref, Dir}, _) ->
    #{name => text(Name), kind => git, url => text(Url), ref => ref(Ref), subdir => text(Dir)};
%% Mercurial, or a source type of a plugin, of any shape: what can be found in it.
lock(Name, Source, _) ->
    {Url, Ref} = found_in(Source),
    #{name => text(Name), kind => other, type => type(Source), url => Url, ref => Ref}.

type(Source) when is_tuple(Source), tuple_size(Source) > 0, is_atom(element(1, Source)) -> text(element(1, Source));
type(_) -> <<>>.

%% The first address or path, and the first revision, in the term; both may be missing.
found_in(Source) ->
    Leaves = leaves(Source),
    {first_of([U || {text, U} <- Leaves, is_address(U)]), first_of([R || {ref, R} <- Leaves])}.

leaves({Kind, Ref}) when (Kind =:= ref orelse Kind =:= tag orelse Kind =:= branch), not is_tuple(Ref) ->
    [{ref, text(Ref)}];
leaves(T) when is_tuple(T) -> lists:append([leaves(E) || E <- tuple_to_list(T)]);
leaves(M) when is_map(M) -> lists:append([leaves({K, V}) || {K, V} <- lists:sort(maps:to_list(M))]);
leaves([C | _] = Text) when is_integer(C) -> [{text, text(Text)}];
leaves([E | Rest]) -> leaves(E) ++ leaves(Rest);
leaves(B) when is_binary(B) -> [{text, text(B)}];
leaves(_) -> [].

is_address(Text) -> re:run(Text, "^[a-z][a-z0-9+.-]*://|^[^/:@ ]+@[^/:@ ]+:|^[.]{0,2}/", [caseless]) =/= nomatch.

first_of([First | _]) -> First;
first_of([]) -> <<>>.

hash(Name, Key, Hashes) -> text(value(Name, value(Key, Hashes, []), <<>>)).

ref({_, Ref}) -> text(Ref);
ref(Ref) -> text(Ref).

%% The repositories ---------------------------------------------------------------------------------

repositories(undefined) -> undefined;
repositories(File) ->
    case file:read_file(File) of
        {ok, Text} ->
            Lines = binary:split(Text, <<"\n">>, [global]),
            maps:from_list([repository_line(File, string:lexemes(Line, " \t\r"), Line)
                            || Line <- Lines, string:trim(Line) =/= <<>>]);
        {error, Reason} -> bad("~ts: ~ts", [File, file:format_error(Reason)])
    end.

repository_line(_, [Name, Version, Repository], _) -> {{Name, Version}, {Repository, <<>>, <<>>}};
repository_line(File, [Name, Version, Repository | Rest], Line) ->
    case Rest of
        [<<"sha512:", Sum/binary>>] -> {{Name, Version}, {Repository, <<>>, Sum}};
        [Url, <<"sha512:", Sum/binary>>] -> {{Name, Version}, {Repository, Url, Sum}};
        [Url] -> {{Name, Version}, {Repository, Url, <<>>}};
        _ -> no_line(File, Line)
    end;
repository_line(File, _, Line) -> no_line(File, Line).

no_line(File, Line) -> bad("~ts: ~ts is no line NAME VERSION REPOSITORY [URL] [sha512:CHECKSUM]", [File, Line]).

repository(#{kind := hex} = Lock, undefined) ->
    Lock#{repository => <<"hexpm">>, repository_url => <<>>, sha512 => <<>>, fetched => true};
repository(#{kind := hex, package := Package, version := Version} = Lock, Repositories) ->
    {Repository, Url, Sum} = maps:get({Package, Version}, Repositories, {<<"hexpm">>, <<>>, <<>>}),
    Lock#{repository => Repository, repository_url => Url, sha512 => Sum,
          fetched => is_map_key({Package, Version}, Repositories)};
repository(Lock, _) -> Lock.
