#!/usr/bin/env bash
#SBATCH --cpus-per-task=2
#SBATCH --time=04:00:00
#SBATCH --requeue
# A task of an array (--array=1-N) makes its shard; the task that ends last joins all. Requeued tasks go on.
set -euo pipefail
if [ $# -lt 2 ]; then echo "usage: sbatch --array=1-N slurm.sh LINES FOLDER [options of spear-accel synth]" >&2; exit 2; fi
lines=$1 folder=$2
shift 2
exec spear-accel synth "$lines" -o "$folder" --shard "${SLURM_ARRAY_TASK_ID}/${SLURM_ARRAY_TASK_COUNT}" "$@"
