#!/bin/sh
# Makes a runtime out of a bare Alpine or Debian: the libraries that ERTS, its crypto and its terminal load,
# an init, the user, and the folders that it may write to.
# What is there already is not fetched: a base image that has it all needs no network.
# Usage: packages.sh NAME UID [ROOT ARCH]
#   ROOT  the root filesystem of another platform, of which nothing runs; the package manager is this platform's
#   ARCH  that platform's processor: amd64 or arm64
set -eu
name=$1 uid=$2 root=${3:-} arch=${4:-}
# shellcheck disable=SC1091 # the image has it
. "$root/etc/os-release"
case $ID in
    alpine)
        wanted="ca-certificates libcrypto3 libgcc libssl3 libstdc++ ncurses-libs tini tzdata"
        installed() { apk info --root "$root/" -e "$1" >/dev/null 2>&1; }
        install() {
            if [ -n "$root" ]; then
                # Scripts of packages are that platform's programs. These need none: the certificates come in one file.
                case $arch in
                    amd64) arch=x86_64 ;;
                    arm64) arch=aarch64 ;;
                esac
                apk add --root "$root" --arch "$arch" --no-scripts --no-cache "$@"
            else
                apk add --no-cache "$@"
            fi
        }
        ;;
    debian)
        # Between two releases Debian has none: testing and sid change daily.
        if [ -z "${VERSION_ID:-}" ]; then
            echo "===> $PRETTY_NAME has no VERSION_ID in /etc/os-release: choose a released Debian with --runtime-image" >&2
            exit 1
        fi
        # busybox: the health check asks over HTTP with its wget, as on Alpine.
        ssl=libssl3t64
        [ "$VERSION_ID" != 12 ] || ssl=libssl3
        wanted="busybox ca-certificates libgcc-s1 libncurses6 $ssl libstdc++6 tini tzdata zlib1g"
        installed() {
            dpkg-query --admindir="$root/var/lib/dpkg" -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed
        }
        install() {
            if [ -n "$root" ]; then
                unpack "$@"
                return
            fi
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
# Puts Debian packages into the root filesystem of another platform. dpkg would run their scripts, which are programs of
# that platform; of those that are wanted only ca-certificates has one that matters: it joins the certificates.
unpack() {
    archives=$root/var/cache/apt/archives
    mkdir -p "$archives/partial" "$root/var/lib/apt/lists/partial"
    apt() {
        apt-get -q -o APT::Architecture="$arch" -o APT::Architectures::="$arch" -o Dir::Etc="$root/etc/apt" \
            -o Dir::Cache="$root/var/cache/apt" -o Dir::State="$root/var/lib/apt" \
            -o Dir::State::status="$root/var/lib/dpkg/status" "$@"
    }
    apt update
    apt install -y --no-install-recommends --download-only "$@"
    for archive in "$archives"/*.deb; do
        # Folders that are links in a newer Debian (/lib) stay links; what nobody reads is left out, as in slim images.
        dpkg-deb --fsys-tarfile "$archive" | tar -x -C "$root" --keep-directory-symlink --exclude='./usr/share/man' \
            --exclude='./usr/share/locale' --exclude='./usr/share/doc/*/changelog*' --exclude='./usr/share/doc/*/examples'
        { dpkg-deb --field "$archive" && printf 'Status: install ok installed\n\n'; } >>"$root/var/lib/dpkg/status"
    done
    certificates=$root/etc/ssl/certs/ca-certificates.crt
    [ -s "$certificates" ] || cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$certificates"
}

missing=
for package in $wanted; do
    installed "$package" || missing="$missing $package"
done
# shellcheck disable=SC2086 # a list of words
[ -z "$missing" ] || install $missing

if grep -q "^[^:]*:[^:]*:$uid:" "$root/etc/passwd" "$root/etc/group"; then
    echo "===> the base image has a user or group $uid already" >&2
    exit 1
fi
# By hand: adduser writes today's date into /etc/shadow, and no two builds would be alike.
echo "$name:x:$uid:" >>"$root/etc/group"
echo "$name:x:$uid:$uid::/opt/$name:/bin/sh" >>"$root/etc/passwd"
mkdir -p "$root/etc/$name" "$root/opt/$name"
# /var/run leads to /run, whose absolute link would be ours: the folder is made where the link leads in its own root.
run=var/run
[ ! -L "$root/$run" ] || run=run
for folder in var/log var/lib "$run"; do
    install_dir=$root/$folder/$name
    mkdir -p "$install_dir"
    # For whoever runs it: a random user of group 0 (OpenShift), or another user altogether. A tmpfs over such a folder
    # belongs to root and has the folder's mode. What is private lies in a folder of its own, of mode 0700.
    chown "$uid:0" "$install_dir"
    chmod 1777 "$install_dir"
done
# The command of `docker exec`: with the settings of the node that runs, which the release's own script does not know.
if [ -e "$root/usr/local/bin/$name" ]; then
    echo "===> the runtime image has /usr/local/bin/$name already: choose another name for the release" >&2
    exit 1
fi
ln -s entrypoint "$root/usr/local/bin/$name"
# Applications write below log/ and data/ of their working folder, which is the release and not theirs to write.
ln -s "../../var/log/$name" "$root/opt/$name/log"
ln -s "../../var/lib/$name" "$root/opt/$name/data"

# An engine with certificates of its own links them in here for the time of a command; the links would stay.
if [ -z "$root" ]; then
    for link in /etc/ssl/certs/*; do
        case $(readlink -f "$link") in
            /usr/local/share/ca-certificates/*) echo "${link#/}" ;;
        esac
    done
fi >/pipeline/links

# What a package manager leaves: caches and logs with the time of the build in them.
(cd "$root/var" && rm -rf cache/apk/* cache/apt/* lib/apt/lists/* cache/ldconfig/* cache/debconf/*-old \
    log/apt log/dpkg.log log/alternatives.log log/apk.log lib/dpkg/*-old)
rm -f "$root/etc/passwd-" "$root/etc/group-" "$root/etc/shadow-" "$root/etc/gshadow-"

# su, mount, passwd and their like let a user become root; nobody needs them here.
find "$root/" -xdev \( -path "$root/proc" -o -path "$root/sys" -o -path "$root/dev" \) -prune -o \
    -type f \( -perm -4000 -o -perm -2000 \) -exec chmod a-s {} +
