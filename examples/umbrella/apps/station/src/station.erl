-module(station).
-behaviour(gen_server).
-include_lib("kernel/include/logger.hrl").
-export([start_link/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

init([]) ->
    {ok, _Timer} = timer:send_interval(1000, read),
    {ok, limit()}.

handle_call(limit, _From, Limit) ->
    {reply, Limit, Limit}.

handle_cast(_Message, Limit) ->
    {noreply, Limit}.

handle_info(read, Limit) ->
    readings:put(outside, 10 + rand:uniform(25)),
    case alarm:is_raised(outside, Limit) of
        true -> ?LOG_WARNING("outside: above ~p", [Limit]);
        false -> ok
    end,
    {noreply, Limit}.

limit() ->
    {ok, Limit} = application:get_env(station, limit),
    Limit.
