// SPDX-License-Identifier: MIT
// The files of a run's checkpoints: FILE is always the newest, and with --keep K the last K are
// beside it under names that say their step, "w-step20.safetensors".
#ifndef PARALLEL_RUN_CHECKPOINT_FILES_H
#define PARALLEL_RUN_CHECKPOINT_FILES_H

#include "core/base/status.h"

#include <stddef.h>
#include <stdint.h>

// The name of the checkpoint after so many steps. ERR_USAGE when it is too long.
Status checkpoint_files_name(char *out, size_t size, const char *path, int64_t step) MUST_USE;

// `path` becomes another name of the file `named`, at once: whoever opens it finds the old file or
// the new one, whole. ERR_IO.
Status checkpoint_files_publish(const char *path, const char *named) MUST_USE;

// Remove checkpoints of this name but for the `keep` newest of those after at most `step` steps.
// Later ones, of a run that went further, stay. ERR_IO.
Status checkpoint_files_rotate(const char *path, int64_t step, int keep) MUST_USE;

// Remove what processes that were killed while they saved such files have left (file_sweep()).
Status checkpoint_files_sweep(const char *path) MUST_USE;

// With --save-shards: a rank's file after so many steps, of the checkpoint with this hash,
// "w-step20-3f0a91c7-00001-of-00002.safetensors", and the index, "w.safetensors.index.json".
// ERR_USAGE when a name is too long.
Status checkpoint_files_shard(char *out, size_t size, const char *path, int64_t step,
                              const char *hash, int rank, int ranks) MUST_USE;
Status checkpoint_files_index(char *out, size_t size, const char *path) MUST_USE;

// Remove ranks' files of other checkpoints, which no index of this name tells of any more. ERR_IO.
Status checkpoint_files_keep_shards(const char *path, int64_t step, const char *hash) MUST_USE;

#endif
