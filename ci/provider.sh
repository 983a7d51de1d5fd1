# shellcheck shell=sh disable=SC2034 # ci/run uses them
# What the CI provider knows of this run, under one set of names; the only file that knows a provider. Sourced by ci/run,
# and by nothing else. On a laptop every one of them is empty.
#
#   revision      commit, for a checkout without git
#   branch, tag, pull_request (its number)   what is built: at most one of them
#   fork          not empty if the pull request comes from somebody else's repository
#   builder, invocation                      URLs, for the provenance
#   identity_url, identity_url_token         which variables say where cosign fetches a token that names this run, and with
#                                            what; GitLab and Jenkins put one into SIGSTORE_ID_TOKEN themselves

revision='' branch='' tag='' pull_request='' fork='' builder='' invocation='' identity_url='' identity_url_token=''

if [ "${GITHUB_ACTIONS:-}" = true ]; then
    revision=${GITHUB_SHA:-}
    builder=$GITHUB_SERVER_URL/$GITHUB_WORKFLOW_REF
    invocation=$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID/attempts/$GITHUB_RUN_ATTEMPT
    if [ -n "${ACTIONS_ID_TOKEN_REQUEST_URL:-}" ]; then
        identity_url=env:ACTIONS_ID_TOKEN_REQUEST_URL identity_url_token=env:ACTIONS_ID_TOKEN_REQUEST_TOKEN
    fi
    case $GITHUB_REF in
        refs/pull/*)
            pull_request=${GITHUB_REF#refs/pull/}
            pull_request=${pull_request%%/*}
            # Only the event says where it comes from; one that cannot be read counts as a stranger's.
            head=$(jq -r '.pull_request.head.repo.full_name // ""' "${GITHUB_EVENT_PATH:-}" 2>/dev/null) || head=''
            [ "$head" = "$GITHUB_REPOSITORY" ] || fork=${head:-unknown}
            ;;
        refs/tags/*) tag=${GITHUB_REF#refs/tags/} ;;
        refs/heads/*) branch=${GITHUB_REF#refs/heads/} ;;
    esac
elif [ "${GITLAB_CI:-}" = true ]; then
    revision=${CI_COMMIT_SHA:-}
    builder=$CI_PROJECT_URL/-/runners/$CI_RUNNER_ID
    invocation=$CI_JOB_URL
    if [ -n "${CI_MERGE_REQUEST_IID:-}" ]; then
        pull_request=$CI_MERGE_REQUEST_IID
        [ "$CI_MERGE_REQUEST_SOURCE_PROJECT_ID" = "$CI_MERGE_REQUEST_PROJECT_ID" ] ||
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
