#!/bin/sh
# Backs up the database of compose.yaml into /var/backups/multitoken, and deletes backups after a month. Run it as root.
set -eu
umask 077
cd "$(dirname "$0")/.."
folder=/var/backups/multitoken
mkdir -p "$folder"
file="$folder/$(date -u +%Y-%m-%dT%H%M%SZ).dump"
# A failed dump never gets the final name, and ends the script before it deletes older ones.
docker compose -f deploy/compose.yaml exec -T db pg_dump -U multitoken -Fc multitoken > "$file.part"
mv "$file.part" "$file"
find "$folder" -type f -mtime +30 -delete
