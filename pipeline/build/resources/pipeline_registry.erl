%% -*- erlang -*-
%% What the registries of Hex say of packages: whether a release is retired, and on which advisories it stands, as
%% `mix hex.audit` shows them.
%%
%% As a provider it asks for each package of /pipeline/wanted (NAME VERSION REPOSITORY a line) in the way of rebar3, which
%% checks signature, repository and name. /fetched/registry.json has an answer for each line, in their order: what is
%% said, or `unknown`, the reason why nothing is known. It fails if there is such a one.
%%
%% rebar3 up to 3.27 leaves advisories out of what it decodes, so what it has checked is read here
%% (github.com/hexpm/hex_core, proto/hex_pb_package.proto).
-module(pipeline_registry).
-export([init/1, do/1, format_error/1]).
-export([request/5]).
-export([said/2]).

-include("common.hrl").

-define(WANTED, "/pipeline/wanted").
-define(ANSWERS, "/fetched/registry.json").
%% For all of them, in milliseconds: they are asked at the same time.
-define(PATIENCE, 30000).

init(State) ->
    {ok, rebar_state:add_provider(State, providers:create([{name, ?MODULE}, {module, ?MODULE}, {bare, true}, {deps, []},
                                                           {example, ""}, {short_desc, "Ask registries"}, {desc, ""},
                                                           {opts, []}]))}.

do(State) ->
    #{repos := Repos} = rebar_resource_v2:find_resource_state(pkg, rebar_state:resources(State)),
    {ok, Text} = file:read_file(?WANTED),
    Wanted = [string:lexemes(Line, " ") || Line <- string:lexemes(Text, "\n")],
    erlang:send_after(?PATIENCE, self(), late),
    Answers = answers([asking(W, Repos) || W <- Wanted]),
    ok = file:write_file(?ANSWERS, bin(json(Answers))),
    case [W || #{unknown := W} <- Answers] of
        [] -> {ok, State};
        Unknown -> {error, {?MODULE, lists:usort(Unknown)}}
    end.

format_error(Unknown) -> ["nothing is known about some packages: ", lists:join("; ", Unknown)].

asking(Wanted, Repos) ->
    Self = self(),
    spawn(fun() -> Self ! {self(), answer(Wanted, Repos)} end).

answers([]) -> [];
answers([Process | Rest]) ->
    receive
        {Process, Answer} -> [Answer | answers(Rest)];
        late ->
            self() ! late,
            receive
                {Process, Answer} -> [Answer | answers(Rest)]
            after 0 -> [unknown("its repository does not answer") | answers(Rest)]
            end
    end.

unknown(Why) -> #{unknown => text(Why)}.

answer([Name, Version, Repository], Repos) ->
    case [R || #{name := N} = R <- Repos, N =:= Repository] of
        [] -> unknown(["rebar.config does not name the repository ", Repository]);
        [Repo | _] ->
            try said(asked(Repo, Name), Version)
            catch
                throw:{input, Why} -> unknown([address(Repo), $\s, Why]);
                %% Of what is no answer of a registry, this or that part is not what it should be.
                _:_ -> unknown([address(Repo), " gives an answer that is not a package of a Hex registry"])
            end
    end.

%% Where a repository is, without a password.
address(#{repo_url := Url} = Repo) ->
    Folder = case Repo of
                 #{repo_organization := Organisation} when is_binary(Organisation) -> ["/repos/", Organisation];
                 _ -> ""
             end,
    [re:replace(Url, "//[^/@]*@", "//"), Folder].

%% What is below the signature of a registry on a package, if it is one of that repository and name.
asked(#{name := Repository} = Repo, Name) ->
    Asking = (maps:without([name, mirror_of], Repo))#{http_adapter => {?MODULE, maps:get(http_adapter, Repo)}},
    case r3_hex_repo:get_package(Asking, Name) of
        {ok, {200, _, _}} -> maps:get(payload, r3_hex_registry:decode_signed(zlib:gunzip(get(answer))));
        {ok, {Code, _, _}} when (Code =:= 401 orelse Code =:= 403), Repository =/= <<"hexpm">> ->
            bad("answers ~b: give the key with --hex-key", [Code]);
        {ok, {Code, _, _}} -> bad("answers ~b", [Code]);
        %% The first is that of a rebar3 which tells the other two not apart.
        {error, Reason} when Reason =:= unverified; Reason =:= bad_signature; Reason =:= bad_repo_name ->
            bad("gives an answer that is not signed with its key (give the key of a mirror with --hex-mirror-key), or "
                "that is about another package or repository", []);
        {error, {failed_connect, Tried}} ->
            bad("cannot be reached (~0tp)", [hd([Reason || {_, _, Reason} <- Tried] ++ [Tried])]);
        {error, Reason} -> bad("gives no answer (~0tp)", [Reason])
    end.

%% The way to the network of each repository, but for what came by it being kept.
request(Method, Uri, Headers, Body, {Module, Config}) ->
    case Module:request(Method, Uri, Headers, Body, Config) of
        {ok, {200, _, Content}} = Answer -> put(answer, Content), Answer;
        Answer -> Answer
    end.

%% What a package's resource says of a version, as JSON has it; texts are somebody else's.
said(Payload, Version) ->
    Package = fields(Payload),
    Releases = [release(fields(R)) || {1, R} <- Package],
    Advisories = [fields(A) || {4, A} <- Package],
    case [R || #{version := V} = R <- Releases, V =:= Version] of
        [#{retired := Retired, advisories := Indexes}] ->
            Offered = [R || #{retired := null} = R <- Releases],
            #{retired => Retired,
              %% Releases that are without it: which of them is the next one is for whoever knows their order.
              others => case Retired of null -> []; _ -> [V || #{version := V, advisories := []} <- Offered] end,
              advisories => [(advisory(lists:nth(I + 1, Advisories)))#{
                                 others => [V || #{version := V, advisories := Is} <- Offered, not lists:member(I, Is)]}
                             || I <- Indexes]};
        [] -> bad("does not have ~ts", [Version])
    end.

release(Fields) ->
    #{version => text(value(1, Fields)),
      retired => case value(4, Fields, none) of none -> null; R -> retirement(fields(R)) end,
      advisories => lists:flatmap(fun indexes/1, [V || {6, V} <- Fields])}.

retirement(Fields) ->
    #{reason => case value(1, Fields) of
                    0 -> other;
                    1 -> invalid;
                    2 -> security;
                    3 -> deprecated;
                    4 -> renamed;
                    Unheard -> text(io_lib:format("reason ~b", [Unheard]))
                end,
      message => text(value(2, Fields, <<>>))}.

advisory(Fields) ->
    #{id => text(value(1, Fields)),
      summary => text(value(2, Fields, <<>>)),
      url => text(value(3, Fields, <<>>)),
      severity => case value(4, Fields, none) of
                      0 -> negligible;
                      1 -> low;
                      2 -> medium;
                      3 -> high;
                      4 -> critical;
                      _ -> unknown
                  end,
      score => case value(5, Fields, none) of
                   <<Score:32/float-little>> -> float_to_binary(Score, [{decimals, 1}]);
                   _ -> <<>>
               end,
      aliases => [text(A) || {7, A} <- Fields]}.

%% A repeated number may come packed.
indexes(Number) when is_integer(Number) -> [Number];
indexes(<<>>) -> [];
indexes(Packed) -> {Number, Rest} = varint(Packed), [Number | indexes(Rest)].

%% Of a field that is there several times the last one counts.
value(Number, Fields) -> value(Number, Fields, required).

value(Number, Fields, Default) ->
    case {[V || {N, V} <- Fields, N =:= Number], Default} of
        {[], required} -> error({lacking, Number});
        {[], _} -> Default;
        {Values, _} -> lists:last(Values)
    end.

%% A message of Protocol Buffers, field by field (protobuf.dev/programming-guides/encoding).
fields(<<>>) -> [];
fields(Message) ->
    {Key, Rest} = varint(Message),
    {Value, Others} = case Key band 7 of
                          0 -> varint(Rest);
                          1 -> <<V:8/binary, R/binary>> = Rest, {V, R};
                          2 -> {Size, From} = varint(Rest), <<V:Size/binary, R/binary>> = From, {V, R};
                          5 -> <<V:4/binary, R/binary>> = Rest, {V, R}
                      end,
    [{Key bsr 3, Value} | fields(Others)].

varint(<<0:1, Bits:7, Rest/binary>>) -> {Bits, Rest};
varint(<<1:1, Bits:7, More/binary>>) ->
    {Number, Rest} = varint(More),
    {Number bsl 7 bor Bits, Rest}.
