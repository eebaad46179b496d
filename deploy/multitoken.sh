#!/bin/sh
# What `multitoken` does beside the server of docs/deploying.md, as its user, with its settings, and in the
# folder that has its data. Installed as /usr/local/bin/multitoken.
set -eu
if [ "$(id -un)" != multitoken ]; then
	exec runuser -u multitoken -- "$0" "$@"
fi
set -a
. /etc/multitoken/env
set +a
cd /var/lib/multitoken
exec /opt/multitoken/multitoken "$@"
