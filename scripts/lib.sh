# shellcheck shell=bash
# What the scripts here share. Source it; it sets no options and prints nothing.

# shellcheck disable=SC2034
GRAFT_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Where set-up puts libtorch, the oracles and the base models. Prints the folder; fails if there is nowhere.
graft_cache_dir() {
  if [ -n "${GRAFT_CACHE:-}" ]; then
    case $GRAFT_CACHE in
      /*) printf '%s\n' "$GRAFT_CACHE" ;;
      *) printf '%s\n' "$PWD/$GRAFT_CACHE" ;;
    esac
  elif [ -n "${HOME:-}" ]; then
    printf '%s\n' "$HOME/.cache/graft"
  else
    return 1
  fi
}

# Compile jobs to run at once: one a core, but no more than fit in memory at 2 GiB each (libtorch's headers).
graft_build_jobs() {
  local cores kib limit jobs
  cores=$(nproc)
  kib=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)
  limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || true)
  case $limit in
    '' | *[!0-9]*) ;;
    *) if [ $((limit / 1024)) -lt "$kib" ]; then kib=$((limit / 1024)); fi ;;
  esac
  jobs=$((kib / (2 * 1024 * 1024)))
  if [ "$jobs" -gt "$cores" ]; then jobs=$cores; fi
  if [ "$jobs" -lt 1 ]; then jobs=1; fi
  printf '%s\n' "$jobs"
}

# Prints a sentence to stderr and ends the script.
die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}
