#!/bin/sh
# Shown as: search the image for files that give privileges
# Looks through the whole root filesystem, as root, for what a compliance report asks.
# Prints lines "what<TAB>value": privileged (a setuid or setgid file), packages (how many its databases know).
set -eu
find / -xdev \( -path /proc -o -path /sys -o -path /dev \) -prune -o -type f \( -perm -4000 -o -perm -2000 \) -print |
    while read -r path; do printf 'privileged\t%s\n' "$path"; done
packages=0
for apk in /lib/apk/db/installed /usr/lib/apk/db/installed; do
    if [ -f "$apk" ]; then
        packages=$(grep -c '^P:' "$apk")
        break
    fi
done
if [ -d /var/lib/dpkg ]; then
    # Those that came from the builder have each an entry of their own.
    packages=$({
        dpkg-query -W -f '${db:Status-Status}\n' | grep -x installed
        find /var/lib/dpkg/status.d -type f ! -name '*.md5sums' 2>/dev/null
    } | wc -l)
fi
printf 'packages\t%s\n' "$packages"
