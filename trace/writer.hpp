// Room: trace. One trace file being written. Sink (sink.hpp) strings several together; nobody else needs it.
//
// Invariants: rows of compressed datasets reach HDF5 in whole chunks only, so no chunk on disk is ever rewritten; an
// episode's row is written after a flush of all its step, keyframe and item rows, and is flushed itself.
// Requires: validate(layout) passed.
#pragma once

#include "trace/hdf5.hpp"
#include "trace/schema.hpp"
#include "trace/specs.hpp"

#include <array>
#include <deque>
#include <filesystem>

namespace mneme::trace {

class Writer {
 public:
  /// Creates the file: first under PATH.new, renamed when it is a sound, empty trace. RuntimeFailure where another
  /// process writes it, or PATH holds anything: that stays.
  Writer(std::filesystem::path path, Layout layout, std::size_t chunk_steps, std::int64_t first_episode);

  void append(const Episode& e);     ///< commits what has become whole; ArgumentError before anything is taken
  void commit_all(bool sync);        ///< pads the last chunks, so that every episode is on disk
  void mark_exhausted();             ///< the size budget's attribute; reaches the disk with the next commit
  void close(bool complete = true);  ///< commits all without padding, complete = 1 where it is, fsync

  const Layout& layout() const { return layout_; }
  const std::filesystem::path& path() const { return path_; }
  std::int64_t appended() const { return appended_; }
  std::int64_t committed() const { return committed_; }
  std::uint64_t bytes() const { return file_.size() + pending_bytes_; }  ///< pending ones uncompressed

 private:
  enum AxisId { kStep, kKeyframe, kItemRow, kEdgeRow, kTokenRow, kEpisode, kAxes };
  struct Column {
    Dataset dataset;
    ColumnSpec spec;
    AxisId axis = kStep;
    std::size_t row_bytes = 0;
    std::vector<unsigned char> pending = {};
  };
  struct Rows {
    std::size_t chunk = 1, pending = 0, written = 0;
  };
  struct Waiting {
    std::size_t step_end, keyframe_end;
  };

  void create(const std::filesystem::path& path) const;
  void fill(File& f) const;
  void open_columns();
  std::size_t add_column(ColumnSpec spec);
  static AxisId axis_id(const std::string& name);
  void check(const Episode& e) const;
  void put(std::size_t column, const void* values, std::size_t bytes);
  template <class T>
  void put_one(std::size_t column, T value) {
    put(column, &value, sizeof value);
  }
  void put_derived(const Episode& e);
  void write_rows(AxisId axis, std::size_t rows);
  void pad(AxisId axis);
  void commit(bool everything);

  std::filesystem::path path_;
  Layout layout_;
  std::int64_t next_id_;
  std::int64_t appended_ = 0, committed_ = 0;
  std::uint64_t pending_bytes_ = 0;
  File file_;
  std::vector<Column> columns_;
  std::size_t first_derived_ = 0, first_initial_ = 0, first_episode_ = 0;
  std::array<int, kAxes> scale_{};  ///< column of each axis' own scale, -1 = none
  std::array<Rows, kAxes> rows_{};
  std::deque<Waiting> waiting_;
  std::vector<float> entropy_;
  std::vector<std::int32_t> argmax_;
  Dataset complete_;
};

}  // namespace mneme::trace
