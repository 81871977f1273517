// Room: tests. Running the built program as a user does.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace mneme::tools_test {

namespace fs = std::filesystem;

struct Result {
  int code = -1;  ///< exit code; 1000 + signal where it was killed by one
  std::string out, err;
};

#ifdef __SANITIZE_ADDRESS__
inline constexpr bool kSanitized = true;  // many times slower, and needs all the address space
#else
inline constexpr bool kSanitized = false;
#endif

struct Setting {
  fs::path folder = {};                                 ///< where it runs
  std::map<std::string, std::string> environment = {};  ///< set on top of ours; "" removes
  /// Asked every few milliseconds while the program runs, with its process id: where it sends its signals.
  std::function<void(int process)> meanwhile = {};
  int ignored = 0;                ///< a signal that it ignores from its start
  std::size_t address_space = 0;  ///< bytes that it may map; 0 = all
  std::string stdout_to = {};     ///< a file instead of Result::out
  bool stdout_closed = false;     ///< a pipe whose reader is gone
  bool as_nobody = false;         ///< where we are root, whom no permission stops
  std::chrono::seconds patience = std::chrono::minutes(kSanitized ? 20 : 2);
};

/// `mneme WORDS...`; killed after setting.patience.
Result mneme(const std::vector<std::string>& words, const Setting& setting = {});

/// In a pseudo terminal of this size (where there is none, the test ends as skipped): types `keys` one after the other,
/// each when the screen has come to rest. `out` is everything that the program wrote. `end` runs when all keys are
/// typed.
struct Terminal {
  int rows = 40, columns = 100;
  std::map<std::string, std::string> environment = {};
  std::function<void(int process)> end = {};
  bool restored = false;  ///< set: the terminal's modes are as they were before
};
Result mneme_in_terminal(const std::vector<std::string>& words, const std::vector<std::string>& keys,
                         Terminal& terminal);

/// A folder of this test's own, empty at the start and removed at the end.
class Scratch {
 public:
  Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch();
  const fs::path& path() const { return path_; }
  fs::path operator/(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

/// Words that train a tiny NTM for 60 sequences within a second, into `folder`.
std::vector<std::string> tiny(const fs::path& folder, const std::vector<std::string>& more = {});

/// One tiny run with a trace, made once for the whole program and removed at its end.
const fs::path& tiny_run();

std::string read_file(const fs::path& path);

}  // namespace mneme::tools_test
