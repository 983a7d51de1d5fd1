%% -*- erlang -*-
%% How rebar3 gets the locked packages of Hex without asking anybody but for their files, and git dependencies that are
%% there already. rebar3 itself resolves, checks and unpacks; this module takes the place of its way to the network.
%%
%% As a provider it fetches each package of /pipeline/wanted (terms {Name, Version, Inner, Outer}: what rebar.lock has of
%% it, checksums in hexadecimal or undefined) from the first repository, in rebar3's order, that has it with the right
%% SHA-256, and writes them into one file.
%%
%% As a resource (of the types pkg, git and git_subdir) it gives rebar3 those packages, with an answer of a registry made
%% of what each says of itself, and the working trees below /pipeline/git. Everything else (plugins, dependencies that
%% are not locked) is rebar3's own business, if PIPELINE_ONLINE is set.
-module(pipeline_source).
-export([init/1, do/1, format_error/1]).
-export([init/2, lock/2, download/4, needs_update/2, make_vsn/2]).
-export([request/5, request_to_file/6]).

-define(WANTED, "/pipeline/wanted").
-define(PACKAGES, "/pipeline/packages.etf").
-define(GIT, "/pipeline/git").

%% Fetching ---------------------------------------------------------------------------------------

init(State) ->
    {ok, rebar_state:add_provider(State, providers:create([{name, ?MODULE}, {module, ?MODULE}, {bare, true}, {deps, []},
                                                           {example, ""}, {short_desc, "Fetch packages"}, {desc, ""},
                                                           {opts, []}]))}.

%% Its result is /fetched/packages.etf, and /fetched/packages: NAME VERSION REPOSITORY sha512:CHECKSUM a line.
do(State) ->
    #{repos := Repos} = rebar_resource_v2:find_resource_state(pkg, rebar_state:resources(State)),
    {ok, Wanted} = file:consult(?WANTED),
    Results = [receive {Process, Result} -> Result end || Process <- [fetching(P, Repos) || P <- lists:sort(Wanted)]],
    case [Why || {error, Why} <- Results] of
        [] ->
            Fetched = [F || {ok, F} <- Results],
            ok = file:write_file("/fetched/packages.etf", term_to_binary(Fetched)),
            ok = file:write_file("/fetched/packages",
                                 [[N, $\s, V, $\s, R, " sha512:", hex(crypto:hash(sha512, T)), $\n] || {R, N, V, T} <- Fetched]),
            {ok, State};
        Faults -> {error, {?MODULE, Faults}}
    end.

format_error(Faults) -> lists:join("\n===> ", Faults).

fetching(Package, Repos) ->
    Self = self(),
    spawn_link(fun() -> Self ! {self(), fetch(Package, Repos, [])} end).

fetch({Name, Version, _, _}, [], Tried) ->
    {error, io_lib:format("~ts ~ts: ~ts", [Name, Version, lists:join("; ", lists:reverse(Tried))])};
fetch({Name, Version, _, _} = Package, [Repo | Rest], Tried) ->
    case tarball(Package, Repo) of
        {ok, Tarball} -> {ok, {maps:get(name, Repo), Name, Version, Tarball}};
        {error, Why} -> fetch(Package, Rest, [[where(Repo, Name, Version), $\s, Why] | Tried])
    end.

tarball({Name, Version, _, _} = Package, Repo) ->
    case answer(fun() -> r3_hex_repo:get_tarball(Repo, Name, Version) end) of
        {ok, Tarball} ->
            case checked(Package, Repo, Tarball) of
                ok -> {ok, Tarball};
                Error -> Error
            end;
        Error -> Error
    end.

%% The checksum of the file counts, then that of its contents; a lock that has neither leaves it to the registry.
checked({_, _, _, Outer}, _, Tarball) when is_binary(Outer) ->
    same("the SHA-256", crypto:hash(sha256, Tarball), "rebar.lock", Outer);
checked({_, _, Inner, _}, _, Tarball) when is_binary(Inner) ->
    case r3_hex_tarball:unpack(Tarball, memory) of
        {ok, #{inner_checksum := Found}} -> same("the contents' SHA-256", Found, "rebar.lock", Inner);
        {error, Reason} -> {error, io_lib:format("is not a Hex package: ~0tp", [Reason])}
    end;
checked({Name, Version, _, _}, Repo, Tarball) ->
    case answer(fun() -> r3_hex_repo:get_package(maps:without([name, mirror_of], Repo), Name) end) of
        {ok, #{releases := Releases}} ->
            case [C || #{version := V, outer_checksum := C} <- Releases, V =:= Version] of
                [Checksum] -> same("the SHA-256", crypto:hash(sha256, Tarball), "its registry", hex(Checksum));
                _ -> {error, "is not in its registry"}
            end;
        {error, Why} -> {error, ["cannot be checked: its registry ", Why]}
    end.

same(What, Found, Who, Expected) ->
    case {lists:flatten(hex(Found)), string:lowercase(unicode:characters_to_list(Expected))} of
        {Same, Same} -> ok;
        {F, E} -> {error, io_lib:format("has ~ts ~ts, but ~ts says ~ts", [What, F, Who, E])}
    end.

answer(Fun) ->
    try Fun() of
        {ok, {200, _, Body}} -> {ok, Body};
        {ok, {Code, _, _}} -> {error, io_lib:format("answers ~b", [Code])};
        {error, Reason} -> {error, io_lib:format("gives no answer: ~0tp", [Reason])}
    catch
        _:Reason -> {error, io_lib:format("gives no answer: ~0tp", [Reason])}
    end.

%% The address, without a password in it.
where(#{repo_url := Url} = Repo, Name, Version) ->
    Folder = case Repo of
                 #{repo_organization := Org} when is_binary(Org) -> ["/repos/", Org];
                 _ -> ""
             end,
    [re:replace(Url, "//[^/@]*@", "//"), Folder, "/tarballs/", Name, $-, Version, ".tar"].

hex(Binary) -> [io_lib:format("~2.16.0b", [B]) || <<B>> <= Binary].

%% Giving -----------------------------------------------------------------------------------------

init(pkg, State) ->
    {ok, Resource} = rebar_pkg_resource:init(pkg, State),
    #{repos := Repos} = ResourceState = rebar_resource_v2:find_resource_state(pkg, [Resource]),
    Packages = case file:read_file(?PACKAGES) of
                   {ok, Binary} -> binary_to_term(Binary);
                   {error, enoent} -> []
               end,
    Given = [given(Repo, Packages) || Repo <- Repos],
    {ok, rebar_resource_v2:new(pkg, rebar_pkg_resource, ResourceState#{repos := Given})};
init(Type, _) -> {ok, rebar_resource_v2:new(Type, ?MODULE, Type)}.

%% A repository that is asked through request/5. Answers from afar are verified there: ours bear nobody's signature.
given(#{name := Name} = Repo, Packages) ->
    Origin = case Repo of
                 #{repo_organization := Org} when is_binary(Org) -> Org;
                 _ -> maps:get(repo_name, Repo, Name)
             end,
    Key = case maps:get(repo_verify, Repo, true) of
              true -> maps:get(repo_public_key, Repo);
              _ -> none
          end,
    Adapter = #{origin => Origin, key => Key, beyond => maps:get(http_adapter, Repo),
                packages => [{N, V, T} || {R, N, V, T} <- Packages, R =:= Name]},
    Repo#{http_adapter => {?MODULE, Adapter}, repo_verify => false}.

request(get, Uri, Headers, Body, #{packages := Packages} = Adapter) ->
    case lists:reverse(string:split(Uri, "/", all)) of
        [File, <<"tarballs">> | _] ->
            case [T || {N, V, T} <- Packages, <<N/binary, "-", V/binary, ".tar">> =:= File] of
                [Tarball] -> {ok, {200, #{<<"etag">> => <<"\"given\"">>}, Tarball}};
                [] -> beyond(get, Uri, Headers, Body, Adapter)
            end;
        [Name, <<"packages">> | _] ->
            %% A plugin may need another version than the lock's: whom rebar3 would ask knows more.
            case {verified(beyond(get, Uri, Headers, Body, Adapter), Adapter), [P || {N, _, _} = P <- Packages, N =:= Name]} of
                {{ok, {200, _, _}} = Answer, _} -> Answer;
                {Answer, []} -> Answer;
                {_, Known} -> {ok, {200, #{}, registry(Name, Known, Adapter)}}
            end;
        _ -> beyond(get, Uri, Headers, Body, Adapter)
    end;
request(Method, Uri, Headers, Body, Adapter) -> beyond(Method, Uri, Headers, Body, Adapter).

request_to_file(Method, Uri, Headers, Body, File, Adapter) ->
    case request(Method, Uri, Headers, Body, Adapter) of
        {ok, {200, Answered, Content}} ->
            ok = file:write_file(File, Content),
            {ok, {200, Answered}};
        {ok, {Code, Answered, _}} -> {ok, {Code, Answered}};
        Error -> Error
    end.

beyond(Method, Uri, Headers, Body, #{beyond := {Module, Config}}) ->
    case os:getenv("PIPELINE_ONLINE") of
        false -> {error, {offline, Uri}};
        _ -> Module:request(Method, Uri, Headers, Body, Config)
    end.

verified({ok, {200, _, Body}} = Answer, #{key := Key}) when Key =/= none ->
    case r3_hex_registry:decode_and_verify_signed(zlib:gunzip(Body), Key) of
        {ok, _} -> Answer;
        Error -> Error
    end;
verified(Answer, _) -> Answer.

%% What a registry would say of a package, of what its tarballs say. Nobody looks at the signature.
registry(Name, Packages, #{origin := Origin}) ->
    Key = public_key:generate_key({rsa, 2048, 65537}),
    r3_hex_registry:build_package(#{repository => Origin, name => Name, releases => [release(V, T) || {_, V, T} <- Packages]},
                                  Key).

release(Version, Tarball) ->
    {ok, #{inner_checksum := Inner, outer_checksum := Outer, metadata := Metadata}} = r3_hex_tarball:unpack(Tarball, memory),
    #{version => Version, inner_checksum => Inner, outer_checksum => Outer,
      dependencies => [dependency(N, R) || {N, R} <- lists:sort(maps:to_list(maps:get(<<"requirements">>, Metadata, #{})))]}.

dependency(Name, Requirement) ->
    maps:merge(#{package => Name, requirement => text(maps:get(<<"requirement">>, Requirement, <<">= 0.0.0">>))},
               maps:from_list([{K, V} || {B, K} <- [{<<"app">>, app}, {<<"optional">>, optional}, {<<"repository">>, repository}],
                                         #{B := V} <- [Requirement]])).

%% A requirement that is none (nil in Elixir) takes any version.
text(Text) when is_binary(Text) -> Text;
text(_) -> <<">= 0.0.0">>.

%% Git dependencies: those of rebar3, but for the cloning.
lock(App, Type) -> (module(Type)):lock(App, #{}).
needs_update(App, Type) -> (module(Type)):needs_update(App, #{}).
make_vsn(App, Type) -> (module(Type)):make_vsn(App, #{}).

download(Folder, App, State, Type) ->
    Locked = [N || {N, S, _} <- rebar_config:consult_lock_file("rebar.lock"), S =:= rebar_app_info:source(App),
                   filelib:is_dir(filename:join(?GIT, N))],
    case Locked of
        [Name | _] ->
            {ok, _} = rebar_utils:sh(io_lib:format("cp -R ~ts/~ts/. ~ts", [?GIT, Name, Folder]), []),
            ok;
        [] -> (module(Type)):download(Folder, App, State, #{})
    end.

module(git) -> rebar_git_resource;
module(git_subdir) -> rebar_git_subdir_resource.
