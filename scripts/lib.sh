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

# output_file ARGUMENT...: sets `out` to the one file that a script is to write; answers --help with the script's usage, and
# ends it if that isn't what it was given.
output_file() {
  case ${1:-} in
    -h | --help)
      usage
      exit 0
      ;;
    '' | -*) die "name the file to write; see --help" ;;
  esac
  [ $# -eq 1 ] || die "one file only; see --help"
  out=$1
}

# Prints one line of progress: over the last one on a terminal, elsewhere as a line of its own.
progress() {
  if [ -t 1 ]; then printf '\r\033[K  %s' "$*"; else printf '  %s\n' "$*"; fi
}

# Ends the line that progress keeps on a terminal.
progress_end() { if [ -t 1 ]; then printf '\r\033[K'; fi; }

# duration SECONDS: as a reader says it.
duration() {
  if [ "$1" -lt 100 ]; then printf '%d s' "$1"; else printf '%d min' $((($1 + 30) / 60)); fi
}

# graft_build PRESET LOG TARGET...: configures and builds, telling how far it is; all output goes to LOG. The status is
# that of the first command that failed.
graft_build() {
  local preset=$1 log=$2 jobs start=$SECONDS told=-100 line finished total left
  shift 2
  jobs=$(graft_build_jobs)
  (cd "$GRAFT_SOURCE" && cmake --preset "$preset") >"$log" 2>&1 || return
  # One status line a finished step, "[finished/total] ..."; a compiler's own words stay in the log.
  (cd "$GRAFT_SOURCE" && NINJA_STATUS='[%f/%t] ' cmake --build "build/$preset" --parallel "$jobs" --target "$@") 2>&1 |
    tee -a "$log" | while IFS= read -r line; do
      [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]] || continue
      finished=${BASH_REMATCH[1]} total=${BASH_REMATCH[2]}
      # On a terminal always, in a log every half minute.
      if [ ! -t 1 ] && [ $((SECONDS - told)) -lt 30 ] && [ "$finished" -lt "$total" ]; then continue; fi
      told=$SECONDS left=""
      if [ $((SECONDS - start)) -ge 5 ] && [ "$finished" -lt "$total" ]; then
        left=", about $(duration $(((SECONDS - start) * (total - finished) / finished))) left"
      fi
      progress "built $finished of $total$left"
    done
  local status=${PIPESTATUS[0]}
  progress_end
  return "$status"
}
