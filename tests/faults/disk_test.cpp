// Room: tests. Disks that are full, files that are cut, folders that may not be written: what the program says,
// what is left, and that the run goes on to its bits afterwards.
#include "experiments/run/run_directory.hpp"
#include "tests/faults/straight.hpp"

#include <sys/mount.h>
#include <unistd.h>

#include <csignal>

namespace mneme::faults {
namespace {

void copy_run(const fs::path& from, const fs::path& to) {
  fs::copy(from, to, fs::copy_options::recursive);
}

/// A run that was killed half way, with a part of a checkpoint and of a trace.
const fs::path& half_way() {
  static const tools_test::Scratch folder;
  static const fs::path made = [] {
    const fs::path run = folder / "half";
    const Outcome o =
        start(train_words(run), fmt::format("kill checkpoint rename {}", straight().checkpoints.size() / 2));
    EXPECT_EQ(o.result.code, 1000 + SIGKILL) << o.result.err;
    return run;
  }();
  return made;
}

/// Goes on without faults and compares. "yes", or "NO".
std::string resumes(const fs::path& run, bool gapless = true) {
  const int before = failures();
  const tools_test::Result r = tools_test::mneme(go_on_words(run));
  EXPECT_EQ(r.code, 0) << r.err;
  Judge(gapless).look_at_end(run);
  return failures() == before ? "yes" : "NO";
}

class Report {
 public:
  explicit Report(const char* title) { text_ = fmt::format("\n{:<46} exit  resumes  left\n", title); }
  void add(const std::string& point, int code, const std::string& resumed, const std::string& left,
           const std::string& said) {
    text_ += fmt::format("{:<46} {:>4}  {:<7}  {}\n", point, code, resumed, left);
    if (!said.empty()) text_ += fmt::format("    {}\n", said);
  }
  ~Report() { fmt::print("{}\n", text_); }

 private:
  std::string text_;
};

TEST(FullDisk, IsOneMessageAndTheRunGoesOnLater) {
  const Straight& s = straight();
  struct Case {
    const char* point;
    const char* how;
    Kind kind;
    Call call;
    std::uint32_t number;
    int code;
    const char* file;
    bool resumed = false;  ///< goes on with half_way()
  };
  const std::vector<Case> cases = {
      {"config.ini", "full", text, write, 1, 1, "config.ini"},
      {"run.json", "full", text, write, 2, 1, "run.json"},
      {"metrics.jsonl, first line", "full", metrics, write, 1, 1, "metrics.jsonl"},
      {"metrics.jsonl, half way", "full", metrics, write, s.count(metrics, write) / 2, 1, "metrics.jsonl"},
      {"checkpoint, first write", "full", checkpoint, write, 1, 1, "checkpoints/"},
      {"checkpoint, half way", "full", checkpoint, write, s.count(checkpoint, write) / 2, 1, "checkpoints/"},
      {"checkpoint, last write", "full", checkpoint, write, s.count(checkpoint, write), 1, "checkpoints/"},
      {"checkpoint, fsync", "full", checkpoint, sync, s.count(checkpoint, sync) / 2, 1, "checkpoints/"},
      {"trace, first write", "full", trace, write, 1, 1, "traces/"},
      {"trace, half way", "full", trace, write, s.count(trace, write) / 2, 1, "traces/"},
      {"trace alone (a quota), half way", "quota", trace, write, s.count(trace, write) / 2, 0, "traces/"},
      {"run.json at the end", "full", text, write, s.count(text, write) - 1, 1, "run.json"},
      {"DONE", "full", text, write, s.count(text, write), 1, "DONE"},
      {"resume, run.json", "full", text, write, 1, 1, "run.json", true},
      {"resume, trace", "full", trace, write, 1, 1, "traces/", true},
      {"resume, metrics.jsonl", "full", metrics, write, 1, 1, "metrics.jsonl", true},
      {"resume, checkpoint", "full", checkpoint, write, 1, 1, "checkpoints/", true}};
  Report report("disk full from this write on");
  for (std::size_t i = 0; i < cases.size(); i += thorough() ? 1 : 2) {  // the short form takes every other one
    const Case& c = cases[i];
    SCOPED_TRACE(c.point);
    const tools_test::Scratch folder;
    const fs::path run = folder / "run";
    if (c.resumed) copy_run(half_way(), run);
    const Outcome o =
        start(go_on_words(run), fmt::format("{} {} {} {}", c.how, kind_names[c.kind], call_names[c.call], c.number));
    EXPECT_EQ(o.ledger.struck, 1);
    EXPECT_EQ(o.result.code, c.code) << o.result.err;
    EXPECT_NE(o.result.err.find("No space left on device"), std::string::npos) << o.result.err;
    const std::string message = said(o.result, run);
    EXPECT_NE(o.result.err.find(c.file), std::string::npos) << o.result.err;
    const bool gapless = c.code != 0;  // who goes on without a trace has none of that time
    Judge(gapless).look_at(run);
    const std::string left = left_in(run);
    EXPECT_EQ(left.find("other part"), std::string::npos) << left;
    report.add(c.point, o.result.code, resumes(run, gapless), left, message);
  }
}

TEST(FullDisk, AFileSystemThatIsFull) {
  const tools_test::Scratch folder;
  const fs::path disk = folder / "disk", run = disk / "run";
  fs::create_directory(disk);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=4m") != 0) GTEST_SKIP() << "no right to mount a tmpfs";
  const struct Mounted {
    const fs::path& path;
    ~Mounted() { EXPECT_EQ(::umount(path.c_str()), 0); }
  } mounted{disk};
  Report report("a file system of 4 MB");
  const tools_test::Result r = tools_test::mneme(train_words(run));
  EXPECT_EQ(r.code, 1) << r.err;
  EXPECT_NE(r.err.find("No space left on device"), std::string::npos) << r.err;
  const std::string left = left_in(run), message = said(r, run);
  Judge().look_at(run);
  EXPECT_EQ(::mount("tmpfs", disk.c_str(), "tmpfs", MS_REMOUNT, "size=400m"), 0);
  report.add("train", r.code, resumes(run), left, message);
}

TEST(Truncation, OfTheOnlyCheckpointIsExitThreeAndChangesNothing) {
  const tools_test::Scratch folder;
  const fs::path run = folder / "run";
  copy_run(straight().run, run);
  const auto all = experiments::list_checkpoints(run);
  for (std::size_t i = 0; i + 1 < all.size(); ++i) fs::remove(all[i]);
  const fs::path last = all.back(), whole = folder / "whole.h5";
  fs::copy_file(last, whole);
  const std::size_t size = fs::file_size(whole);
  const std::size_t step = thorough() ? 1000 : size / 12;
  std::map<std::string, int> reasons;
  int cuts = 0, wrong = 0;
  for (std::size_t n = 0; n < size; n += step, ++cuts) {
    fs::copy_file(whole, last, fs::copy_options::overwrite_existing);
    fs::resize_file(last, n);
    const std::string metrics = tools_test::read_file(run / "metrics.jsonl");
    const std::string cut = tools_test::read_file(last);
    const int before = failures();
    const tools_test::Result r = tools_test::mneme({"train", "--resume", run.string()});
    EXPECT_EQ(r.code, 3) << "cut at " << n << ": " << r.err;
    EXPECT_NE(r.err.find(last.filename().string()), std::string::npos) << r.err;
    EXPECT_NE(r.err.find("\nno checkpoint of this run can be read\n"), std::string::npos) << r.err;
    EXPECT_TRUE(tools_test::read_file(last) == cut && tools_test::read_file(run / "metrics.jsonl") == metrics);
    wrong += failures() > before;
    std::string reason = r.err.substr(std::min(r.err.find("mneme: "), r.err.size()));
    reason = std::regex_replace(reason.substr(0, reason.find('\n')), std::regex("[0-9]{2,}|\\b[1-9]\\b"), "N");
    ++reasons[reason.substr(std::min(reason.find("] ") + 2, reason.size()))];
  }
  fmt::print("\nthe only checkpoint ({} bytes) cut to each multiple of {} bytes: {} cuts, {} wrong\n", size, step, cuts,
             wrong);
  for (const auto& [text, n] : reasons) fmt::print("{:>6}  exit 3: {}\n", n, text);
  fs::copy_file(whole, last, fs::copy_options::overwrite_existing);
  EXPECT_EQ(resumes(run), "yes") << "nothing is lost when the file comes back";
}

TEST(Truncation, OfTheNewestCheckpointGoesBackOne) {
  const tools_test::Scratch folder;
  const std::size_t size = fs::file_size(experiments::list_checkpoints(straight().run).back());
  const int cuts = thorough() ? 10 : 2;
  Report report("the newest checkpoint cut to");
  for (int i = 0; i < cuts; ++i) {
    const fs::path run = folder / fmt::format("run-{}", i);
    copy_run(straight().run, run);
    const fs::path last = experiments::list_checkpoints(run).back();
    const std::size_t n = size * static_cast<std::size_t>(i) / static_cast<std::size_t>(cuts);
    fs::resize_file(last, n);
    const tools_test::Result r = tools_test::mneme({"train", "--resume", run.string()});
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_NE(r.err.find("going back to the checkpoint before it"), std::string::npos) << r.err;
    EXPECT_TRUE(fs::exists(last.string() + ".damaged"));
    fs::remove(last.string() + ".damaged");
    const int before = failures();
    Judge().look_at_end(run);
    report.add(fmt::format("{} of {} bytes", n, size), r.code, failures() == before ? "yes" : "NO", left_in(run), "");
    fs::remove_all(run);
  }
}

TEST(ReadOnly, IsOneMessageAndHarmsNothing) {
  constexpr unsigned nobody = 65534;
  const bool root = ::geteuid() == 0;
  const tools_test::Scratch folder;
  fs::permissions(folder.path(), fs::perms(0755));
  tools_test::Setting as_nobody;
  as_nobody.as_nobody = true;
  if (tools_test::mneme({"--version"}, as_nobody).code != 0) GTEST_SKIP() << "user nobody may not run the program";
  struct Case {
    const char* point;
    const char* locked;  ///< folder of the run; "/" = the one that the run is to be made in
    Words words;         ///< "RUN" stands for the run
    int code;
    const char* says;
    bool gapless = true;
  };
  const std::vector<Case> cases = {
      {"train into a folder that is locked", "/", train_words("RUN"), 1, "ermission denied"},
      {"train --resume, the run locked", "", {"train", "--resume", "RUN"}, 1, "ermission denied"},
      {"train --resume, checkpoints/ locked", "checkpoints", {"train", "--resume", "RUN"}, 1, "ermission denied"},
      {"train --resume, traces/ locked",
       "traces",
       {"train", "--resume", "RUN"},
       0,
       "tracing stops here, training goes on",
       false},
      {"eval, the run locked", "", {"eval", "RUN", "--episodes", "2"}, 0, ""},
      {"replay --verify, the run locked", "", {"replay", "RUN", "--verify"}, 0, ""},
      {"trace check, the run locked", "", {"trace", "check", "RUN"}, 0, ""},
      {"trace render, the run locked", "", {"trace", "render", "RUN"}, 1, "ermission denied"}};
  Report report(root ? "read-only, as nobody" : "read-only");
  for (const Case& c : cases) {
    SCOPED_TRACE(c.point);
    const bool fresh = std::string(c.locked) == "/";
    const fs::path above = folder / "locked", run = above / "run";
    fs::create_directory(above);
    if (!fresh) copy_run(half_way(), run);
    const auto own = [&](const fs::path& path) {
      EXPECT_TRUE(!root || ::chown(path.c_str(), nobody, nobody) == 0) << path;
    };
    own(above);
    if (!fresh) own(run);
    for (const auto& entry : fs::recursive_directory_iterator(above)) own(entry.path());
    std::vector<fs::path> locked;
    if (fresh)
      locked = {above};
    else
      locked = {run / c.locked};
    if (!fresh && !*c.locked)
      for (const auto& entry : fs::recursive_directory_iterator(run)) locked.push_back(entry.path());
    std::vector<fs::perms> before;
    for (const fs::path& path : locked) {
      before.push_back(fs::status(path).permissions());
      fs::permissions(path, fs::perms(fs::is_directory(path) ? 0555 : 0444));
    }
    const std::string left_before = left_in(run);
    Words words = c.words;
    for (std::string& w : words)
      if (w == "RUN") w = run.string();
    const tools_test::Result r = tools_test::mneme(words, as_nobody);
    EXPECT_EQ(r.code, c.code) << r.err;
    EXPECT_NE(r.err.find(c.says), std::string::npos) << r.err;
    EXPECT_TRUE(c.code == 0 || r.err.rfind("mneme: ") == r.err.find("mneme: ")) << "more than one message: " << r.err;
    const std::string left = left_in(run);
    EXPECT_TRUE(left == left_before || (!fresh && *c.locked)) << left;
    for (std::size_t i = 0; i < locked.size(); ++i) fs::permissions(locked[i], before[i]);
    report.add(c.point, r.code, resumes(run, c.gapless), left, c.code == 0 && !*c.says ? "" : said(r, run));
    fs::remove_all(above);
  }
}

}  // namespace
}  // namespace mneme::faults
