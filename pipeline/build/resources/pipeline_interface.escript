#!/usr/bin/env escript
%% -*- erlang -*-
%% Writes the behaviours among the modules of one folder into another, without what they do. The folder is that of an
%% application that rebar3 compiled: _build/PROFILE/lib/NAME/ebin. Of a module that is there the compiler asks, when it
%% compiles another one, only for the callbacks of a behaviour (erl_lint), by behaviour_info(callbacks) and
%% behaviour_info(optional_callbacks).
%% It prints each behaviour of which that does not do: one that computes the answer, or runs code when it is loaded.

%% A name of its own makes the compiled script the same every time.
-module(pipeline_interface).
-export([main/1]).

main([From, To]) ->
    %% A behaviour may ask another one, of this application, of one that it needs, or of a dependency.
    ok = code:add_pathsz([From | filelib:wildcard(filename:join(From, "../../../*/*/ebin"))]),
    [case beam_lib:chunks(File, [exports]) of
         {ok, {Module, [{exports, Exports}]}} ->
             case lists:member({behaviour_info, 1}, Exports) of
                 true -> behaviour(Module, From, To);
                 false -> ok
             end
     end || File <- lists:sort(filelib:wildcard(filename:join(From, "*.beam")))].

behaviour(Module, From, To) ->
    case is_written_down(Module, From, []) of
        true -> write(Module, answers(Module), To);
        false -> io:format("behaviour ~ts computes its callbacks, or runs code when it is loaded~n", [Module])
    end.

%% Whether the answers follow from the module alone, and from those of other behaviours of which that can be said.
is_written_down(Module, From, Asking) ->
    File = filename:join(From, atom_to_list(Module) ++ ".beam"),
    case lists:member(Module, Asking) of
        true -> false;
        false ->
            {beam_file, Module, _, _, _, Code} = beam_disasm:file(File),
            IsLoading = fun({function, _, _, _, Instructions}) -> lists:member(on_load, [name(I) || I <- Instructions]) end,
            Asked = fun(Other) ->
                            not filelib:is_regular(filename:join(From, atom_to_list(Other) ++ ".beam"))
                                orelse is_written_down(Other, From, [Module | Asking])
                    end,
            not lists:any(IsLoading, Code)
                andalso lists:all(fun(I) -> is_constant(I, Asked) end,
                                  lists:append([I || {function, behaviour_info, 1, _, I} <- Code]))
    end.

%% Of an answer that is chosen by the argument, and put together from what is written down.
is_constant(Instruction, Asked) when element(1, Instruction) =:= call_ext; element(1, Instruction) =:= call_ext_last;
                                     element(1, Instruction) =:= call_ext_only ->
    case element(3, Instruction) of
        {extfunc, Other, behaviour_info, 1} -> Asked(Other);
        {extfunc, erlang, Operator, 2} -> lists:member(Operator, ['++', '--']);
        _ -> false
    end;
%% The compiler makes this function, of the error for any other argument.
is_constant({call_only, 1, {_, '-inlined-behaviour_info/1-', 1}}, _) -> true;
is_constant(Instruction, _) ->
    lists:member(name(Instruction), [allocate, deallocate, executable_line, debug_line, func_info, init_yregs, int_code_end,
                                     jump, label, line, move, put_list, return, select_val, swap, test, trim]).

name(Instruction) when is_tuple(Instruction) -> element(1, Instruction);
name(Instruction) -> Instruction.

answers(Module) ->
    lists:append([try [{Asked, Module:behaviour_info(Asked)}] catch _:_ -> [] end || Asked <- [callbacks, optional_callbacks]]).

write(_, [], _) -> ok;
write(Module, Answers, To) ->
    Clauses = [{clause, 1, [{atom, 1, Asked}], [], [erl_parse:abstract(Answer, 1)]} || {Asked, Answer} <- Answers],
    Forms = [{attribute, 1, module, Module}, {attribute, 1, export, [{behaviour_info, 1}]},
             {function, 1, behaviour_info, 1, Clauses}],
    {ok, Module, Binary} = compile:noenv_forms(Forms, [deterministic]),
    ok = file:write_file(filename:join(To, atom_to_list(Module) ++ ".beam"), Binary).
