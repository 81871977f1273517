// Room: experiments. What a run ran on: program, compiler, flags, CPU, BLAS, libraries, machine.
#pragma once

#include <string>

namespace mneme::experiments {

/// One JSON object: version, git_rev, git_dirty, compiler, flags, build_type, cpu, cores, blas, blas_threads,
/// libraries {name: version}, host, os.
std::string environment_json();

/// "2024-05-01T12:00:00Z"
std::string utc_now();

/// "20240501-120000", where we are
std::string local_now();

/// The largest resident size so far, in megabytes.
double peak_memory_mb();

}  // namespace mneme::experiments
