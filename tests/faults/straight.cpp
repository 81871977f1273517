// Room: tests. See straight.hpp.
#include "tests/faults/straight.hpp"

#include "experiments/run/run_directory.hpp"
#include "places.hpp"
#include "tests/trace/sample.hpp"
#include "trace/reader.hpp"
#include "trace/sink.hpp"

#include <sys/mman.h>

#include <fcntl.h>
#include <csignal>

namespace mneme::faults {

namespace {

using experiments::Config;

constexpr int kTraceEvery = 4;

class LedgerFile {
 public:
  LedgerFile() : path_(folder_ / "ledger") {
    const int fd = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void* p = MAP_FAILED;
    if (fd >= 0 && ::ftruncate(fd, sizeof(Ledger)) == 0)
      p = ::mmap(nullptr, sizeof(Ledger), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0) ::close(fd);
    if (p == MAP_FAILED) throw std::runtime_error("no ledger");
    ledger_ = static_cast<Ledger*>(p);
  }
  ~LedgerFile() { ::munmap(ledger_, sizeof(Ledger)); }
  const fs::path& path() const { return path_; }
  const Ledger& read() const { return *ledger_; }

 private:
  tools_test::Scratch folder_;
  fs::path path_;
  Ledger* ledger_;
};

}  // namespace

int kills() {
  const char* given = std::getenv("MNEME_KILLS");
  return given ? std::atoi(given) : 10;
}

bool thorough() {
  return std::getenv("MNEME_KILLS") != nullptr;
}

Words train_words(const fs::path& out, const Words& more) {
  Words words = {"train",
                 "copy_ntm",
                 "--out",
                 out.string(),
                 fmt::format("--max-sequences={}", thorough() ? 1600 : 240),
                 "--train.stop-when-solved=false",
                 "--train.log-every=10",
                 "--train.eval-every=60",
                 "--train.eval-episodes=5",
                 "--train.checkpoint-every=40",
                 "--trace.level=full",
                 fmt::format("--trace.every={}", kTraceEvery)};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

Words go_on_words(const fs::path& run) {
  if (!fs::exists(run / "config.ini")) return train_words(run);
  return {"train", "--resume", run.string()};
}

Outcome start(const Words& words, const std::string& fault, int kill_after) {
  const LedgerFile ledger;
  tools_test::Setting setting;
  setting.environment = {{"LD_PRELOAD", MNEME_FAULTS_LIBRARY},
                         {"MNEME_FAULT_LEDGER", ledger.path().string()},
                         {"MNEME_FAULT", fault},
                         {"ASAN_OPTIONS", "verify_asan_link_order=0"}};
  const auto begin = std::chrono::steady_clock::now();
  if (kill_after >= 0)
    setting.meanwhile = [&](int process) {
      if (std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds(kill_after)) ::kill(process, SIGKILL);
    };
  Outcome outcome;
  outcome.result = tools_test::mneme(words, setting);
  outcome.ledger = ledger.read();
  return outcome;
}

const Straight& straight() {
  static const tools_test::Scratch folder;
  static const Straight made = [] {
    const fs::path run = folder / "straight";
    const Outcome o = start(train_words(run, {"--train.keep-checkpoints=100000"}));
    if (o.result.code != 0) throw std::runtime_error("the run without faults failed: " + o.result.err);
    Straight s;
    s.run = run;
    s.config = experiments::read_run_config(run);
    s.ledger = o.ledger;
    s.metrics = experiments::metrics_of(run);
    for (const fs::path& path : experiments::list_checkpoints(run))
      s.checkpoints[path.filename()] = experiments::content_of(path, s.config);
    s.best = experiments::content_of(experiments::best_checkpoint_path(run), s.config);
    for (const fs::path& path : trace::trace_files(run / "traces")) {
      const trace::Reader reader(path);
      s.layout = reader.layout();
      for (std::size_t i = 0; i < reader.episodes(); ++i) {
        trace::Episode e = reader.episode(i);
        const std::int64_t sequence = e.sequence;
        s.episodes.emplace(sequence, std::move(e));
      }
    }
    return s;
  }();
  return made;
}

void Judge::look_at(const fs::path& run) {
  const Straight& s = straight();
  const auto is_new = [&](const fs::path& path) {
    const auto time = fs::last_write_time(path).time_since_epoch().count();
    return known_.insert(fmt::format("{} {} {}", path.string(), fs::file_size(path), time)).second;
  };
  for (const fs::path& path : experiments::list_checkpoints(run)) {
    if (!is_new(path)) continue;
    ++checkpoints;
    const auto original = s.checkpoints.find(path.filename());
    ASSERT_NE(original, s.checkpoints.end()) << path;
    EXPECT_TRUE(experiments::content_of(path, s.config) == original->second) << path << " has other bits";
  }
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints", ignored))
    EXPECT_NE(entry.path().extension(), ".damaged") << entry.path();
  const fs::path best = experiments::best_checkpoint_path(run);
  if (fs::exists(best) && is_new(best)) {
    EXPECT_NO_THROW(experiments::inspect_checkpoint(best));
  }

  std::string fresh;
  std::vector<std::int64_t> sequences;
  for (const fs::path& path : trace::trace_files(run / "traces")) {
    std::vector<std::int64_t>& held = held_[path];
    if (is_new(path)) {
      fresh += fmt::format(" '{}'", path.string());
      ++trace_files;
      held.clear();
      const trace::Reader reader(path);
      for (std::size_t i = 0; i < reader.episodes(); ++i) {
        const trace::Episode e = reader.episode(i);
        held.push_back(e.sequence);
        const auto original = s.episodes.find(e.sequence);
        ASSERT_NE(original, s.episodes.end()) << path << " sequence " << e.sequence;
        trace::testing::expect_same(s.layout, original->second, reader.layout(), e);
        ++episodes;
      }
    }
    sequences.insert(sequences.end(), held.begin(), held.end());
  }
  for (std::size_t i = 0; gapless_ && i < sequences.size(); ++i)
    ASSERT_EQ(sequences[i], static_cast<std::int64_t>(i) * kTraceEvery) << "an episode is missing or there twice";
  if (fresh.empty() || !h5py) return;
  // Debian's h5py belongs to Debian's python3, which may not be the first one on PATH.
  const int status =
      std::system(fmt::format("/usr/bin/python3 '{}/tests/faults/open_traces.py'{}", MNEME_SOURCE_DIR, fresh).c_str());
  h5py = !WIFEXITED(status) || (WEXITSTATUS(status) != 77 && WEXITSTATUS(status) != 127);
  EXPECT_TRUE(status == 0 || !h5py) << "h5py cannot read" << fresh;
}

void Judge::look_at_end(const fs::path& run) {
  const Straight& s = straight();
  look_at(run);
  EXPECT_TRUE(fs::exists(run / "DONE"));
  const auto all = experiments::list_checkpoints(run);
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(all.back().filename(), s.checkpoints.rbegin()->first);
  EXPECT_TRUE(experiments::content_of(experiments::best_checkpoint_path(run), s.config) == s.best);
  EXPECT_EQ(experiments::metrics_of(run), s.metrics);
  std::size_t held = 0;
  for (const fs::path& path : trace::trace_files(run / "traces")) {
    EXPECT_EQ(path.extension(), ".h5") << "a part is left";
    held += held_[path].size();
  }
  EXPECT_TRUE(held == s.episodes.size() || !gapless_) << held << " episodes of " << s.episodes.size();
  for (const char* folder : {"", "checkpoints", "traces"})
    for (const auto& entry : fs::directory_iterator(run / folder)) {
      EXPECT_NE(entry.path().extension(), ".part") << entry.path();
      EXPECT_NE(entry.path().extension(), ".new") << entry.path();
    }
  const tools_test::Result check = tools_test::mneme({"trace", "check", run.string()});
  EXPECT_EQ(check.code, 0) << check.err;
}

int failures() {
  return ::testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count();
}

std::string said(const tools_test::Result& result, const fs::path& run) {
  std::istringstream lines(result.err);
  std::string text;
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("mneme: ") || line.starts_with("[")) text = line;
  const std::string path = run.string(), from_here = fs::relative(run).string();
  for (const std::string& name : {path, from_here})
    for (std::size_t at; (at = text.find(name)) != text.npos;) text.replace(at, name.size(), "RUN");
  return text;
}

std::string left_in(const fs::path& run) {
  std::map<std::string, int> count;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(run, error)) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_regular_file()) continue;
    if (name.ends_with(".trace.h5.part"))
      ++count["part of a trace"];
    else if (name.ends_with(".part") || name.ends_with(".new"))
      ++count["other part"];
    else if (name.ends_with(".ckpt.h5"))
      ++count["checkpoint"];
    else if (name.ends_with(".trace.h5"))
      ++count["trace"];
    else
      ++count["text"];
  }
  std::string text;
  for (const auto& [what, n] : count) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", n, what);
  return text.empty() ? "nothing" : text;
}

}  // namespace mneme::faults
