// Room: experiments. Sinks behind a training run.
#include "experiments/training_trace.hpp"

#include "core/error.hpp"
#include "trace/reader.hpp"

#include <algorithm>

namespace mneme::experiments {

namespace fs = std::filesystem;

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
    : folder_(run / "traces"), notice_(std::move(notice)), session_(&session) {
  const trace::Level level = trace::parse_level(config.trace.text("level"));
  const ModelParts parts = session.model().parts();
  divergence_layout_ =
      make_layout(config, session.task(), parts, "train", sequences, std::max(level, trace::Level::params));
  divergence_.emplace(divergence_layout_, parts);
  if (level == trace::Level::off) return;
  guarded([&] {
    std::error_code error;
    fs::create_directories(folder_, error);
    const fs::path path = folder_ / "train.trace.h5";
    const TracedSoFar before = traced_so_far(path);
    const trace::Layout layout = make_layout(config, session.task(), parts, "train", sequences, level);
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
void TrainingTrace::guarded(F f) {
  try {
    f();
  } catch (const Error& e) {
    sink_.reset();
    session_->stop_recording();
    notice_(std::string(e.what()) + "; tracing stops here, training goes on");
  }
}

void TrainingTrace::take(Session& session) {
  if (!sink_) return;
  guarded([&] {
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

void TrainingTrace::write_divergence() {
  if (!divergence_ || divergence_->count() == 0) return;
  guarded([&] {
    fs::create_directories(folder_);
    trace::Sink sink(folder_ / "diverged.trace.h5", divergence_layout_);
    for (std::size_t i = 0; i < divergence_->count(); ++i) sink.append(divergence_->episode(i));
    sink.close();
  });
}

}  // namespace mneme::experiments
