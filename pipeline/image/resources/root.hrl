%% Root filesystems of other platforms and images, as folders: their absolute links start at their root, not at ours.

%% Returns a path inside a root filesystem with every link followed; what is not there stays as it is.
real(Root, Path) ->
    real(Root, tl(filename:split(Path)), [], 40).

real(_, Rest, Done, 0) ->
    filename:join(["/" | lists:reverse(Done, Rest)]);
real(_, [], Done, _) ->
    filename:join(["/" | lists:reverse(Done)]);
real(Root, [".." | Rest], Done, Left) ->
    real(Root, Rest, case Done of [] -> []; [_ | Up] -> Up end, Left);
real(Root, [Name | Rest], Done, Left) ->
    case file:read_link(filename:join([Root | lists:reverse(Done, [Name])])) of
        {ok, [$/ | _] = Target} -> real(Root, tl(filename:split(Target)) ++ Rest, [], Left - 1);
        {ok, Target} -> real(Root, filename:split(Target) ++ Rest, Done, Left - 1);
        {error, _} -> real(Root, Rest, [Name | Done], Left)
    end.

%% Returns a path with the links of its folder followed, not one that it may be itself.
in_real_folder(Root, Path) ->
    filename:join(real(Root, filename:dirname(Path)), filename:basename(Path)).
