#!/bin/sh
# Shown as: collect the libraries of the image
# Makes what lies over a base image besides the release, in /added, where our own files are already: the libraries that
# the release's native code needs, the entries of their packages, the user, and the folders that it may write to. Of
# the base image nothing runs, so that it is the same for every platform.
# Usage: root.sh NAME UID TIME ARCHITECTURE RUNTIME BUILDER
#   RUNTIME, BUILDER   the images whose root filesystems are /base and /builder, for messages
# The native code is in /layers/erts, and packed in /native.tar.
set -eu
name=$1 uid=$2 time=$3 architecture=$4 runtime=$5 builder=$6
base=/base added=/added taken=/pipeline/taken

[ ! -s /native.tar ] || tar -xf /native.tar -C /layers
escript /pipeline/elf.escript libraries "$architecture" "$base" /builder /layers "$added" "$taken" "$runtime" "$builder"
escript /pipeline/packages.escript "$base" /builder "$added" "$taken" "$builder"

refuse() {
    echo "===> $*" >&2
    exit 1
}

if grep -q "^[^:]*:[^:]*:$uid:" "$base/etc/passwd" "$base/etc/group"; then
    refuse "the runtime image already has a user or group $uid: give an image without it with --runtime-image"
fi
mkdir -p "$added/etc/$name" "$added/opt/$name" "$added/usr/local/bin"
for file in passwd group; do
    cp -p "$base/etc/$file" "$added/etc/$file"
done
echo "$name:x:$uid:" >>"$added/etc/group"
echo "$name:x:$uid:$uid::/opt/$name:/bin/sh" >>"$added/etc/passwd"

# /var/run leads to /run, whose absolute link would be ours: the folder is made where the link leads in its own root.
run=var/run
[ ! -L "$base/$run" ] || run=run
for folder in var/log var/lib "$run"; do
    mkdir -p "$added/$folder/$name"
    # For whoever runs it: a random user of group 0 (OpenShift), or another user altogether. A tmpfs over such a folder
    # belongs to root and has the folder's mode. What is private lies in a folder of its own, of mode 0700.
    chown "$uid:0" "$added/$folder/$name"
    chmod 1777 "$added/$folder/$name"
done

# The command of `docker exec`: with the settings of the node that runs, which the release's own script does not know.
for path in "$base/usr/local/bin/$name" "$added/usr/local/bin/$name"; do
    [ ! -e "$path" ] || refuse "the image already has a file /usr/local/bin/$name: give the release another name"
done
ln -s entrypoint "$added/usr/local/bin/$name"
# Applications write below log/ and data/ of their working folder, which is the release and not theirs to write.
ln -s "../../var/log/$name" "$added/opt/$name/log"
ln -s "../../var/lib/$name" "$added/opt/$name/data"

# su, mount, passwd and their like let a user become root; nobody needs them here.
find "$base" -xdev -type f \( -perm -4000 -o -perm -2000 \) | while read -r file; do
    path=${file#"$base"}
    mkdir -p "$added${path%/*}"
    cp -p "$file" "$added$path"
    chmod a-s "$added$path"
done

# A folder of the base image stays as it is there.
(cd "$added" && find . -type d) | while read -r folder; do
    if [ ! -d "$base/$folder" ] || [ -L "$base/$folder" ]; then continue; fi
    chown "$(stat -c %u:%g "$base/$folder")" "$added/$folder"
    chmod "$(stat -c %a "$base/$folder")" "$added/$folder"
done
find "$added" -exec touch -h -d "@$time" {} +
