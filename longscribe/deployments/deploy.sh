#!/usr/bin/env bash
# Builds, starts and registers Longscribe with Docker Compose; run again, upgrades it in place.
# Settings: $LONGSCRIBE_HOME/settings.env, or the environment. See docs/service.md.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")"  # deployments/ at the top is a link

follow=yes
for argument; do
  case $argument in
    --no-follow) follow=no ;;
    -h | --help)
      echo "usage: deployments/deploy.sh [--no-follow]"
      echo "Builds, starts and registers everything, and follows the logs (Ctrl-C leaves it running)."
      exit 0 ;;
    *) echo "deploy.sh: unknown option '$argument'; see deploy.sh --help" >&2; exit 2 ;;
  esac
done

if docker compose version >/dev/null 2>&1; then compose=(docker compose)
elif command -v docker-compose >/dev/null; then compose=(docker-compose)
else echo "deploy.sh: neither 'docker compose' nor 'docker-compose' is here; install one." >&2; exit 2
fi
if ! docker info >/dev/null 2>&1; then
  echo "deploy.sh: the Docker daemon does not answer; start it, or join the group docker." >&2; exit 2
fi

umask 077
# As root, containers still do not run as root.
if [ "$(id -u)" = 0 ]; then home=/srv/longscribe uid=10001 gid=10001
else home=$HOME/longscribe uid=$(id -u) gid=$(id -g); fi
export LONGSCRIBE_HOME=${LONGSCRIBE_HOME:-$home} LONGSCRIBE_UID=$uid LONGSCRIBE_GID=$gid
export COMPOSE_PROJECT_NAME=${COMPOSE_PROJECT_NAME:-longscribe} COMPOSE_FILE=${COMPOSE_FILE:-compose.yaml}

mkdir -p "$LONGSCRIBE_HOME"
folders=(media transcripts weights cache scratch postgres redis secrets)
(cd "$LONGSCRIBE_HOME" && mkdir -p "${folders[@]}" media/inbox media/uploads cache/whisper)
chmod 711 "$LONGSCRIBE_HOME"

settings=$LONGSCRIBE_HOME/settings.env
if [ ! -e "$settings" ]; then
  memory_mb=$(awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
  cat >"$settings" <<END
# Longscribe's settings; deploy.sh takes changes over. The environment wins.
# Where the server listens. Anything but 127.0.0.1 switches authentication on.
LONGSCRIBE_LISTEN=127.0.0.1
LONGSCRIBE_PORT=4200
# The web application's own.
LONGSCRIBE_WEB_PORT=4201
# on asks for a password on 127.0.0.1 too, as behind a proxy. auto: only beyond it.
LONGSCRIBE_AUTH=auto
# What people and links call the server. Empty: the address above.
LONGSCRIBE_URL=
# What the worker may take of this machine.
LONGSCRIBE_WORKER_MEMORY=$((memory_mb > 5120 ? memory_mb - 3072 : memory_mb * 2 / 5))m
LONGSCRIBE_WORKER_CPUS=$(nproc)
LONGSCRIBE_MODEL=turbo
# When the inbox is looked into, and where the clock of that is.
LONGSCRIBE_INBOX_CRON=
LONGSCRIBE_TIME_ZONE=UTC
# A webhook's address, or mailtos://user:password@server?to=you@example.org: a message at each end.
LONGSCRIBE_NOTIFY_WEBHOOK=
END
fi
while IFS='=' read -r name value; do
  case $name in '' | \#*) continue ;; esac
  [ -n "${!name+set}" ] || export "$name=$value"
done <"$settings"
listen=${LONGSCRIBE_LISTEN:-127.0.0.1} port=${LONGSCRIBE_PORT:-4200}
[ -n "${LONGSCRIBE_URL:-}" ] || export LONGSCRIBE_URL=http://$listen:$port
[ -n "${LONGSCRIBE_WEB_URL:-}" ] || export LONGSCRIBE_WEB_URL=http://$listen:${LONGSCRIBE_WEB_PORT:-4201}
export LONGSCRIBE_HOST=${LONGSCRIBE_HOST:-$(hostname)}

# Secrets are made once and live in files that only their owner reads; containers see them as files.
secrets=$LONGSCRIBE_HOME/secrets
secret() { # FILE
  [ -s "$secrets/$1" ] || od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$secrets/$1"
  cat "$secrets/$1"
}
profile() { # FILE LINE...
  { printf 'active = "longscribe"\n[profiles.longscribe]\n'; printf '%s\n' "${@:2}"; } >"$secrets/$1"
}
password=$(secret postgres-password)
auth=()
case $listen in 127.* | ::1 | localhost) exposed=no ;; *) exposed=yes ;; esac
if [ "$exposed" = yes ] || [ "${LONGSCRIBE_AUTH:-auto}" = on ]; then
  login=longscribe:$(secret api-password)
  auth=("PREFECT_SERVER_API_AUTH_STRING = \"$login\"" "PREFECT_API_AUTH_STRING = \"$login\"")
fi
profile server.toml "PREFECT_SERVER_DATABASE_PASSWORD = \"$password\"" "${auth[@]}"
profile client.toml "${auth[@]:1}"
[ "$(id -u)" != 0 ] || (cd "$LONGSCRIBE_HOME" && chown -R "$uid:$gid" "${folders[@]}")

healthy() { # SERVICE: waits until it is
  local id state tries
  for tries in $(seq 150); do
    id=$("${compose[@]}" ps -q "$1")
    state=$(docker inspect --format '{{.State.Health.Status}}' "$id" 2>/dev/null || echo missing)
    if [ "$state" = healthy ]; then echo "$1 is healthy"; return; fi
    sleep 2
  done
  "${compose[@]}" logs --tail 40 "$1" >&2
  echo "deploy.sh: $1 is $state after five minutes; its last lines are above." >&2
  exit 1
}

"${compose[@]}" build server
"${compose[@]}" up -d server
healthy server
"${compose[@]}" run --rm -T register
"${compose[@]}" up -d --remove-orphans
healthy worker
healthy clips
healthy inbox
healthy web

echo
echo "Longscribe runs at $LONGSCRIBE_URL, its web application at $LONGSCRIBE_WEB_URL"
echo "A user for it: ${compose[*]} exec web longscribe users add NAME"
[ ${#auth[@]} = 0 ] || echo "Sign in with longscribe:PASSWORD; the password is in $secrets/api-password"
echo "Recordings dropped into $LONGSCRIBE_HOME/media/inbox become transcripts in $LONGSCRIBE_HOME/transcripts"
[ $follow = no ] || exec "${compose[@]}" logs --follow --tail 20
