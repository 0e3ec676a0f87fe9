#!/bin/bash
# Scores one shard on each machine of a SLURM array; a shard that is stopped or requeued goes on where it was.
#
#   sbatch examples/slurm_array.sh runs/first --truth nasbench201/cifar10 --archs 1000 --seeds 3
#   zcbench scores merge runs/first/shard-* --out runs/first/all      # when the array has ended
#   zcbench rank runs/first/all --truth nasbench201/cifar10
#
# The first argument is a folder that all machines see, the others are options of 'zcbench bench'.
# ZCBENCH is the command, as "$HOME/venv/bin/zcbench"; without it that of the path.
#SBATCH --job-name=zcbench
#SBATCH --array=1-16
#SBATCH --cpus-per-task=8
#SBATCH --mem-per-cpu=2G
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@60
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=zcbench-%A-%a.log
set -euo pipefail

folder=$1
shift
shard=${SLURM_ARRAY_TASK_ID:?Expected a task of an array: submit this file with sbatch}
export OMP_NUM_THREADS=1
# srun makes the signal before the time limit reach zcbench, which then ends with everything saved.
exec ${ZCBENCH_LAUNCHER-srun} ${ZCBENCH:-zcbench} bench "$@" \
  --shard "$shard/$SLURM_ARRAY_TASK_COUNT" --workers "${SLURM_CPUS_PER_TASK:-2}" --out "$folder/shard-$shard"
