-module(alarm).
-export([is_raised/2]).

%% Whether the last reading of a sensor is above a limit; there is no alarm before the first.
is_raised(Sensor, Limit) ->
    case readings:last(Sensor) of
        {ok, Value} -> Value > Limit;
        error -> false
    end.
