-module(hello).
-include_lib("inets/include/httpd.hrl").
-export([do/1]).

%% Called by httpd for each request.
do(#mod{request_uri = "/health"}) ->
    %% Here an application looks at what it needs: a connection, a queue.
    answer(200, "ok\n");
do(#mod{request_uri = "/"}) ->
    answer(200, "hello\n");
do(_Request) ->
    answer(404, "not here\n").

answer(Code, Text) ->
    Head = [{code, Code}, {content_type, "text/plain"}, {content_length, integer_to_list(length(Text))}],
    {proceed, [{response, {response, Head, Text}}]}.
