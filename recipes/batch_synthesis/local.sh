#!/usr/bin/env bash
# One machine: every line once, and once more for those that failed.
set -uo pipefail
if [ $# -lt 2 ]; then echo "usage: local.sh LINES FOLDER [options of spear-accel synth]" >&2; exit 2; fi
lines=$1 folder=$2
shift 2
spear-accel synth "$lines" -o "$folder" "$@" || spear-accel synth "$lines" -o "$folder" "$@" --retry-failed
