-module(bits_app).
-behaviour(application).
-behaviour(supervisor).
-export([start/2, stop/1, init/1]).

%% A node whose NIF does not load does not start.
start(_Type, _Args) ->
    8 = bits:count(<<255>>),
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

stop(_State) ->
    ok.

init([]) ->
    {ok, {#{}, []}}.
