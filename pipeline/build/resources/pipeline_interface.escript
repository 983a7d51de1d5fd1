#!/usr/bin/env escript
%% -*- erlang -*-
%% Writes the behaviours among the modules of one folder into another, without what they do. Of a module that is there
%% the compiler asks, when it compiles another one, only for the callbacks of a behaviour (erl_lint), by
%% behaviour_info(callbacks) and behaviour_info(optional_callbacks).
%% It prints each behaviour of which that does not do: one that computes the answer, or runs code when it is loaded.

main([From, To]) ->
    [case beam_lib:chunks(File, [exports]) of
         {ok, {Module, [{exports, Exports}]}} ->
             case lists:member({behaviour_info, 1}, Exports) of
                 true -> behaviour(Module, File, To);
                 false -> ok
             end
     end || File <- lists:sort(filelib:wildcard(filename:join(From, "*.beam")))].

behaviour(Module, File, To) ->
    {beam_file, Module, _, _, _, Code} = beam_disasm:file(File),
    [Instructions] = [I || {function, behaviour_info, 1, _, I} <- Code],
    Loads = lists:any(fun({function, _, _, _, I}) -> lists:any(fun is_on_load/1, I) end, Code),
    case not Loads andalso lists:all(fun is_constant/1, Instructions) andalso load(Module, File) of
        true -> write(Module, answers(Module), To);
        false -> io:format("behaviour ~ts computes its callbacks, or runs code when it is loaded~n", [Module])
    end.

load(Module, File) ->
    {ok, Binary} = file:read_file(File),
    case code:load_binary(Module, File, Binary) of
        {module, Module} -> true;
        {error, _} -> false
    end.

is_on_load(Instruction) when is_tuple(Instruction) -> element(1, Instruction) =:= on_load;
is_on_load(Instruction) -> Instruction =:= on_load.

%% Of an answer that is chosen by the argument alone, and written down.
is_constant(Instruction) when is_tuple(Instruction) ->
    lists:member(element(1, Instruction), [label, line, executable_line, debug_line, func_info, test, select_val, jump, move]);
is_constant(Instruction) -> lists:member(Instruction, [return, int_code_end]).

answers(Module) ->
    lists:append([try [{Asked, Module:behaviour_info(Asked)}] catch _:_ -> [] end || Asked <- [callbacks, optional_callbacks]]).

write(_, [], _) -> ok;
write(Module, Answers, To) ->
    Clauses = [{clause, 1, [{atom, 1, Asked}], [], [erl_parse:abstract(Answer, 1)]} || {Asked, Answer} <- Answers],
    Forms = [{attribute, 1, module, Module}, {attribute, 1, export, [{behaviour_info, 1}]},
             {function, 1, behaviour_info, 1, Clauses}],
    {ok, Module, Binary} = compile:noenv_forms(Forms, [deterministic]),
    ok = file:write_file(filename:join(To, atom_to_list(Module) ++ ".beam"), Binary).
