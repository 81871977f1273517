// Room: tests. Stands between the trace room and the kernel: records every write, or makes the k-th one fail; and makes
// memory run out.
//
// fault.cpp defines pwrite, ftruncate, fsync and rename for the whole test program and passes them on.
#pragma once

#include <cstdint>
#include <vector>

namespace mneme::trace::testing {

struct DiskOperation {
  bool truncate = false;  ///< to `offset`; else a write
  std::uint64_t offset = 0;
  std::vector<unsigned char> bytes;
};

struct Fault {
  bool recording = false;
  std::vector<DiskOperation> log;
  long writes = 0;       ///< pwrites seen since reset()
  long fail_from = -1;   ///< this pwrite and every later one fails; -1 = none
  long fail_until = -1;  ///< ... up to this one, which works again; -1 = for ever
  int error = 0;         ///< errno of the failure
  long news = 0;         ///< calls of operator new since reset()
  long fail_new = -1;    ///< this one finds no memory; -1 = none
  bool fail_fsync = false, fail_rename = false;

  void reset() { *this = Fault(); }
};

Fault& fault();

}  // namespace mneme::trace::testing
