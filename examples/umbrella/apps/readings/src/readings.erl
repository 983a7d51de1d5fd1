-module(readings).
-behaviour(gen_server).
-export([start_link/0, put/2, last/1]).
-export([init/1, handle_call/3, handle_cast/2]).

start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

put(Sensor, Value) ->
    gen_server:cast(?MODULE, {put, Sensor, Value}).

last(Sensor) ->
    gen_server:call(?MODULE, {last, Sensor}).

init([]) ->
    {ok, #{}}.

handle_call({last, Sensor}, _From, State) ->
    {reply, maps:find(Sensor, State), State}.

handle_cast({put, Sensor, Value}, State) ->
    {noreply, State#{Sensor => Value}}.
