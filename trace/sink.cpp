// Room: trace. See sink.hpp.
#include "trace/sink.hpp"

#include "core/error.hpp"
#include "trace/ordered_file.hpp"
#include "trace/reader.hpp"
#include "trace/writer.hpp"

#include <algorithm>
#include <new>
#include <optional>
#include <system_error>

namespace mneme::trace {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSuffix = ".trace.h5";

/// DIR/traces/train.trace.h5 or DIR/traces/train -> DIR/traces and "train".
struct Family {
  fs::path folder;
  std::string stem;

  explicit Family(const fs::path& path) : folder(path.parent_path()), stem(path.filename().string()) {
    if (folder.empty()) folder = ".";
    const std::string suffix = kSuffix;
    if (stem.size() > suffix.size() && stem.ends_with(suffix)) stem.resize(stem.size() - suffix.size());
  }

  fs::path finished(int number) const { return folder / fmt::format("{}.{:03}{}", stem, number, kSuffix); }
};

struct Member {
  int number;
  enum { finished, part, unborn } state;
  fs::path path;
};

/// Every file of the family that is there, by number.
std::vector<Member> members(const Family& family) {
  std::vector<Member> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(family.folder, error)) {
    std::string name = entry.path().filename().string();
    auto state = Member::finished;
    if (name.ends_with(".part.new")) {
      state = Member::unborn;
      name.resize(name.size() - 9);
    } else if (name.ends_with(".part")) {
      state = Member::part;
      name.resize(name.size() - 5);
    }
    if (!name.starts_with(family.stem + ".") || !name.ends_with(kSuffix)) continue;
    const std::size_t begin = family.stem.size() + 1, end = name.size() - std::string(kSuffix).size();
    if (end < begin + 3 || end > begin + 9) continue;
    const std::string digits = name.substr(begin, end - begin);
    if (!std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; })) continue;
    found.push_back({std::stoi(digits), state, entry.path()});
  }
  std::sort(found.begin(), found.end(), [](const Member& a, const Member& b) {
    return a.number != b.number ? a.number < b.number : a.state < b.state;
  });
  return found;
}

}  // namespace

struct Sink::Impl {
  Family family;
  Layout layout;
  SinkOptions options;
  std::optional<Writer> writer;
  int next_number = 0;
  std::int64_t appended = 0, committed = 0;  // of finished files
  std::uint64_t older_bytes = 0;
  bool exhausted = false, broken = false, closed = false;
  std::vector<fs::path> files;

  Impl(const fs::path& path, Layout l, SinkOptions o) : family(path), layout(std::move(l)), options(std::move(o)) {}

  void tell(const std::string& text) const {
    if (options.notice) options.notice(text);
  }

  /// What killed runs left: a .part with episodes gets its final name as it is (complete stays 0), one without is
  /// removed, a damaged one stays.
  void adopt() {
    for (const Member& m : members(family)) {
      next_number = std::max(next_number, m.number + 1);
      if (m.state != Member::finished) {
        const OrderedFile lock(m.path, OrderedFile::How::append);  // refuses while someone else writes it
        std::size_t episodes = 0;
        bool damaged = false;
        try {
          if (m.state == Member::part) episodes = Reader(m.path).episodes();
        } catch (const FileError& e) {
          damaged = true;
          tell(fmt::format("left as it is: {}", e.what()));
        }
        const fs::path target = family.finished(m.number);
        if (!damaged && episodes == 0) {
          std::error_code ignored;
          fs::remove(m.path, ignored);
        } else if (!damaged && !fs::exists(target)) {
          durable_rename(m.path, target);
          tell(fmt::format("{} of an interrupted run: {} episodes, now {}", m.path.filename().string(), episodes,
                           target.filename().string()));
        }
      }
    }
    for (const Member& m : members(family)) {
      std::error_code ignored;
      const auto bytes = fs::file_size(m.path, ignored);
      if (!ignored) older_bytes += bytes;
    }
  }

  void begin() {
    fs::path part = family.finished(next_number++);
    part += ".part";
    writer.emplace(part, layout, options.chunk_steps, options.first_episode + appended);
  }

  void finish(bool complete = true) {
    const fs::path part = writer->path();
    const std::int64_t taken = writer->appended();
    writer->close(complete);
    writer.reset();
    std::error_code ignored;
    if (taken == 0) {  // nothing in it
      fs::remove(part, ignored);
      --next_number;
      return;
    }
    appended += taken;
    committed += taken;
    fs::path target = part;
    target.replace_extension();  // .part
    durable_rename(part, target);
    const auto bytes = fs::file_size(target, ignored);
    if (!ignored) older_bytes += bytes;
    files.push_back(target);
  }

  void give_up() {
    broken = true;
    if (!writer) return;
    appended += writer->appended();
    committed += writer->committed();
    writer.reset();
  }

  /// Runs a write; a failure leaves the sink broken, its .part as the last commit left it.
  template <class F>
  void guarded(F&& f) {
    try {
      f();
    } catch (const ArgumentError&) {
      throw;
    } catch (const std::bad_alloc&) {
      give_up();
      fail<RuntimeFailure>((family.folder / family.stem).string(),
                           "there is no memory to log more episodes; those that were committed stay");
    } catch (...) {
      give_up();
      throw;
    }
  }
};

Sink::Sink(const fs::path& path, Layout layout, SinkOptions options)
    : impl_(std::make_unique<Impl>(path, std::move(layout), std::move(options))) {
  Impl& s = *impl_;
  for (SiteLayout& site : s.layout.sites) {
    for (Logged& v : site.values) v.declared.site = site.site.name;
  }
  validate(s.layout);
  std::error_code error;
  fs::create_directories(s.family.folder, error);
  if (error) fail<RuntimeFailure>(s.family.folder.string(), "cannot be created: {}", error.message());
  s.adopt();
  s.guarded([&] { s.begin(); });
}

Sink::~Sink() {
  Impl& s = *impl_;
  if (s.closed || s.broken || !s.writer) return;
  try {
    s.finish(false);
  } catch (...) {  // close() is there for those who want to know
  }
}

bool Sink::append(const Episode& episode) {
  Impl& s = *impl_;
  if (s.exhausted || s.broken) return false;
  if (s.closed) fail<InvariantError>(s.family.stem, "a closed trace takes no more episodes");
  s.guarded([&] {
    if (!s.writer) s.begin();
    if (s.options.budget_bytes && s.older_bytes + s.writer->bytes() >= s.options.budget_bytes) {
      s.exhausted = true;
      s.writer->mark_exhausted();
      s.writer->commit_all(false);
      s.tell(fmt::format("the trace budget of {:.1f} MB is used up after {} episodes: no more are logged",
                         static_cast<double>(s.options.budget_bytes) / 1e6, s.appended + s.writer->appended()));
      return;
    }
    s.writer->append(episode);
    if (s.options.rotate_bytes && s.writer->bytes() >= s.options.rotate_bytes) s.finish();
  });
  return !s.exhausted;
}

void Sink::flush(bool sync) {
  Impl& s = *impl_;
  if (s.writer && !s.broken) s.guarded([&] { s.writer->commit_all(sync); });
}

void Sink::close() {
  Impl& s = *impl_;
  if (s.closed) return;
  s.closed = true;
  if (s.writer && !s.broken) s.guarded([&] { s.finish(); });
}

const Layout& Sink::layout() const {
  return impl_->layout;
}
std::int64_t Sink::appended() const {
  return impl_->appended + (impl_->writer ? impl_->writer->appended() : 0);
}
std::int64_t Sink::committed() const {
  return impl_->committed + (impl_->writer ? impl_->writer->committed() : 0);
}
bool Sink::exhausted() const {
  return impl_->exhausted;
}
bool Sink::broken() const {
  return impl_->broken;
}
fs::path Sink::current() const {
  return impl_->writer ? impl_->writer->path() : fs::path();
}
const std::vector<fs::path>& Sink::files() const {
  return impl_->files;
}

std::vector<fs::path> trace_files(const fs::path& path) {
  std::vector<fs::path> files;
  std::error_code error;
  if (fs::is_directory(path, error)) {
    for (const auto& entry : fs::directory_iterator(path, error)) {
      const std::string name = entry.path().filename().string();
      if (name.ends_with(kSuffix) || name.ends_with(std::string(kSuffix) + ".part")) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
  } else if (fs::is_regular_file(path, error)) {
    files.push_back(path);
  } else {
    for (const Member& m : members(Family(path))) {
      if (m.state != Member::unborn) files.push_back(m.path);
    }
  }
  return files;
}

}  // namespace mneme::trace
