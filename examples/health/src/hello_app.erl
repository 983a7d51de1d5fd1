-module(hello_app).
-behaviour(application).
-behaviour(supervisor).
-export([start/2, stop/1, init/1]).

start(_Type, _Args) ->
    {ok, Port} = application:get_env(hello, port),
    Options = [{port, Port}, {server_name, "hello"}, {server_root, "/tmp"}, {document_root, "/tmp"}, {modules, [hello]}],
    {ok, _Server} = inets:start(httpd, Options),
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

stop(_State) ->
    ok.

init([]) ->
    {ok, {#{}, []}}.
