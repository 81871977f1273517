// Room: trace. Whole files or none: beside, then renamed. For traces, checkpoints, run.json, figures, ...
//
// Invariants: what stands under the final name is the old file or the new one, whole, also after a power loss.
// Errors: RuntimeFailure, naming the file.
#pragma once

#include <filesystem>
#include <string>

namespace mneme::trace {

/// A whole file at once or not at all: write to part(), then commit(): fsync, rename to the final name, fsync of the
/// folder. Without commit() the destructor removes the part, unless somebody else is writing it.
class AtomicFile {
 public:
  /// What of a part is there already. A file of the program's own is written again after a kill: the part that the kill
  /// left is taken over. Where a user says the name, the part may be anything: ArgumentError, and it stays.
  enum class Old { taken_over, refused };
  explicit AtomicFile(std::filesystem::path final_path, Old old = Old::taken_over);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();
  const std::filesystem::path& part() const { return part_; }
  const std::filesystem::path& final_path() const { return final_; }
  void commit();

 private:
  std::filesystem::path final_, part_;
  bool committed_ = false;
};

/// The same for a folder that is not there yet, or empty: fill part(), then commit(). ArgumentError where the final
/// name holds something already, or another AtomicFolder's part stands in the way.
class AtomicFolder {
 public:
  explicit AtomicFolder(std::filesystem::path final_path);
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;
  ~AtomicFolder();
  const std::filesystem::path& part() const { return part_; }
  void commit();

 private:
  std::filesystem::path final_, part_;
  bool committed_ = false;
};

/// The one rule of whatever writes results where it is told to: what exists stays, unless `force` (--force); and a part
/// of that name (another process's, or what a kill left) stays always. ArgumentError names it; to be called for all
/// files before the first is written.
void expect_free(const std::filesystem::path& path, bool force);
/// fsync(from), rename(from, to), fsync(folder of to). RuntimeFailure names both.
void durable_rename(const std::filesystem::path& from, const std::filesystem::path& to);
/// Removes a file unless it is locked, as File::create() locks what it writes.
void remove_unless_held(const std::filesystem::path& path) noexcept;
/// Writes a text beside, then renames it: the reader sees the old text or the new one. RuntimeFailure where another
/// process is writing it.
void write_text_atomically(const std::filesystem::path& path, const std::string& text);

}  // namespace mneme::trace
