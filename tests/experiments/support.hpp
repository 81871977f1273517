// Room: tests. What the tests of experiments share: a folder that goes away, a small run, and children to be killed.
#pragma once

#include "core/json.hpp"
#include "core/stopped.hpp"
#include "experiments/config/config.hpp"
#include "experiments/run/checkpoint.hpp"
#include "experiments/run/session.hpp"
#include "experiments/run/trainer.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <regex>
#include <string>
#include <vector>

namespace mneme::experiments {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "mneme-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  fs::path operator/(const std::string& name) const { return path_ / name; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

inline std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}
inline void write_file(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// The message of the error E that f throws; "" and a failure where it throws none.
template <class E, class F>
std::string message_of(F f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  } catch (const std::exception& e) {
    ADD_FAILURE() << "another error: " << e.what();
    return "";
  }
  ADD_FAILURE() << "no error";
  return "";
}
inline void expect_has(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "no '" << part << "' in: " << text;
}

/// `given`, where `more` comes first.
inline std::vector<Assignment> merged(std::vector<Assignment> given, const std::vector<Assignment>& more) {
  for (const Assignment& a : more) {
    std::erase_if(given, [&](const Assignment& g) { return g.key == a.key; });
    given.push_back(a);
  }
  return given;
}

/// A run that takes milliseconds: NTM of 8 x 4 with an LSTM of 12 on short copies.
inline Config small(const std::vector<Assignment>& more = {}) {
  std::vector<Assignment> given = {{"task", "copy", ""},
                                   {"task.width", "3", ""},
                                   {"task.length", "1:4", ""},
                                   {"memory.slots", "8", ""},
                                   {"memory.width", "4", ""},
                                   {"controller.hidden", "12", ""},
                                   {"train.learning-rate", "1e-3", ""},
                                   {"train.max-sequences", "400", ""},
                                   {"train.log-every", "50", ""},
                                   {"train.eval-every", "100", ""},
                                   {"train.eval-episodes", "10", ""},
                                   {"train.checkpoint-every", "100", ""}};
  return Config::from(merged(given, more));
}

inline RunResult run(const Config& config, const fs::path& out, int threads = 1) {
  RunOptions options;
  options.out = out;
  options.threads = threads;
  return train(config, options);
}
inline RunResult go_on(const fs::path& out, const std::vector<Assignment>& given = {}, int threads = 1) {
  RunOptions options;
  options.threads = threads;
  return resume(out, given, options);
}

/// Everything but the clock's numbers: the arrays' bits, and the counters.
inline std::string content_of(const fs::path& checkpoint, const Config& config) {
  Session s(config, 1);
  RunState state;
  const CheckpointInfo info = load_checkpoint(checkpoint, s.parameters(), &s.optimizer(), &state);
  std::string text;
  for (const Parameter& p : s.parameters().parameters())
    text.append(reinterpret_cast<const char*>(s.parameters().flat() + p.offset), p.shape.size() * sizeof(float));
  for (const auto& b : s.parameters().buffers())
    text.append(reinterpret_cast<const char*>(b.values.data()), b.values.size() * sizeof(float));
  for (auto& o : s.optimizer().state())
    text.append(reinterpret_cast<const char*>(o.values.data()), o.values.size() * sizeof(float));
  for (double m : state.window_metrics) text += fmt::format(" {}", m);
  RunState::each(state, [&](const char* name, auto value) {
    if (std::string(name).find("seconds") == std::string::npos && std::string(name) != "metrics_bytes")
      text += fmt::format(" {}={}", name, value);
  });
  return text;
}

inline std::string last_content(const fs::path& run, const Config& config) {
  return content_of(list_checkpoints(run).back(), config);
}

/// metrics.jsonl without what a clock wrote.
inline std::string metrics_of(const fs::path& run) {
  return std::regex_replace(read_file(run / "metrics.jsonl"), std::regex("\"seconds\":[0-9.]+"), "\"seconds\":0");
}
inline Json run_json(const fs::path& run) {
  return parse_json(read_file(run / "run.json"));
}

/// f in a child process, as nobody where this one is root and `as_nobody`: its exit code, and what f returned.
struct Child {
  int code = -1;
  std::string text;
};
inline Child in_child(const std::function<std::string()>& f, bool as_nobody = false) {
  int ends[2];
  if (::pipe(ends) != 0) return {};
  const pid_t pid = ::fork();
  if (pid == 0) {
    int code = 0;
    std::string text;
    if (as_nobody && ::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) code = 99;
    try {
      if (code == 0) text = f();
    } catch (const std::exception& e) {
      text = e.what();
      code = 1;
    }
    [[maybe_unused]] const ssize_t written = ::write(ends[1], text.data(), text.size());
    ::_exit(code);
  }
  ::close(ends[1]);
  Child child;
  char buffer[4096];
  for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    child.text.append(buffer, static_cast<std::size_t>(n));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(pid, &status, 0);
  child.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return child;
}

}  // namespace mneme::experiments
