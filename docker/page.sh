#!/bin/sh
# The analyst's page, with a first user who may do everything: admin, with the password of .env. Further ones:
# docker compose exec page python -m page users add NAME --role decide
set -eu

if [ ! -e "$SCORELINE_PAGE_USERS" ]; then
    printf '%s\n' "$PAGE_PASSWORD" | python -m page users add admin --role administer
fi
unset PAGE_PASSWORD
exec python -m page
