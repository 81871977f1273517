// Room: tests. The run that nothing befell, and how another one is held against it.
#pragma once

#include "tests/experiments/support.hpp"
#include "tests/faults/ledger.hpp"
#include "tests/tools/program.hpp"
#include "trace/schema.hpp"

#include <map>
#include <set>

namespace mneme::faults {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

/// MNEME_KILLS, the number of kills of the long form; a few where it is not set.
int kills();
/// MNEME_KILLS is set: everything at its full length.
bool thorough();

/// copy_ntm, traced in full and saved often.
Words train_words(const fs::path& out, const Words& more = {});
/// Goes on with the run, or starts it again where it has not come as far as its config.ini.
Words go_on_words(const fs::path& run);

struct Outcome {
  tools_test::Result result;
  Ledger ledger;
};
/// `mneme WORDS...` under the preloaded library; `fault` as in ledger.hpp, "" = only counted. `kill_after`: a SIGKILL
/// after so many milliseconds; -1 = none.
Outcome start(const Words& words, const std::string& fault = "", int kill_after = -1);

/// Made once for the whole program.
struct Straight {
  fs::path run;
  experiments::Config config;
  Ledger ledger;
  std::string metrics, best;
  std::map<std::string, std::string> checkpoints;  ///< content by file name
  trace::Layout layout;
  std::map<std::int64_t, trace::Episode> episodes;  ///< by sequence
  std::uint32_t count(Kind kind, Call call) const { return ledger.count[kind][call]; }
};
const Straight& straight();

/// What stands in a run's folder at any moment must be right: checkpoints as of the straight run, each committed
/// episode of each trace file, parts included, as of the straight run, and every file open to h5py.
class Judge {
 public:
  /// `gapless`: the episodes have no hole either. False where the disk had no room for some.
  explicit Judge(bool gapless = true) : gapless_(gapless) {}
  void look_at(const fs::path& run);
  /// As look_at(), and the run has come to the end that the straight one came to.
  void look_at_end(const fs::path& run);

  std::size_t episodes = 0, trace_files = 0, checkpoints = 0;  ///< looked at
  bool h5py = true;                                            ///< it is installed

 private:
  bool gapless_;
  std::set<std::string> known_;                            ///< files by path, size and time: looked at before
  std::map<std::string, std::vector<std::int64_t>> held_;  ///< sequences in a known file
};

/// Failed expectations of the running test so far.
int failures();

/// The last message of the program that names a file, the run's path as RUN.
std::string said(const tools_test::Result& result, const fs::path& run);
/// "3 checkpoints, 1 trace, 1 part": what is left of a run.
std::string left_in(const fs::path& run);

}  // namespace mneme::faults
