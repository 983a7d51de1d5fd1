#!/bin/sh
# Starts the release in the foreground, or attaches to the running node: the container's entrypoint, and the command
# NAME for `docker exec`. The image sets RELEASE_NAME.
# The files that a node is started with are in one private folder. Only a start writes there; all other commands read.
set -eu
umask 077
name=$RELEASE_NAME
root=/opt/$name
script=$root/bin/$name
upper=$(printf %s "$name" | tr '[:lower:]-' '[:upper:]_')
run=/var/run/$name
node=$run/node
awk=/usr/local/share/entrypoint/finish.awk

# Bad input: one line, and an exit code that says so (EX_CONFIG).
refuse() {
    echo "$name: $*" >&2
    exit 78
}

fact() { # key: what the start wrote down
    sed -n "s/^$1 //p" "$node/facts"
}

# A process is known by its number and by when it started: numbers come again after a restart of the container.
identity() {
    sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
}

is_running() {
    [ -r "$node/pid" ] && read -r pid started <"$node/pid" || return 1
    [ "$pid" != "$$" ] && [ "$(identity "$pid")" = "$started" ]
}

# The settings of the start: of all the others', these decide how to reach the node.
settings='ERL_AFLAGS ERL_FLAGS ERL_ZFLAGS ERL_DIST_PORT ERL_EPMD_ADDRESS ERL_EPMD_PORT ERL_EPMD_RELAXED_COMMAND_CHECK'

save_settings() {
    rm -rf "$node/settings"
    mkdir "$node/settings"
    for setting in $settings; do
        eval "[ -z \"\${$setting+set}\" ] || printf %s \"\$$setting\" >\"\$node/settings/$setting\""
    done
}

load_settings() {
    for setting in $settings; do
        unset "$setting"
        [ ! -e "$node/settings/$setting" ] || eval "export $setting=\"\$(cat \"\$node/settings/$setting\")\""
    done
}

# The folder of the run must be ours.
check_folders() {
    whose=$(id -u):$(id -g)
    # The mode of a tmpfs is that of the folder below it, its owner root.
    if ! mkdir -p "$node" 2>/dev/null || ! [ -w "$node" ]; then
        [ -e "$node" ] || node=$run
        refuse "this user ($whose) cannot write to $node ($(stat -c '%u:%g, mode %a' "$node" 2>/dev/null));" \
            "with a read-only root filesystem mount it, such as --tmpfs $run:mode=1777, or as a volume of that user"
    fi
    chmod 0700 "$node" 2>/dev/null || refuse "$node belongs to another user than this one ($whose): remove that directory"
    for folder in "/var/log/$name" "/var/lib/$name"; do
        [ -w "$folder" ] || echo "$name: this user ($whose) cannot write to $folder;" \
            "with a read-only root filesystem mount it, such as --tmpfs $folder:mode=1777" >&2
    done
}

# The cookie: from the environment, from a mounted secret, from where Erlang itself looks, or made for this start. It is
# never in the image, and no shell evaluates it.
choose_cookie() {
    source=RELX_COOKIE
    if [ -z "${RELX_COOKIE:-}" ]; then
        if [ -n "${RELX_COOKIE_FILE:-}" ]; then
            source="RELX_COOKIE_FILE=$RELX_COOKIE_FILE"
            file=$RELX_COOKIE_FILE
        else
            source=${HOME:-}/.erlang.cookie
            file=$source
        fi
        if [ -r "$file" ]; then
            # What stands after it in the file is nothing to Erlang either.
            RELX_COOKIE=$(sed 's/[[:space:]]*$//' "$file")
        elif [ -n "${RELX_COOKIE_FILE:-}" ]; then
            refuse "$source: this file does not exist, or this user ($(id -u):$(id -g)) cannot read it"
        else
            RELX_COOKIE=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
        fi
    fi
    why=
    case $RELX_COOKIE in
        '') why='it is empty' ;;
        [+-]*) why='it begins with + or -' ;;
        *[!!-~]* | *[\'\"\\#]*)
            why='only printable ASCII characters are allowed, without space, #, quotes and backslash'
            ;;
    esac
    [ "${#RELX_COOKIE}" -le 255 ] || why='it has more than 255 characters'
    [ -z "$why" ] || refuse "$source: this cookie is not valid: $why"
    export RELX_COOKIE
}

# Where relx's start script would find a configuration: beside the given path, or in the release.
find_source() { # file, path given
    found=$2
    if [ -z "$found" ]; then
        found=$root/releases/$version/$1
        [ ! -f "$root/$1" ] && [ ! -f "$root/$1.src" ] || found=$root/$1
    fi
    if [ -f "$found.src" ]; then
        found=$found.src
    elif [ -f "$found.orig" ]; then
        found=$found.orig
    fi
    [ -r "$found" ] || refuse "$found: the release needs this $1, but it does not exist or cannot be read"
}

# A sys.config may name others, relative to its own folder or to the working folder: what lies beside it, and above it in
# the release, is linked beside the finished one.
mirror() { # folder of the source
    tree=$1
    while :; do
        for entry in "$tree"/*; do
            # The start script would replace a sys.config.src beside the finished file once more.
            case $entry in */sys.config*) continue ;; esac
            [ -e "$2/config$entry" ] || [ ! -e "$entry" ] || ln -s "$entry" "$2/config$entry"
        done
        case $tree in
            "$root"/?*) tree=${tree%/*} ;;
            *) break ;;
        esac
    done
}

# Local: nothing outside the container reaches the distribution. A cluster speaks TLS between its nodes, or does not
# start.
choose_distribution() {
    distribution='' optfile=''
    eval "distribution=\${${upper}_DISTRIBUTION_MODE:-local}"
    case $distribution in
        local)
            export ERL_EPMD_ADDRESS="${ERL_EPMD_ADDRESS:-127.0.0.1}"
            ;;
        cluster)
            eval "optfile=\${${upper}_DIST_OPTFILE:-/etc/$name/ssl_dist.conf}"
            [ -r "$optfile" ] || refuse "${upper}_DISTRIBUTION_MODE=cluster needs TLS options: mount $optfile"
            # Not in vm.args: the start script takes it from here, to speak TLS itself when it asks the node.
            # shellcheck disable=SC2089,SC2090 # the emulator reads the quotes
            export ERL_FLAGS="${ERL_FLAGS:-} -ssl_dist_optfile \"$optfile\"" ERL_DIST_PORT="${ERL_DIST_PORT:-9100}"
            ;;
        *) refuse "${upper}_DISTRIBUTION_MODE=$distribution: set it to local or cluster" ;;
    esac
    case " ${ERL_AFLAGS:-} ${ERL_FLAGS:-} ${ERL_ZFLAGS:-} " in
        *" -setcookie "* | *" -name "* | *" -sname "*)
            refuse "ERL_FLAGS, ERL_AFLAGS, ERL_ZFLAGS: remove -name, -sname and -setcookie, since a node that gets two" \
                "of them has none; write the name in vm.args, and set the cookie with RELX_COOKIE"
            ;;
    esac
}

# libc silently uses UTC for a time zone that it does not find.
check_zone() {
    [ -n "${TZ:-}" ] || return 0
    zone=${TZ#:}
    folders=${TZDIR:-/usr/share/zoneinfo}
    # musl knows more folders, and no description behind a colon.
    set -- /lib/ld-musl-*.so.1
    [ ! -e "$1" ] || { folders='/usr/share/zoneinfo /share/zoneinfo /etc/zoneinfo' zone=$TZ; }
    case $zone in
        UTC | GMT | Etc/UTC | Etc/GMT | Universal | Zulu) return 0 ;;
    esac
    ! printf '%s\n' "$zone" | grep -Eq '^([A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)[+-]?[0-9]' || return 0
    zone=${TZ#:}
    for folder in $folders; do
        case $zone in
            /*) [ ! -f "$zone" ] || return 0 ;;
            *) [ ! -f "$folder/$zone" ] || return 0 ;;
        esac
    done
    refuse "TZ=$TZ: ${folders%% *} does not have this time zone: write it as in CET-1CEST,M3.5.0,M10.5.0/3, or build" \
        "with a --runtime-image that has the package tzdata"
}

# What the health check can ask.
check_health_url() {
    case ${HEALTH_URL:-} in
        '' | http://?*) ;;
        https://?*)
            command -v busybox >/dev/null || refuse "HEALTH_URL=$HEALTH_URL: the health check of this image cannot use" \
                "https: give a URL that begins with http://"
            ;;
        *) refuse "HEALTH_URL=$HEALTH_URL: give a URL that begins with http://" ;;
    esac
}

# Writes vm.args, sys.config and what others must know into a folder.
prepare() { # folder
    out=$1
    read -r _ version <"$root/releases/start_erl.data" || [ -n "$version" ]
    choose_cookie
    choose_distribution
    rm -rf "$out/config" "$out/facts"

    find_source sys.config "${RELX_CONFIG_PATH:-}"
    case $found in
        *.src) finish=config ;;
        *) finish=${RELX_REPLACE_OS_VARS:+config} ;;
    esac
    folder=$(readlink -f "$(dirname "$found")")
    config=$out/config$folder/sys.config
    # The finished file first: a link to the release's own would be written through.
    mkdir -p "${config%/*}"
    FINISH=${finish:-plain} LC_ALL=C awk -f "$awk" <"$found" >"$config"
    mirror "$folder" "$out"

    # What the project says itself of where its distribution listens counts.
    own_interface=
    ! grep -q inet_dist_use_interface "$config" || own_interface=1
    case "${ERL_AFLAGS:-} ${ERL_FLAGS:-} ${ERL_ZFLAGS:-}" in
        *inet_dist_use_interface* | *-proto_dist*) own_interface=1 ;;
    esac
    default_name=
    eval "default_name=\${${upper}_NODE_NAME:-$name@127.0.0.1}"
    find_source vm.args "${VMARGS_PATH:-}"
    # Files that it names are relative to the release, where the start script goes.
    cd "$root"
    FINISH=args FINISH_FILE=$found FINISH_FACTS=$out/facts FINISH_NAME=$default_name \
        FINISH_HOST=$(cut -d. -f1 /proc/sys/kernel/hostname) FINISH_MODE=$distribution \
        FINISH_OWN_INTERFACE=$own_interface LC_ALL=C awk -f "$awk" <"$found" >"$out/vm.args" || exit
    use "$out"
}

# Points the start script at finished files, so that it replaces and writes nothing.
use() { # folder
    out=$1
    export VMARGS_PATH="$out/vm.args" RELX_CONFIG_PATH
    RELX_CONFIG_PATH=$(find "$out/config" -name sys.config -type f)
    # The cookie that counts: a vm.args may have another than RELX_COOKIE.
    RELX_COOKIE=$(fact cookie)
    export RELX_COOKIE PIPE_DIR="$node/pipes/"
    unset RELX_REPLACE_OS_VARS RELX_OUT_FILE_PATH RELX_MULTI_NODE
}

start() { # command, arguments...
    check_folders
    check_zone
    check_health_url
    if is_running; then
        echo "$name: a node is already running in this container (process $pid); attach to it with" \
            "$name remote_console" >&2
        exit 1
    fi
    rm -f "$node/pid" "$node/inetrc"
    prepare "$node"
    save_settings
    case $1 in
        daemon | start | daemon_boot) echo "0 daemon" >"$node/pid" ;;
        # This process becomes the emulator.
        *) echo "$$ $(identity $$)" >"$node/pid" ;;
    esac
    node_name=$(fact name)
    host=${node_name#*@}
    if [ -n "$(fact loopback)" ]; then
        case $host in
            127.* | localhost) ;;
            *)
                echo "$name: $node_name listens on 127.0.0.1 only; to connect nodes on other machines set" \
                    "${upper}_DISTRIBUTION_MODE=cluster, or inet_dist_use_interface in vm.args" >&2
                # For attaching: the node's host name leads to this container.
                printf '{host, {127,0,0,1}, ["%s"]}.\n{lookup, [file, native]}.\n' "$host" >"$node/inetrc"
                ;;
        esac
    fi
    grep -q VMARGS_PATH "$script" || echo "$name: $script is not relx's extended start script, so variables in vm.args" \
        "and sys.config are not replaced; set {extended_start_script, true} in relx" >&2
    exec "$script" "$@"
}

attach() { # command, arguments...
    if [ -d "$node" ] && ! [ -x "$node" ]; then
        refuse "this user ($(id -u):$(id -g)) cannot read $node: use the node's user, $(stat -c %u "$node")"
    fi
    if is_running; then
        load_settings
        use "$node"
        reach "$1"
        case $1 in
            # Its escript has no other way to get the cookie than a file in a home that is not written to.
            versions | upgrade | downgrade | install | uninstall | unpack)
                # shellcheck disable=SC2089,SC2090 # the emulator reads the quotes
                export ERL_FLAGS="${ERL_FLAGS:-} -setcookie $RELX_COOKIE"
                ;;
        esac
    else
        case $1 in
            ping | pid | stop | restart | reboot | rpc | eval | remote_console | remote | remsh | attach | \
                daemon_attach | status | versions | upgrade | downgrade | install | uninstall | unpack)
                echo "$name: no node is running in this container" >&2
                exit 1
                ;;
        esac
        # What needs no node still needs a configuration that the start script accepts.
        check_folders
        mkdir -p "$node/other"
        node=$node/other
        prepare "$node"
    fi
    exec "$script" "$@"
}

# Tells the start script the node's port, whatever the host of its name leads to.
reach() { # command
    [ -z "$(fact proto)" ] || {
        optfile=$(fact optfile)
        # shellcheck disable=SC2089,SC2090 # the emulator reads the quotes
        [ -z "$optfile" ] || export ERL_FLAGS="${ERL_FLAGS:-} -ssl_dist_optfile \"$optfile\""
        return 0
    }
    node_name=$(fact name)
    host=${node_name#*@}
    if [ -z "${ERL_DIST_PORT:-}" ]; then
        ERL_DIST_PORT=$(fact port)
        epmd=$(echo "$root"/erts-*/bin/epmd)
        [ -n "$ERL_DIST_PORT" ] || ERL_DIST_PORT=$("$epmd" -names 2>/dev/null |
            awk -v wanted="${node_name%%@*}" '$1 == "name" && $2 == wanted { print $5 }')
        [ -z "$ERL_DIST_PORT" ] || export ERL_DIST_PORT
    fi
    [ ! -e "$node/inetrc" ] || export ERL_INETRC="${ERL_INETRC:-$node/inetrc}"
    case $1:$(fact loopback):$host in
        remote*:1:127.* | remsh:1:127.*) ;;
        remote*:1:*[!0-9.]* | remsh:1:*[!0-9.]*) ;;
        remote*:1:* | remsh:1:*)
            refuse "$1 cannot reach $node_name, which listens on 127.0.0.1 only: give the node a name with a host name" \
                "or 127.0.0.1, or use $name eval"
            ;;
    esac
}

[ "${1:-}" != "$name" ] || shift
[ $# -gt 0 ] || set -- foreground
case $1 in
    foreground | console | console_clean | console_boot | daemon | start | daemon_boot)
        set -a
        # shellcheck disable=SC1090 # the site's own settings
        [ ! -r "/etc/$name/environment" ] || . "/etc/$name/environment"
        set +a
        start "$@"
        ;;
    *) attach "$@" ;;
esac
