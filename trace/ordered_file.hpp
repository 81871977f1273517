// Room: trace. The HDF5 file driver that makes every flush a step between two readable files.
//
// For: trace/hdf5.cpp only. HDF5 rewrites its index and headers in place, in an order of its own; a kill or a full disk
// in the middle can leave an index that points to nothing. This driver holds all writes back until the flush and then
// writes
//   1. whatever lies past the end of the last flush (nothing points there yet; a full disk shows here, before any
//   harm),
//   2. the superblock, which knows the new length,
//   3. index nodes, parents before children (a split child is whole until its parent knows its new sibling),
//   4. rows in place, 5. object headers (which make the new rows visible),
// each piece of 2 to 5 at most a page a write, so that a kill falls between pieces.
// Invariants: nodes and headers never cross a page; nothing that the last flush can see moves or is freed (we only
// append); after a failure nothing more is written, the file is cut back to the last flush, and HDF5 never learns of
// it, so that closing cannot fail or crash. Exhaustive proof: tests/trace/fault_test.cpp stops after every single
// write. Requires: 64-bit file offsets; one thread at a time. Not against power loss: that is what sync() is for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace mneme::trace {

class OrderedFile {
 public:
  enum class How { create, append };
  /// Opens or truncates the file and locks it against other writers (not against readers). RuntimeFailure.
  OrderedFile(const std::filesystem::path& path, How how);
  OrderedFile(const OrderedFile&) = delete;
  OrderedFile& operator=(const OrderedFile&) = delete;
  ~OrderedFile();

  /// An HDF5 file access property list that leads to this object; the caller closes it.
  std::int64_t access_list();

  int error() const { return error_; }    ///< errno of the first failed write; 0 = none
  void discard() { discarding_ = true; }  ///< from here on nothing is written
  bool sync();                            ///< fsync

  // What HDF5 calls. False = the bytes could not be read.
  bool read(std::uint64_t address, std::size_t size, void* into) const;
  void write(int memory_type, std::uint64_t address, std::size_t size, const void* from);
  std::uint64_t allocate(int memory_type, std::uint64_t size);
  std::uint64_t allocated() const { return allocated_; }
  void set_allocated(std::uint64_t end) { allocated_ = end; }
  std::uint64_t end() const;
  void commit();
  const int* descriptor() const { return &fd_; }

 private:
  struct Piece {
    int type = 0;
    std::vector<unsigned char> bytes;
  };
  bool put(std::uint64_t address, const unsigned char* from, std::size_t size);
  bool put_by_page(std::uint64_t address, const std::vector<unsigned char>& bytes);
  bool write_out();
  void give_up();

  int fd_ = -1;
  int error_ = 0;
  bool discarding_ = false;
  bool in_place_ = false;        ///< between steps 2 and 5
  std::uint64_t allocated_ = 0;  ///< end of what HDF5 has allocated
  std::uint64_t committed_ = 0;  ///< allocated_ at the last commit
  std::uint64_t on_disk_ = 0;    ///< size of the file
  std::map<std::uint64_t, Piece> pieces_;
  std::vector<unsigned char> staging_;
};

}  // namespace mneme::trace
