// Room: tests. What the program under test and its tester share: the calls on a run's files, counted.
//
// The preloaded library (preload/calls.cpp) maps the file named by MNEME_FAULT_LEDGER and counts there every call on a
// file of a run. MNEME_FAULT is "HOW KIND CALL N", and strikes at the N-th CALL on a KIND:
//   kill   SIGKILL instead of the call
//   tear   of this write, or the first after it that spans pages, only the first pages; then SIGKILL
//   full   from then on the disk is full: a last short write, then ENOSPC for every write on a run's
//          files, and for every sync where CALL is sync
//   quota  as full, but only for files of KIND
#pragma once

#include <cstdint>

namespace mneme::faults {

enum Kind { checkpoint, trace, metrics, text, kinds, none = kinds };
constexpr const char* kind_names[] = {"checkpoint", "trace", "metrics", "text"};
enum Call { create, write, sync, rename, truncate, remove, calls };
constexpr const char* call_names[] = {"create", "write", "sync", "rename", "truncate", "remove"};

/// In a mapped file, so that it outlives a SIGKILL.
struct Ledger {
  std::uint32_t count[kinds][calls] = {};
  std::int32_t inside = 0;  ///< 0, or 1 + the kind of the file that a call is busy with
  std::int32_t saving = 0;  ///< 1 from the creation of a checkpoint's part to its rename
  std::int32_t struck = 0;  ///< 1 = what was planned has happened
};

}  // namespace mneme::faults
