-module(bits).
-export([count/1]).
-on_load(load/0).

%% The number of bits of a binary that are set.
count(_Binary) ->
    erlang:nif_error(not_loaded).

load() ->
    erlang:load_nif(filename:join(code:priv_dir(bits), "bits"), 0).
