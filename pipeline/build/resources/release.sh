#!/bin/sh
# Shown as: assemble the release $2
# Assembles the release with rebar3, removes what never runs, and sorts the rest by how often it changes:
# /layers/erts (ERTS and OTP), /layers/dependencies, /layers/applications. The whole stays at /opt/NAME.
# In /pipeline/frames is what `part.sh` left of the project's applications, if their modules are put in later. Then
# /pipeline/unlike says why they cannot be; it is empty if they can.
# Usage: release.sh PROFILE NAME LIBRARIES TIME [OWN_APPLICATION...]
#   LIBRARIES   the folder of rebar3 with every application that was built, as _build/prod/lib
#   TIME        of every file, in seconds since the epoch
# It leaves in /packed the layers that seldom change, and the native code of the other two: erts.tar, dependencies.tar,
# native.tar.
set -eu
profile=$1 name=$2 libraries=$3 time=$4
shift 4
for frame in /pipeline/frames/*.tar; do
    [ ! -e "$frame" ] || tar -xf "$frame"
done
sh /pipeline/rebar3.sh "$profile" "" release --relname "$name"
own=" $* "
root=/opt/$name
rm -rf "$root" /layers
mkdir -p /opt
mv "${libraries%/lib}/rel/$name" "$root"
if [ -e /pipeline/frames ]; then
    for app do
        set -- "$@" "$libraries/$app/ebin"
        shift
    done
    escript /pipeline/pipeline_modules.escript compare /pipeline/pipeline_placeholder.beam "$root/lib" "$@" \
        >/pipeline/unlike
    # A command that fails would run again each time.
    [ ! -s /pipeline/unlike ] || exit 0
fi

find "$root" -type l ! -exec test -e {} \; -print | sed 's/^/===> symbolic link without a target: /' | grep . && exit 1
# Build tools, sources and manuals: nothing of it runs. escript stays, the start script's nodetool needs it.
for tool in ct_run dialyzer erlc erl_call.exe typer start start_erl start.src start_erl.src erl.src; do
    rm -f "$root"/erts-*/bin/$tool "$root/bin/$tool"
done
rm -rf "${root:?}"/erts-*/include "$root"/erts-*/lib "$root"/erts-*/src "$root"/erts-*/doc "$root"/erts-*/man
for part in include src doc man examples c_src emacs info; do
    rm -rf "${root:?}"/lib/*/$part
done
find "$root" -name '*.a' -exec rm -f {} +
# An engine for OpenSSL that OTP's own tests load.
rm -f "$root"/lib/crypto-*/priv/lib/otp_test_engine.so
# The base layer has log and data, as links to folders that may be written; one that relx filled with files stays.
for folder in log data; do
    [ ! -d "$root/$folder" ] || rmdir "$root/$folder" 2>/dev/null || true
done
# The same bytes whatever the builder's umask; nothing here is writable by the user that runs it.
find "$root" -type d -exec chmod 0755 {} +
find "$root" -type f -perm /111 -exec chmod 0755 {} +
find "$root" -type f ! -perm /111 -exec chmod 0644 {} +

for layer in erts dependencies applications; do
    mkdir -p "/layers/$layer$root/lib"
done
cp -RPl "$root"/erts-* "/layers/erts$root/"
for app in "$root"/lib/*; do
    # The folder is NAME-VERSION, and a version may have hyphens too: the resource file has the name.
    file=$(find "$app/ebin" -maxdepth 1 -name '*.app' | head -n 1)
    app_name=$(basename "$file" .app)
    case $own in
        *" $app_name "*) layer=applications ;;
        *)
            layer=erts
            for built in "$libraries" "${libraries%/lib}/checkouts"; do
                [ ! -d "$built/$app_name" ] || layer=dependencies
            done
            ;;
    esac
    cp -RPl "$app" "/layers/$layer$root/lib/"
done
for part in "$root"/*; do
    case $(basename "$part") in
        erts-* | lib) ;;
        *) cp -RPl "$part" "/layers/applications$root/" ;;
    esac
done

# The libraries of the image depend on the ELF files alone: which there are is noted.
escript /pipeline/elf.escript strip /layers /pipeline/native
find /layers -exec touch -h -d "@$time" {} +
rm -rf /packed
mkdir /packed
for layer in erts dependencies; do
    cd "/layers/$layer"
    find . | sh /pipeline/pack.sh "/packed/$layer.tar"
done
cd /layers
# A library is found by a link's name, too.
{
    grep -v ^erts/ /pipeline/native || true
    find dependencies applications -type l
} | sh /pipeline/pack.sh /packed/native.tar
