"""Record what a registry of Hex signs, as hex_core makes it: `python tests/unit/record_registry.py HEX_CORE`.

HEX_CORE is a folder with the compiled modules of github.com/hexpm/hex_core, 0.17 or later, which is what hex.pm and
`mix hex.audit` use. Each package becomes `tests/fixtures/registry/NAME.pb`, the message below the signature, and
`NAME.json`, what hex_core itself reads in it. The packages and what is said of them are made up.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "fixtures" / "registry"
_COMMON = Path(__file__).parents[2] / "pipeline" / "project" / "resources" / "common.hrl"
_SCRIPT = r"""
-mode(compile).
-include("common.hrl").
-compile({nowarn_unused_function, [{bad, 2}]}).
main([Folder]) ->
    [record(Folder, P) || P <- packages()].

record(Folder, #{name := Name} = Package) ->
    Payload = hex_registry:encode_package(Package),
    File = filename:join(Folder, Name),
    ok = file:write_file(<<File/binary, ".pb">>, Payload),
    {ok, #{releases := Releases} = Read} = hex_registry:decode_package(Payload, <<"hexpm">>, Name),
    Advisories = maps:get(advisories, Read),
    ok = file:write_file(<<File/binary, ".json">>, bin([json([read(R, Advisories) || R <- Releases]), $\n])).

read(#{version := Version} = Release, Advisories) ->
    Status = case Release of
                 #{retired := #{reason := Reason} = S} ->
                     #{reason => text(Reason), message => maps:get(message, S, null)};
                 _ -> null
             end,
    Concerned = [lists:nth(I + 1, Advisories) || I <- maps:get(advisory_indexes, Release)],
    #{version => Version, retired => Status, advisories => [maps:map(fun value/2, A) || A <- Concerned]}.

value(cvss_score, Score) -> float_to_binary(Score, [{decimals, 1}]);
value(_, Value) -> Value.

packages() ->
    %% The checksums of 1.0.2 are those of the package that the end-to-end tests serve.
    [#{name => <<"tiny_text">>, repository => <<"hexpm">>,
       advisories => [#{id => <<"GHSA-0000-0000-0002">>, summary => <<"Made up: **bold** | <b>"/utf8>>,
                        html_url => <<"https://osv.dev/vulnerability/GHSA-0000-0000-0002">>,
                        api_url => <<"https://api.osv.dev/v1/vulns/GHSA-0000-0000-0002">>,
                        severity => 'SEVERITY_CRITICAL', cvss_score => 9.1, aliases => [<<"CVE-0000-0002">>]},
                      #{id => <<"EEF-CVE-0000-0009">>, summary => <<"Made up: rated by its score alone">>,
                        html_url => <<"https://osv.dev/vulnerability/EEF-CVE-0000-0009">>,
                        api_url => <<"https://api.osv.dev/v1/vulns/EEF-CVE-0000-0009">>,
                        cvss_score => 5.3, aliases => []}],
       releases => [release(<<"0.9.0">>),
                    (release(<<"1.0.2">>))#{
                        inner_checksum => <<16#6643D7095CB466B8C17FEB8DCC264EB221048E0344D9E08E2500037C9EF4E97D:256>>,
                        outer_checksum => <<16#9DDC9BE6EF537DBD09AC0195735945ADB9A3AAAC69FF5B5890FDF19E50701C15:256>>,
                        advisory_indexes => [0, 1],
                        published_at => #{seconds => 1767225600, nanos => 0},
                        retired => #{reason => 'RETIRED_SECURITY',
                                     message => <<"take \e[31m1.1.0\e[0m, | `x` <b>@all</b>\n:bug: grün"/utf8>>}},
                    (release(<<"1.0.3-rc.1">>))#{
                        dependencies => [#{package => <<"tiny_math">>, requirement => <<"~> 0.3">>}]},
                    (release(<<"1.0.3">>))#{retired => #{reason => 'RETIRED_INVALID'}},
                    (release(<<"1.0.4">>))#{advisory_indexes => [1]},
                    release(<<"1.10.0">>), release(<<"1.1.0">>)]},
     %% A reason that was not there when this was written is the last one.
     #{name => <<"tiny_reasons">>, repository => <<"hexpm">>,
       releases => [(release(Version))#{retired => #{reason => Reason, message => <<"why">>}}
                    || {Version, Reason} <- [{<<"1.0.0">>, 'RETIRED_OTHER'}, {<<"2.0.0">>, 'RETIRED_INVALID'},
                                             {<<"3.0.0">>, 'RETIRED_SECURITY'}, {<<"4.0.0">>, 'RETIRED_DEPRECATED'},
                                             {<<"5.0.0">>, 'RETIRED_RENAMED'}, {<<"6.0.0">>, 7}]]}].

release(Version) -> #{version => Version, inner_checksum => <<0:256>>, outer_checksum => <<0:256>>, dependencies => []}.
"""


def main(hex_core: str) -> None:
    """Write the files."""
    with tempfile.TemporaryDirectory() as work:
        script = Path(work, "record.escript")
        shutil.copy(_COMMON, work)
        script.write_text(f"#!/usr/bin/env escript\n%%! -pa {Path(hex_core).resolve()}\n{_SCRIPT}", encoding="utf-8")
        subprocess.run(["escript", script, FOLDER], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
