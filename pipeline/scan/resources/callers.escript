#!/usr/bin/env escript
%% -*- erlang -*-
%% Shown as: look for calls of vulnerable functions
%% Writes, as JSON, who in a release calls functions that advisories name:
%%   {"stdlib zip:unzip/1": {"missing": false, "callers": [{"application": "my_app", "function": "my_mod:f/2"}],
%%                           "of_module": [...], "of_application": [...]}}
%% `missing`: the application is there, the module is not. `callers` are functions of other applications whose code calls
%% it, or calls a function of its own application that does, however far. `of_module` and `of_application` are those that
%% call its module, or its application, otherwise. Calls whose name is made up while they run, callbacks among them, are not seen.
%% Usage: callers.escript RELEASE WANTED OUT
%%   WANTED   a line each: APPLICATION MODULE:FUNCTION/ARITY
-mode(compile).
-include("common.hrl").
-compile({nowarn_unused_function, [{bad, 2}, {texts, 1}, {text, 1}]}).

main([Release, WantedFile, Out]) ->
    {ok, Text} = file:read_file(WantedFile),
    Wanted = [{Line, wanted(Line)} || Line <- string:lexemes(unicode:characters_to_list(Text), "\n")],
    Beams = filelib:wildcard(filename:join(Release, "lib/*/ebin/*.beam")),
    Homes = maps:from_list([{list_to_atom(filename:basename(B, ".beam")), application(B)} || B <- Beams]),
    Calls = lists:append(parallel(fun calls/1, Beams)),
    Graph = maps:groups_from_list(fun({_, Called}) -> Called end, fun({Caller, _}) -> Caller end, Calls),
    Result = maps:from_list([{bin(Line), answer(Key, Homes, Graph, Calls)} || {Line, Key} <- Wanted]),
    ok = file:write_file(Out, unicode:characters_to_binary([json(Result), $\n])).

wanted(Line) ->
    {match, [Application, Module, Function, Arity]} =
        re:run(Line, "^(\\S+) (.+?):(.+)/(\\d+)$", [{capture, all_but_first, list}, unicode]),
    {Application, {list_to_atom(bare(Module)), list_to_atom(bare(Function)), list_to_integer(Arity)}}.

%% Records write atoms with quotes where Erlang needs them.
bare(Name) -> string:trim(Name, both, "'").

%% From ".../lib/NAME-VERSION/ebin/MODULE.beam".
application(Beam) ->
    Folder = filename:basename(filename:dirname(filename:dirname(Beam))),
    hd(string:split(Folder, "-", trailing)).

answer({Application, {Module, _, _} = Function}, Homes, Graph, Calls) ->
    There = lists:member(Application, maps:values(Homes)),
    Home = maps:get(Module, Homes, Application),
    Outside = [Call || {Caller, {M, _, _}} = Call <- Calls, maps:get(M, Homes, none) =:= Home, home(Caller, Homes) =/= Home],
    #{missing => There andalso not is_map_key(Module, Homes),
      callers => told(outside([Function], Home, Homes, Graph, #{}, []), Homes),
      of_module => told([Caller || {Caller, {M, _, _}} <- Outside, M =:= Module], Homes),
      of_application => told([Caller || {Caller, _} <- Outside], Homes)}.

told(Callers, Homes) ->
    [#{application => bin(home(C, Homes)), function => bin(io_lib:format("~ts:~ts/~b", [M, F, A]))}
     || {M, F, A} = C <- lists:usort(Callers)].

home({Module, _, _}, Homes) -> maps:get(Module, Homes).

%% Up the calls as far as the application goes.
outside([], _, _, _, _, Found) -> Found;
outside([Function | Rest], Home, Homes, Graph, Seen, Found) when is_map_key(Function, Seen) ->
    outside(Rest, Home, Homes, Graph, Seen, Found);
outside([Function | Rest], Home, Homes, Graph, Seen, Found) ->
    {Inside, Outside} = lists:partition(fun(C) -> home(C, Homes) =:= Home end, maps:get(Function, Graph, [])),
    outside(Inside ++ Rest, Home, Homes, Graph, Seen#{Function => true}, Outside ++ Found).

%% Returns {caller, called}; a fun or comprehension counts as the function that has it.
calls(Beam) ->
    try beam_disasm:file(Beam) of
        {beam_file, Module, _, _, _, Functions} ->
            lists:usort([{{Module, Caller, Of}, Called}
                         || {function, Name, Arity, _, Code} <- Functions, {Caller, Of} <- [origin(Name, Arity)],
                            {M, F, A} <- called(Code), {N, B} <- [origin(F, A)], Called <- [{M, N, B}],
                            Called =/= {Module, Caller, Of}]);
        {error, beam_lib, Reason} ->
            unreadable(Beam, Reason)
    catch
        _:Reason -> unreadable(Beam, Reason)
    end.

unreadable(Beam, Reason) ->
    io:format(standard_error, "===> ~ts: its code cannot be read (~0tp)~n", [Beam, Reason]),
    halt(1).

called({extfunc, M, F, A}) -> [{M, F, A}];
called({M, F, A} = Function) when is_atom(M), is_atom(F), is_integer(A) -> [Function];
called({literal, Term}) -> funs(Term);
called(T) when is_tuple(T) -> lists:append([called(E) || E <- tuple_to_list(T)]);
called([Head | Tail]) -> called(Head) ++ called(Tail);
called(_) -> [].

%% Of other modules, among the literals.
funs(F) when is_function(F) ->
    case erlang:fun_info(F, type) of
        {type, external} ->
            [{module, M}, {name, N}, {arity, A}] = [erlang:fun_info(F, K) || K <- [module, name, arity]],
            [{M, N, A}];
        _ ->
            []
    end;
funs([Head | Tail]) -> funs(Head) ++ funs(Tail);
funs(T) when is_tuple(T) -> lists:append([funs(E) || E <- tuple_to_list(T)]);
funs(M) when is_map(M) -> lists:append([funs(K) ++ funs(V) || {K, V} <- maps:to_list(M)]);
funs(_) -> [].

%% The compiler names what it makes of a fun or a comprehension after its function: '-f/2-fun-0-'.
origin(Name, Arity) ->
    Text = atom_to_list(Name),
    case re:run(Text, "^-(.+)/(\\d+)-(fun|lc|lbc|mc|anonymous|inlined)", [{capture, all_but_first, list}, unicode]) of
        {match, [Outer, Of | _]} -> {list_to_atom(Outer), list_to_integer(Of)};
        nomatch -> {Name, Arity}
    end.

%% As lists:map/2, on all processors.
parallel(Fun, List) ->
    Self = self(),
    Count = erlang:system_info(schedulers_online),
    Numbered = lists:enumerate(List),
    Processes = [spawn_link(fun() -> Self ! {self(), [Fun(E) || {N, E} <- Numbered, N rem Count =:= I]} end)
                 || I <- lists:seq(0, Count - 1)],
    lists:append([receive {Process, Results} -> Results end || Process <- Processes]).
