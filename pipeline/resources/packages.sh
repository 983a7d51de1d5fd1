#!/bin/sh
# Makes a runtime out of a bare Alpine or Debian: the libraries that ERTS, its crypto and its terminal load,
# an init, the user, and the folders that it may write to.
# What is there already is not fetched: a base image that has it all needs no network.
# Usage: packages.sh NAME UID TIME (seconds since the epoch)
set -eu
name=$1 uid=$2
start=$(mktemp)
# shellcheck disable=SC1091 # the image has it
. /etc/os-release
case $ID in
    alpine)
        wanted="ca-certificates libcrypto3 libgcc libssl3 libstdc++ ncurses-libs tini tzdata"
        installed() { apk info -e "$1" >/dev/null 2>&1; }
        install() { apk add --no-cache "$@"; }
        ;;
    debian)
        # busybox: the health check asks over HTTP with its wget, as on Alpine.
        ssl=libssl3t64
        [ "$VERSION_ID" != 12 ] || ssl=libssl3
        wanted="busybox ca-certificates libgcc-s1 libncurses6 $ssl libstdc++6 tini tzdata zlib1g"
        installed() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }
        install() {
            export DEBIAN_FRONTEND=noninteractive
            apt-get update -q
            apt-get install -q -y --no-install-recommends "$@"
        }
        ;;
    *)
        echo "===> $PRETTY_NAME: neither Alpine nor Debian" >&2
        exit 1
        ;;
esac
missing=
for package in $wanted; do
    installed "$package" || missing="$missing $package"
done
# shellcheck disable=SC2086 # a list of words
[ -z "$missing" ] || install $missing

if grep -q "^[^:]*:[^:]*:$uid:" /etc/passwd /etc/group; then
    echo "===> the base image has a user or group $uid already" >&2
    exit 1
fi
# By hand: adduser writes today's date into /etc/shadow, and no two builds would be alike.
echo "$name:x:$uid:" >>/etc/group
echo "$name:x:$uid:$uid::/opt/$name:/bin/sh" >>/etc/passwd
mkdir -p "/etc/$name" "/opt/$name"
for folder in log lib run; do
    install_dir="/var/$folder/$name"
    mkdir -p "$install_dir"
    chown "$uid:$uid" "$install_dir"
    chmod 0750 "$install_dir"
done
# Applications write below log/ and data/ of their working folder, which is the release and not theirs to write.
# Relative, since the engine sets the times of what a link leads to, and looks from its own root.
ln -s "../../var/log/$name" "/opt/$name/log"
ln -s "../../var/lib/$name" "/opt/$name/data"

# An engine with certificates of its own links them in here for the time of a command; the links would stay.
for link in /etc/ssl/certs/*; do
    case $(readlink -f "$link") in
        /usr/local/share/ca-certificates/*) echo "${link#/}" ;;
    esac
done >/pipeline/links

# What a package manager leaves: caches and logs with the time of the build in them.
rm -rf /var/cache/apk/* /var/cache/apt/* /var/lib/apt/lists/* /var/cache/ldconfig/* /var/cache/debconf/*-old \
    /var/log/apt /var/log/dpkg.log /var/log/alternatives.log /var/log/apk.log /var/lib/dpkg/*-old \
    /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow-
# Links made now have today's time, which the engine cannot set (it sets that of what they lead to).
find / -xdev -type l -newer "$start" ! -path '/proc/*' -exec touch -h -d "@$3" {} +
rm -f "$start"
