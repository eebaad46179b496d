#!/bin/sh
# Runs commands beside the server of docs/deploying.md, as its user, with its settings, in its data folder. Installed as
# /usr/local/bin/multitoken.
set -eu
if [ "$(id -un)" != multitoken ]; then
	exec runuser -u multitoken -- "$0" "$@"
fi
# The caller's environment overrides the file.
given=$(export -p)
set -a
. /etc/multitoken/env
set +a
eval "$given"
# Without it, the command would silently use another database.
: "${DATABASE_URL:?is not set in /etc/multitoken/env}"
cd /var/lib/multitoken
exec /opt/multitoken/multitoken "$@"
