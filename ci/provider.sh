# shellcheck shell=sh disable=SC2034 # ci/run uses them
# What the CI provider knows of this run, under one set of names; the only file that knows a provider. Sourced by the
# scripts beside it. On a laptop every one of them is empty.
#
#   revision      commit, for a checkout without git
#   branch, tag, pull_request (its number)   what is built: at most one of them
#   fork          not empty if the pull request comes from somebody else's repository
#   repository    where the provider's own registry has the images of this repository
#   hosted        not empty on a machine of the provider's that is new for each job
#   builder, invocation                      URLs, for the provenance; what lacks for them is in missing
#   identity_url, identity_url_token         which variables say where cosign fetches a token that names this run, and with
#                                            what; GitLab and Jenkins put one into SIGSTORE_ID_TOKEN themselves
#
# compared_with sets base to the commit that a pull request is compared with, if that is known.

revision='' branch='' tag='' pull_request='' fork='' repository='' builder='' invocation='' missing='' hosted=''
identity_url='' identity_url_token=''

need() { # names of variables
    for name; do
        eval "[ -n \"\${$name:-}\" ]" || missing="$missing${missing:+, }$name"
    done
}

if [ "${GITHUB_ACTIONS:-}" = true ]; then
    revision=${GITHUB_SHA:-}
    [ "${RUNNER_ENVIRONMENT:-}" != github-hosted ] || hosted=yes
    need GITHUB_SERVER_URL GITHUB_WORKFLOW_REF GITHUB_REPOSITORY GITHUB_RUN_ID GITHUB_RUN_ATTEMPT
    builder=${GITHUB_SERVER_URL:-}/${GITHUB_WORKFLOW_REF:-}
    invocation=${GITHUB_SERVER_URL:-}/${GITHUB_REPOSITORY:-}/actions/runs/${GITHUB_RUN_ID:-}/attempts/${GITHUB_RUN_ATTEMPT:-}
    # An owner may have capitals, the name of an image none.
    [ "${GITHUB_SERVER_URL:-}" != https://github.com ] ||
        repository=ghcr.io/$(printf %s "${GITHUB_REPOSITORY:-}" | tr '[:upper:]' '[:lower:]')
    if [ -n "${ACTIONS_ID_TOKEN_REQUEST_URL:-}" ]; then
        identity_url=env:ACTIONS_ID_TOKEN_REQUEST_URL identity_url_token=env:ACTIONS_ID_TOKEN_REQUEST_TOKEN
    fi
    case ${GITHUB_REF:-} in
        refs/pull/*)
            pull_request=${GITHUB_REF#refs/pull/}
            pull_request=${pull_request%%/*}
            # Only the event says where it comes from; one that cannot be read counts as a stranger's.
            head=$(jq -r '.pull_request.head.repo.full_name // ""' "${GITHUB_EVENT_PATH:-}" 2>/dev/null) || head=''
            [ "$head" = "${GITHUB_REPOSITORY:-}" ] || fork=${head:-unknown}
            ;;
        # The merge queue: it is a pull request that is judged, in its place of the queue.
        refs/heads/gh-readonly-queue/*/pr-*)
            pull_request=${GITHUB_REF##*/pr-}
            pull_request=${pull_request%%-*}
            ;;
        refs/tags/*) tag=${GITHUB_REF#refs/tags/} ;;
        refs/heads/*) branch=${GITHUB_REF#refs/heads/} ;;
    esac
elif [ "${GITLAB_CI:-}" = true ]; then
    revision=${CI_COMMIT_SHA:-}
    need CI_PROJECT_URL CI_RUNNER_ID CI_JOB_URL
    builder=${CI_PROJECT_URL:-}/-/runners/${CI_RUNNER_ID:-}
    invocation=${CI_JOB_URL:-}
    repository=${CI_REGISTRY_IMAGE:-}
    if [ -n "${CI_MERGE_REQUEST_IID:-}" ]; then
        pull_request=$CI_MERGE_REQUEST_IID
        [ "${CI_MERGE_REQUEST_SOURCE_PROJECT_ID:-}" = "${CI_MERGE_REQUEST_PROJECT_ID:-none}" ] ||
            fork=${CI_MERGE_REQUEST_SOURCE_PROJECT_PATH:-unknown}
    elif [ -n "${CI_COMMIT_TAG:-}" ]; then
        tag=$CI_COMMIT_TAG
    else
        branch=${CI_COMMIT_BRANCH:-}
    fi
elif [ -n "${JENKINS_URL:-}" ]; then
    revision=${GIT_COMMIT:-}
    builder=${JENKINS_URL%/}
    invocation=${BUILD_URL:-}
    if [ -n "${CHANGE_ID:-}" ]; then
        pull_request=$CHANGE_ID
        fork=${CHANGE_FORK:-}
    elif [ -n "${TAG_NAME:-}" ]; then
        tag=$TAG_NAME
    else
        # A job of one branch has no BRANCH_NAME; its git step names the remote too.
        branch=${BRANCH_NAME:-}
        [ -n "$branch" ] || branch=${GIT_BRANCH:-}
        branch=${branch#origin/}
    fi
fi

compared_with() {
    base=''
    if [ "${GITHUB_ACTIONS:-}" = true ]; then
        # What is checked out is the merge of the pull request into its target, unless somebody chose otherwise.
        [ "${GITHUB_EVENT_NAME:-}" != pull_request ] || ! git rev-parse --verify --quiet HEAD^2 >/dev/null || base=HEAD^1
    elif [ "${GITLAB_CI:-}" = true ]; then
        # Of a pipeline of merged results, the target; else where the branches parted, which a shallow checkout may lack.
        base=${CI_MERGE_REQUEST_TARGET_BRANCH_SHA:-${CI_MERGE_REQUEST_DIFF_BASE_SHA:-}}
        [ -z "$base" ] || git cat-file -e "$base^{commit}" 2>/dev/null || git fetch -q --depth=1 origin "$base" || base=''
    elif [ -n "${CHANGE_TARGET:-}" ]; then
        base=$(git merge-base "refs/remotes/origin/$CHANGE_TARGET" HEAD 2>/dev/null) || base=''
    fi
}
