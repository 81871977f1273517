// Room: experiments. Training steps and evaluations of one configuration.
#include "experiments/run/session.hpp"

#include "core/error.hpp"
#include "core/prediction.hpp"
#include "core/stopped.hpp"
#include "experiments/judge/row_nats.hpp"
#include "experiments/run/checkpoint.hpp"
#include "trace/reader.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>

namespace mneme::experiments {

namespace {

/// pass() with every op's values searched; what is not finite is said to be in `sequences`.
template <class F>
void searched(Tape<float>& tape, const std::string& sequences, F pass) {
  const struct Searching {
    Tape<float>& tape;
    ~Searching() { tape.check_finite(false); }
  } searching{tape};
  tape.check_finite(true);
  try {
    pass();
  } catch (const NonFiniteError& e) {
    throw NonFiniteError(fmt::format("{} (in {})", e.what(), sequences));
  }
}

std::string numbers_text(const char* kind, std::uint64_t first, std::size_t count) {
  const std::uint64_t last = first + count - 1;
  return first == last ? fmt::format("{} {}", kind, first) : fmt::format("{}s {} to {}", kind, first, last);
}

/// What a draw is of, in words that a person can ask for again.
std::string episodes_text(const Draw& d) {
  const bool test = d.first >= kTestNumbers;
  return numbers_text(test ? "test episode" : "held-out episode", d.first - (test ? kTestNumbers : 0), d.rows);
}

bool all_finite(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

/// As training does, which sums losses in float32.
bool finite_cost(double nats) {
  return std::isfinite(static_cast<float>(nats));
}

}  // namespace

struct Session::Shard {
  std::size_t row_begin = 0, rows = 0;
  bool checked = false;
  Tape<float> tape;
  std::unique_ptr<Gradients<float>> gradients;
  Batch batch;
  Prediction prediction;
  double loss = 0;
  std::size_t numbers = 0;
  std::vector<double> nats, row_metrics, metrics;
  std::unique_ptr<Recorder> recorder;
  std::exception_ptr recording_error;
  std::vector<std::size_t> recorded_rows;
};

struct Session::Lane {
  Tape<float> tape;
  std::unique_ptr<Gradients<float>> gradients;  // never written: a tape is bound to some
  Batch batch;
  Prediction prediction;
  std::vector<double> nats, row_metrics;
};

Session::Session(const Config& config, int threads) : config_(config), workers_(threads) {
  task_ = tasks().find(config.task).make(config.task_options);
  ModelSetup setup;
  setup.batch = task_->spec();
  if (!config.memory.empty()) setup.memory = &memories().find(config.memory);
  setup.memory_options = config.memory_options;
  if (!config.controller.empty()) setup.controller = &controllers().find(config.controller);
  setup.controller_options = config.controller_options;
  const ModelPlugin& plugin = models().find(config.model);
  if (plugin.validate) plugin.validate(setup.batch);
  model_ = plugin.make<float>(Builder<float>(set_), config.model_options, setup);
  set_.initialize(config.seed);
  optimizer_ = optimizers().find(config.optimizer).make_float(config.optimizer_options, set_.flat_size());

  const Options& o = config.train;
  batch_ = o.size("batch");
  const std::string& loss = o.text("loss");
  loss_ = loss == "sequence" ? Loss::sequence : loss == "element" ? Loss::element : Loss::sum;
  rate_ = o.real("learning-rate");
  total_ = static_cast<double>(std::max<std::int64_t>(o.integer("max-sequences"), 1));
  const std::string& kind = o.text("schedule");
  schedule_ = {.kind = kind == "linear"   ? Schedule::Kind::linear
                       : kind == "cosine" ? Schedule::Kind::cosine
                       : kind == "step"   ? Schedule::Kind::step
                                          : Schedule::Kind::constant,
               .total = total_,
               .warmup = static_cast<double>(o.integer("schedule-warmup")),
               .hold = o.real("schedule-hold"),
               .floor = o.real("schedule-floor"),
               .factor = o.real("schedule-factor"),
               .every = static_cast<double>(o.integer("schedule-every"))};
  clip_ = {.element = o.real("clip-element"), .global_norm = o.real("clip-norm"), .usual_norm = o.real("clip-usual")};

  // As even as it goes: a short last shard would leave its thread waiting.
  const std::size_t n = (batch_ + o.size("shard-size") - 1) / o.size("shard-size");
  if ((batch_ + n - 1) / n < 3) set_.keep_transposed(false);
  const std::size_t metrics = task_->metrics().size();
  for (std::size_t i = 0, row = 0; i < n; ++i) {
    Shard& s = shards_.emplace_back();
    s.row_begin = row;
    s.rows = batch_ / n + (i < batch_ % n ? 1 : 0);
    row += s.rows;
    s.gradients = std::make_unique<Gradients<float>>(set_, 2 + 5 * i);
    s.tape.bind(s.gradients->leaves());
    shard_gradients_.push_back(s.gradients->flat());
    s.nats.resize(s.rows);
    s.row_metrics.resize(s.rows * metrics);
    s.metrics.resize(metrics);
  }
  report_.metrics.resize(metrics);
}

Session::~Session() = default;

std::size_t Session::shards() const {
  return shards_.size();
}

std::size_t Session::step_bytes() const {
  std::size_t bytes = set_.transposed_bytes();
  for (const Shard& s : shards_) bytes += s.tape.bytes() + set_.flat_size() * sizeof(float);
  return bytes;
}

void Session::sample(Shard& s, std::uint64_t first) const {
  task_->sample({config_.seed, "task", first, s.row_begin, s.rows}, s.batch);
  if (!s.checked) check(*task_, s.batch);
  s.checked = true;
  s.numbers = loss_ == Loss::element ? scored_numbers(s.batch) : 0;
}

void Session::check(const Task& task, const Batch& batch) const {
  batch.check(task.spec(), "task " + config_.task);
}

double Session::loss_scale(std::size_t numbers) const {
  switch (loss_) {
    case Loss::sequence: return 1 / static_cast<double>(batch_);
    case Loss::element: return 1 / static_cast<double>(std::max<std::size_t>(numbers, 1));
    case Loss::sum: return 1;
  }
  return 1;
}

Pass<float> Session::training_pass(Shard& s, std::uint64_t first, double scale) const {
  return {.tape = s.tape, .train = true, .loss_scale = scale, .seed = config_.seed, .sequence = first + s.row_begin};
}

void Session::score_rows(const Task& task, const Batch& batch, const Prediction& prediction, Var<float> logits,
                         std::vector<double>& nats, std::vector<double>& row_metrics) const {
  const std::size_t n = task.metrics().size();
  nats.resize(batch.size);
  row_metrics.resize(batch.size * n);
  row_nats(batch, logits.data, logits.shape.last(), nats);
  for (std::size_t b = 0; b < batch.size; ++b)
    task.score(batch, b, prediction, nats[b], {row_metrics.data() + b * n, n});
}

void Session::run_shard(Shard& s, std::uint64_t first, double scale) {
  Pass<float> pass = training_pass(s, first, scale);
  if (s.recorder) {
    recording(s, [&] {
      s.recorded_rows.clear();
      for (std::size_t b = 0; b < s.rows; ++b)
        if (const std::uint64_t n = pass.sequence + b; n >= record_from_ && n % record_every_ == 0)
          s.recorded_rows.push_back(b);
      if (!s.recorded_rows.empty()) check(*task_, s.batch);
      s.recorder->start(s.batch, s.recorded_rows);
      if (!s.recorded_rows.empty()) pass.look = s.recorder.get();
    });
  }
  s.tape.begin(true);
  const EndOfPass<float> end{s.tape};
  const Forward<float> f = model_->forward(s.batch, pass);
  s.loss = static_cast<double>(f.loss.data[0]);
  read_prediction(s.batch, f.logits, s.prediction);
  score_rows(*task_, s.batch, s.prediction, f.logits, s.nats, s.row_metrics);
  const std::size_t n = s.metrics.size();
  std::fill(s.metrics.begin(), s.metrics.end(), 0.0);
  for (std::size_t b = 0; b < s.rows; ++b)
    for (std::size_t m = 0; m < n; ++m) s.metrics[m] += s.row_metrics[b * n + m];
  s.tape.backward(f.loss);
}

float* Session::sum_gradients() {
  constexpr std::size_t range = 1 << 14;  // of two shards, what a core's second cache holds; worth waking a thread for
  const std::size_t n = set_.flat_size();
  if (shards_.size() > 1)
    workers_.run((n + range - 1) / range, [&](std::size_t i, std::size_t) {
      sum_shards<float>(shard_gradients_, i * range, std::min(n, (i + 1) * range));
    });
  return shard_gradients_[0];
}

const StepReport& Session::step(std::uint64_t first, std::uint64_t update) {
  if (loss_ == Loss::element) {
    // The divisor is the whole batch's, so every shard must be drawn before any is run.
    workers_.run(shards_.size(), [&](std::size_t i, std::size_t) { sample(shards_[i], first); });
    std::size_t numbers = 0;
    for (const Shard& s : shards_) numbers += s.numbers;
    const double scale = loss_scale(numbers);
    workers_.run(shards_.size(), [&](std::size_t i, std::size_t) { run_shard(shards_[i], first, scale); });
  } else {
    const double scale = loss_scale(0);
    workers_.run(shards_.size(), [&](std::size_t i, std::size_t) {
      sample(shards_[i], first);
      run_shard(shards_[i], first, scale);
    });
  }

  report_.loss = 0;
  std::fill(report_.metrics.begin(), report_.metrics.end(), 0.0);
  for (const Shard& s : shards_) {
    report_.loss += s.loss;
    for (std::size_t m = 0; m < s.metrics.size(); ++m) report_.metrics[m] += s.metrics[m];
  }
  float* g = sum_gradients();
  Limits limits;
  report_.gradient_norm = clip_gradient(set_, g, clip_, &usual_norm_, &limits);
  report_.rate = rate_ * schedule_.at(static_cast<double>(first));
  report_.finite = std::isfinite(report_.loss) && std::isfinite(report_.gradient_norm) && all_finite(report_.metrics);
  if (record_every_) {
    std::uint64_t hash = 0;
    for (Shard& s : shards_)
      recording(s, [&] {
        s.recorder->finish(s.batch, &s.prediction);
        for (std::size_t i = 0; i < s.recorder->count(); ++i) {
          if (!hash) hash = parameter_hash(set_);
          const std::size_t b = s.recorder->row(i);
          fill_episode(s.recorder->episode(i), *task_, config_.seed, first + s.row_begin + b, s.nats[b],
                       &s.row_metrics[b * s.metrics.size()], hash);
        }
      });
  }
  if (!report_.finite) return report_;
  optimizer_->update(set_, g, report_.rate, update, limits);
  set_.project();
  set_.refresh();
  return report_;
}

void Session::fill_episode(trace::Episode& e, const Task& task, std::uint64_t seed, std::uint64_t number, double nats,
                           const double* metrics, std::uint64_t hash) const {
  const double error = metrics ? metrics[task.solved_metric()] : NAN;
  static_assert(trace::kHeldOut == static_cast<std::int64_t>(kTestNumbers), "traces name held-out sequences by it");
  e.sequence = static_cast<std::int64_t>(number);
  e.seed = seed;
  e.checkpoint_hash = hash;
  e.loss = static_cast<float>(nats);
  e.error = static_cast<float>(error);
  e.correct = metrics && error <= task.solved_threshold();
}

void Session::explain(std::uint64_t first, Recorder* recorder) {
  std::size_t numbers = 0;
  for (Shard& s : shards_) {
    sample(s, first);
    numbers += s.numbers;
  }
  for (Shard& s : shards_) {
    Pass<float> pass = training_pass(s, first, loss_scale(numbers));
    if (recorder) {
      std::vector<std::size_t> rows(std::min<std::size_t>(s.rows, 8));
      for (std::size_t b = 0; b < rows.size(); ++b) rows[b] = b;
      recorder->start(s.batch, rows);
      pass.look = recorder;
    }
    try {
      searched(s.tape, numbers_text("sequence", pass.sequence, s.rows), [&] {
        s.tape.begin(true);
        const EndOfPass<float> end{s.tape};
        const Forward<float> f = model_->forward(s.batch, pass);
        s.tape.backward(f.loss);
      });
    } catch (const NonFiniteError&) {
      if (recorder) {
        recorder->finish(s.batch, nullptr);
        const std::uint64_t hash = parameter_hash(set_);
        for (std::size_t i = 0; i < recorder->count(); ++i)
          fill_episode(recorder->episode(i), *task_, config_.seed, first + s.row_begin + i, NAN, nullptr, hash);
      }
      throw;
    } catch (...) {  // out of memory
      if (recorder) recorder->forget();
      throw;
    }
  }
  if (recorder) recorder->forget();  // every pass was whole: none is the one at fault
  require_finite_state();
  for (std::size_t m = 0; m < report_.metrics.size(); ++m)
    if (!std::isfinite(report_.metrics[m]))
      fail<NonFiniteError>("finite guard", "{} is {}, of finite values alone (in {})", task_->metrics()[m].name,
                           report_.metrics[m], numbers_text("sequence", first, batch_));
  fail<NonFiniteError>("finite guard",
                       "loss {} and gradient norm {}: every op's values are finite, their sum is not (in sequence {})",
                       report_.loss, report_.gradient_norm, first);
}

void Session::require_finite_state() const {
  const auto search = [&](const std::string& whose, const float* flat) {
    for (const Parameter& p : set_.parameters())
      for (std::size_t i = 0; i < p.shape.size(); ++i)
        if (!std::isfinite(flat[p.offset + i]))
          fail<NonFiniteError>("finite guard", "{}parameter {} {} holds {} at {}", whose, p.name, p.shape.text(),
                               flat[p.offset + i], i);
  };
  search("", set_.flat());
  for (const auto& state : optimizer_->state())
    search(fmt::format("the optimizer's {} of ", state.name), state.values.data());
}

void Session::record(const trace::Layout& layout, std::uint64_t every, std::uint64_t from) {
  record_every_ = every;
  record_from_ = from;
  for (Shard& s : shards_) s.recorder = std::make_unique<Recorder>(layout, model_->components(), task_->spec());
}

void Session::stop_recording() {
  record_every_ = 0;
  for (Shard& s : shards_) {
    s.recorder.reset();
    s.recording_error = nullptr;
  }
}

void Session::each_recorded(const std::function<void(const trace::Episode&)>& f) {
  for (Shard& s : shards_)
    if (s.recorder && !s.recording_error)
      for (std::size_t i = 0; i < s.recorder->count(); ++i) f(s.recorder->episode(i));
}

template <class F>
void Session::recording(Shard& s, F f) const {
  if (s.recording_error) return;
  try {
    f();
  } catch (...) {
    s.recording_error = std::current_exception();
  }
}

std::exception_ptr Session::recording_error() const {
  for (const Shard& s : shards_)
    if (s.recording_error) return s.recording_error;
  return nullptr;
}

Pass<float> Session::pass(const Draw& draw, Lane& lane, Look<float>* look) const {
  return {.tape = lane.tape, .seed = draw.seed, .sequence = draw.first + draw.row_begin, .look = look};
}

Var<float> Session::forward(const Draw& draw, Lane& lane, Look<float>* look) const {
  lane.tape.begin(false);
  Pass<float> now = pass(draw, lane, look);
  return model_->forward(lane.batch, now).logits;
}

Var<float> Session::judge(const Task& task, const Draw& draw, Lane& lane, Look<float>* look, std::size_t beam,
                          const std::string& how) const {
  const EndOfPass<float> end{lane.tape};
  const Var<float> logits = forward(draw, lane, look);
  lane.tape.end();  // answers that feed back begin with the state that this pass began with
  Pass<float> answering = pass(draw, lane, nullptr);
  model_->predict(lane.batch, answering, {beam, task.validity()}, logits, lane.prediction);
  score_rows(task, lane.batch, lane.prediction, logits, lane.nats, lane.row_metrics);
  if (!std::all_of(lane.nats.begin(), lane.nats.end(), finite_cost) || !all_finite(lane.row_metrics) ||
      !all_finite(lane.prediction.score))
    explain_judged(task, draw, lane, look, how);
  return logits;
}

void Session::explain_judged(const Task& task, const Draw& draw, Lane& lane, Look<float>* look,
                             const std::string& how) const {
  const std::string episodes = episodes_text(draw) + (how.empty() ? "" : ", " + how);
  searched(lane.tape, episodes, [&] {
    const EndOfPass<float> end{lane.tape};
    forward(draw, lane, look);
  });
  require_finite_state();
  const std::size_t n = task.metrics().size();
  for (std::size_t b = 0; b < lane.nats.size(); ++b)
    for (std::size_t m = 0; m < n; ++m)
      if (!finite_cost(lane.nats[b]) || !std::isfinite(lane.row_metrics[b * n + m]))
        fail<NonFiniteError>("finite guard",
                             "cross-entropy {} and {} {}: every op's values are finite, these are not (in {})",
                             lane.nats[b], task.metrics()[m].name, lane.row_metrics[b * n + m], episodes);
  fail<InvariantError>("finite guard", "a second pass over {} is finite, the first was not", episodes);
}

void Session::evaluate(const Episodes& e, std::vector<double>& metrics) {
  const Task& task = e.task ? *e.task : *task_;
  const std::size_t n = task.metrics().size(), rows = std::max<std::size_t>(e.rows, 1);
  while (lanes_.size() < workers_.count()) {
    Lane& lane = lanes_.emplace_back();
    lane.gradients = std::make_unique<Gradients<float>>(set_, 2);
    lane.tape.bind(lane.gradients->leaves());
  }
  metrics.resize(e.count * n);
  std::atomic<bool> stopped = false;
  workers_.run((e.count + rows - 1) / rows, [&](std::size_t job, std::size_t worker) {
    if (!stopped && e.stop && e.stop()) stopped = true;
    if (stopped) return;
    const std::size_t begin = job * rows, now = std::min(rows, e.count - begin);
    Lane& lane = lanes_[worker];
    const Draw draw{e.seed, "eval", e.first + begin, 0, now};
    task.sample(draw, lane.batch);
    check(task, lane.batch);
    const std::unique_ptr<Look<float>> look = e.look ? e.look(begin, lane.batch) : nullptr;
    judge(task, draw, lane, look.get(), e.beam, e.how);
    std::copy_n(lane.row_metrics.data(), now * n, metrics.data() + begin * n);
  });
  if (stopped) fail<Stopped>("evaluate", "stopped before it was done");
}

trace::Episode& Session::trace_episode(const Episodes& e, std::size_t which, Recorder& recorder) {
  if (lanes_.empty()) {
    Lane& lane = lanes_.emplace_back();
    lane.gradients = std::make_unique<Gradients<float>>(set_, 2);
    lane.tape.bind(lane.gradients->leaves());
  }
  Lane& lane = lanes_[0];
  const Task& task = e.task ? *e.task : *task_;
  const std::size_t most = std::max<std::size_t>(e.rows, 1), row = which % most, begin = which - row;
  const Draw draw{e.seed, "eval", e.first + begin, 0, std::min(most, e.count - begin)};
  task.sample(draw, lane.batch);
  check(task, lane.batch);
  recorder.start(lane.batch, {&row, 1});
  // What was seen is the pass that knows the targets, so its outputs stand beside it, whatever the answer was.
  const Var<float> logits = judge(task, draw, lane, &recorder, 1);
  read_prediction(lane.batch, logits, lane.prediction);
  recorder.finish(lane.batch, &lane.prediction);
  fill_episode(recorder.episode(0), task, e.seed, e.first + which, lane.nats[row],
               &lane.row_metrics[row * task.metrics().size()], parameter_hash(set_));
  return recorder.episode(0);
}

}  // namespace mneme::experiments
