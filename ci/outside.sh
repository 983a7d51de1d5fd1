# shellcheck shell=sh disable=SC2034 # ci/run and ci/changed use it
# What of a project's folder is never in its image. Sourced by ci/run and ci/changed.
#
# outside FOLDER sets $outside to pathspecs of git, a line each: what the module never takes (SOURCE_IGNORE of
# pipeline/project/source.py) and what .dockerignore names. A line that git would read otherwise than Docker does is
# left out, and so is the whole file if it has exceptions: a file too many counts as in the image, never one too few.
outside() {
    outside=$(
        {
            printf '**/%s\n' .hg .svn _build .rebar3 erl_crash.dump rebar3.crashdump .idea .vscode .DS_Store '*.swp' '*~'
            if [ -f "$1/.dockerignore" ] && ! grep -q '^[[:space:]]*!' "$1/.dockerignore"; then
                tr -d '\r' <"$1/.dockerignore" | sed \
                    -e '/^#/d' -e 's/^[[:space:]]*//' -e 's/[[:space:]]*$//' -e 's,^/,,' -e 's,/$,,' \
                    -e '/^$/d' -e '/^\.$/d' -e '/\\/d' -e '/\.\./d' -e '/\/\//d' -e '/^\.\//d' -e '/\/\.\//d'
            fi
        } | sed -e 's,^,:(exclude\,glob),' -e p -e 's,$,/**,'
    )
}
