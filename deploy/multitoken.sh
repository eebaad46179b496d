#!/bin/sh
# What `multitoken` does beside the server of docs/deploying.md: as its user, with its settings, in the folder
# that has its data. Installed as /usr/local/bin/multitoken.
set -eu
if [ "$(id -un)" != multitoken ]; then
	exec runuser -u multitoken -- "$0" "$@"
fi
# What it is called with counts before what stands in the file.
given=$(export -p)
set -a
. /etc/multitoken/env
set +a
eval "$given"
# Without it another database would be taken, silently.
: "${DATABASE_URL:?is not set in /etc/multitoken/env}"
cd /var/lib/multitoken
exec /opt/multitoken/multitoken "$@"
