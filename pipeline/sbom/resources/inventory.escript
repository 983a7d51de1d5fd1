#!/usr/bin/env escript
%% -*- erlang -*-
%% Reads what a release is made of, lets Erlang parse Erlang, and writes it to OUT as JSON, or {"error": "..."}:
%%   erts, otp_release, otp_version    of the release and of the Erlang/OTP that runs this
%%   applications                      one entry for each lib/*/ebin/*.app of the release
%%   locks                             one entry for each dependency of rebar.lock, shipped or not
%% Usage: inventory.escript RELEASE OUT [--libs DIR] [--lock FILE] [--own A,B] [--checkouts A,B]
%%   --libs DIR        where DIR/NAME/hex_metadata.config of a dependency may lie
%%   --own A,B         applications of the project itself
%%   --checkouts A,B   dependencies that come from _checkouts: what the lock says of them does not hold
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
    Locks = locks(maps:get("lock", Options, undefined)),
    Files = filelib:wildcard(filename:join(Release, "lib/*/ebin/*.app")),
    Files =:= [] andalso bad("~ts: no application in it (lib/*/ebin/*.app); is it a release?", [Release]),
    #{erts => erts(Release),
      otp_release => bin(erlang:system_info(otp_release)),
      otp_version => otp_version(),
      applications => [application(File, Locks, Options) || File <- lists:sort(Files)],
      locks => Locks}.

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

%% Applications -------------------------------------------------------------------------------------

application(File, Locks, Options) ->
    case file:consult(File) of
        {ok, [{application, Name, Properties} | _]} when is_atom(Name), is_list(Properties) ->
            Hex = hex_metadata(Name, Options),
            #{name => Name,
              vsn => text(value(vsn, Properties, "")),
              kind => kind(Name, File, Locks, Options),
              checkout => lists:member(atom_to_list(Name), names("checkouts", Options)),
              description => text(value(description, Properties, "")),
              applications => atoms(value(applications, Properties, [])),
              included_applications => atoms(value(included_applications, Properties, [])),
              optional_applications => atoms(value(optional_applications, Properties, [])),
              licenses => texts(first([value(<<"licenses">>, Hex, []), value(licenses, Properties, [])])),
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
    case {lists:member(Text, names("own", Options)), Locked orelse lists:member(Text, names("checkouts", Options)),
          filelib:is_dir(filename:join(code:lib_dir(), Versioned))} of
        {true, _, _} -> own;
        {_, false, true} -> otp;
        _ -> dependency
    end.

hex_metadata(Name, Options) ->
    case maps:get("libs", Options, undefined) of
        undefined -> [];
        Libs ->
            case file:consult(filename:join([Libs, Name, "hex_metadata.config"])) of
                {ok, Terms} -> Terms;
                {error, enoent} -> [];
                {error, Reason} -> bad("~ts/hex_metadata.config: ~ts", [Name, file:format_error(Reason)])
            end
    end.

value(Key, List, Default) -> proplists:get_value(Key, List, Default).

first([[_ | _] = Value | _]) -> Value;
first([_ | Rest]) -> first(Rest);
first([]) -> [].

atoms(List) when is_list(List) -> [A || A <- List, is_atom(A)];
atoms(_) -> [].

%% A list of texts; what is not one ({licenses, "MIT"}) is taken as a single text.
texts([C | _] = Text) when is_integer(C) -> [text(Text)];
texts(List) when is_list(List) -> [text(T) || T <- List];
texts(Text) -> [text(Text)].

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
    [lock(Name, Source, Hashes) || {Name, Source, _Level} <- Entries].

%% Of a Hex package, pkg_hash is the inner checksum (of the files within, deprecated), pkg_hash_ext the outer one: the
%% SHA-256 of the tarball.
lock(Name, Source, Hashes) when element(1, Source) =:= pkg ->
    #{name => text(Name), kind => hex, package => text(element(2, Source)), version => text(element(3, Source)),
      inner => hash(Name, pkg_hash, Hashes), outer => hash(Name, pkg_hash_ext, Hashes)};
lock(Name, Source, _) when element(1, Source) =:= git; element(1, Source) =:= git_subdir ->
    #{name => text(Name), kind => git, url => text(element(2, Source)), ref => ref(element(3, Source)),
      subdir => case Source of {git_subdir, _, _, Dir} -> text(Dir); _ -> <<>> end};
lock(Name, Source, _) ->
    #{name => text(Name), kind => other, url => text(element(2, Source)), ref => ref(element(3, Source))}.

hash(Name, Key, Hashes) -> text(value(Name, value(Key, Hashes, []), <<>>)).

ref({_, Ref}) -> text(Ref);
ref(Ref) -> text(Ref).

%% Texts --------------------------------------------------------------------------------------------

text(T) when is_atom(T) -> atom_to_binary(T, utf8);
text(T) when is_list(T); is_binary(T) ->
    try unicode:characters_to_binary(T) of
        B when is_binary(B) -> B;
        _ -> bin(io_lib:format("~p", [T]))
    catch _:_ -> bin(io_lib:format("~p", [T]))
    end;
text(T) -> bin(io_lib:format("~p", [T])).
