%% -*- erlang -*-
%% What our scripts in Erlang share: options, refusals, texts, JSON (OTP's own json module is there from 27 on only).

-compile({nowarn_unused_function, [{options, 2}, {texts, 1}]}).

%% "--key value ..." as a map.
options(["--" ++ Key, Value | Rest], Acc) -> options(Rest, Acc#{Key => Value});
options([], Acc) -> Acc.

%% Ends the script with a message for the user.
bad(Format, Args) -> throw({input, bin(io_lib:format(Format, Args))}).

bin(L) -> unicode:characters_to_binary(L).

%% Whatever a term is, as UTF-8.
text(T) when is_atom(T) -> atom_to_binary(T, utf8);
text(T) when is_list(T); is_binary(T) ->
    try unicode:characters_to_binary(T) of
        B when is_binary(B) -> B;
        _ -> bin(io_lib:format("~p", [T]))
    catch _:_ -> bin(io_lib:format("~p", [T]))
    end;
text(T) -> bin(io_lib:format("~p", [T])).

%% A list of texts; a text, a binary or an atom instead of a list ({licenses, "MIT"}) is a single one.
texts([C | _] = Text) when is_integer(C) -> [text(Text)];
texts(List) when is_list(List) -> [text(T) || T <- List, T =/= [], T =/= <<>>];
texts(<<>>) -> [];
texts(Text) -> [text(Text)].

%% As characters; keys are in order, so that the same term gives the same text.
json(M) when is_map(M) ->
    ["{", lists:join(",", [[json(K), ":", json(V)] || {K, V} <- lists:sort(maps:to_list(M))]), "}"];
json(L) when is_list(L) -> ["[", lists:join(",", [json(E) || E <- L]), "]"];
json(A) when A =:= true; A =:= false; A =:= null -> atom_to_list(A);
json(A) when is_atom(A) -> json(atom_to_binary(A, utf8));
json(B) when is_binary(B) -> [$", [escape(C) || C <- unicode:characters_to_list(B)], $"].

escape($") -> "\\\"";
escape($\\) -> "\\\\";
escape(C) when C < 32 -> io_lib:format("\\u~4.16.0b", [C]);
escape(C) -> C.
