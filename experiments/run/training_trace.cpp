// Room: experiments. Sinks behind a training run.
#include "experiments/run/training_trace.hpp"

#include "core/error.hpp"
#include "trace/reader.hpp"

#include <algorithm>

namespace mneme::experiments {

namespace fs = std::filesystem;

namespace {

constexpr const char* kNotTraced = "; what led to the divergence is not traced";

}  // namespace

TracedSoFar traced_so_far(const fs::path& path) {
  TracedSoFar result;
  for (const fs::path& file : trace::trace_files(path)) {
    try {
      const trace::Reader reader(file);
      for (std::size_t i = 0; i < reader.episodes(); ++i) {
        const trace::Episode e = reader.summary(i);
        result.next_id = std::max(result.next_id, e.id + 1);
        result.highest = std::max(result.highest, e.sequence);
      }
    } catch (const FileError&) {  // not ours to judge here: `trace check` does
    }
  }
  return result;
}

TrainingTrace::TrainingTrace(const Config& config, Session& session, const fs::path& run, std::uint64_t sequences,
                             Notice notice)
    : folder_(run / "traces"), notice_(std::move(notice)), session_(&session), started_at_(sequences) {
  const trace::Level level = trace::parse_level(config.trace.text("level"));
  if (level == trace::Level::off) return;
  guarded([&] {
    std::error_code error;
    fs::create_directories(folder_, error);
    const fs::path path = folder_ / "train.trace.h5";
    const TracedSoFar before = traced_so_far(path);
    const trace::Layout layout =
        make_layout(config, session.task(), session.model().components(), "train", sequences, level);
    trace::SinkOptions options;
    options.budget_bytes = static_cast<std::uint64_t>(config.trace.integer("budget-mb")) * 1000 * 1000;
    options.first_episode = before.next_id;
    options.notice = notice_;
    sink_ = std::make_unique<trace::Sink>(path, layout, options);
    const auto every = static_cast<std::uint64_t>(config.trace.integer("every"));
    session.record(layout, every, std::max(sequences, static_cast<std::uint64_t>(before.highest + 1)));
  });
}

template <class F>
bool TrainingTrace::attempt(F f, const char* what_now) {
  std::string why;
  try {
    f();
    return true;
  } catch (const std::bad_alloc&) {
    why = "[trace] out of memory";
  } catch (const std::exception& e) {
    why = e.what();
  }
  notice_(why + what_now);
  return false;
}

template <class F>
void TrainingTrace::guarded(F f) {
  if (attempt(f, "; tracing stops here, training goes on")) return;
  sink_.reset();
  session_->stop_recording();
}

void TrainingTrace::take(Session& session) {
  if (!sink_) return;
  guarded([&] {
    if (const std::exception_ptr error = session.recording_error()) std::rethrow_exception(error);
    bool open = true;
    session.each_recorded([&](const trace::Episode& e) { open = sink_->append(e) && open; });
    if (!open) session.stop_recording();  // the sink has said why
  });
}

void TrainingTrace::flush() {
  if (sink_) guarded([&] { sink_->flush(true); });
}

void TrainingTrace::close() {
  if (sink_) guarded([&] { sink_->close(); });
  sink_.reset();
}

Recorder* TrainingTrace::divergence_recorder() {
  const Config& config = session_->config();
  const Components& parts = session_->model().components();
  const auto make = [&] {
    const trace::Level level = std::max(trace::parse_level(config.trace.text("level")), trace::Level::params);
    divergence_layout_ = make_layout(config, session_->task(), parts, "train", started_at_, level);
    divergence_.emplace(divergence_layout_, parts, session_->task().spec());
  };
  attempt(make, kNotTraced);
  return divergence_ ? &*divergence_ : nullptr;
}

void TrainingTrace::write_divergence() {
  if (!divergence_ || divergence_->count() == 0) return;
  const auto write = [&] {
    const fs::path path = folder_ / "diverged.trace.h5";
    trace::Sink sink(path, divergence_layout_, {.first_episode = traced_so_far(path).next_id});
    for (std::size_t i = 0; i < divergence_->count(); ++i) sink.append(divergence_->episode(i));
    sink.close();
  };
  attempt(write, kNotTraced);
}

}  // namespace mneme::experiments
