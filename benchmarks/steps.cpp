#include "benchmarks/steps.hpp"

#include "core/batch.hpp"
#include "core/random.hpp"

#include <algorithm>
#include <cmath>

namespace mneme::bench {

namespace {

std::unique_ptr<Task> copy_task(std::size_t low, std::size_t high, bool mixed) {
  const TaskPlugin& plugin = tasks().find("copy");
  return plugin.make(plugin.options.parse("task", {{"length", std::to_string(low) + ":" + std::to_string(high)},
                                                   {"mixed-lengths", mixed ? "true" : "false"}}));
}

/// The batch from sequence `first` on, whole and in shards as even as it goes.
void add_batch(Case& to, const Task& task, std::uint64_t first, std::size_t rows, std::size_t shard_rows) {
  task.sample({.first = first, .rows = rows}, to.batches.emplace_back());
  const std::size_t n = (rows + shard_rows - 1) / shard_rows;
  std::vector<Batch>& shards = to.shards.emplace_back();
  for (std::size_t i = 0, row = 0; i < n; ++i) {
    const std::size_t count = rows / n + (i < rows % n ? 1 : 0);
    task.sample({.first = first, .row_begin = row, .rows = count}, shards.emplace_back());
    row += count;
  }
}

}  // namespace

Case one_length_case(std::size_t rows, std::size_t low, std::size_t high, std::size_t shard_rows) {
  Case c;
  c.name = low == high ? fmt::format("length {}, B={}", low, rows) : fmt::format("length {}-{}, B={}", low, high, rows);
  std::vector<std::size_t> lengths;
  for (std::size_t l = low; l <= high; ++l) lengths.push_back(l);
  Random random(1, "shuffle");
  for (std::size_t i = lengths.size(); i-- > 1;)
    std::swap(lengths[i], lengths[static_cast<std::size_t>(random.integer(0, static_cast<std::int64_t>(i)))]);
  std::uint64_t first = 0;
  for (std::size_t l : lengths) {
    add_batch(c, *copy_task(l, l, false), first, rows, shard_rows);
    first += rows;
  }
  return c;
}

Case mixed_case(std::size_t rows, std::size_t count, std::size_t shard_rows) {
  Case c;
  c.name = fmt::format("mixed 1-20, B={}", rows);
  const auto task = copy_task(1, 20, true);
  for (std::size_t i = 0; i < count; ++i) add_batch(c, *task, i * rows, rows, shard_rows);
  return c;
}

Case story_case(const experiments::Config& config) {
  Case c;
  const auto task = tasks().find(config.task).make(config.task_options);
  const std::size_t rows = config.train.size("batch");
  c.name = fmt::format("bAbI task {}", config.task_options.range("number").low);
  for (std::size_t i = 0; i < 28; ++i) add_batch(c, *task, i * rows, rows, rows);
  return c;
}

experiments::Config memn2n(int number, const std::string& data) {
  return experiments::Config::load("babi_memn2n_single", {{"task.number", std::to_string(number), "benchmarks"},
                                                          {"task.data", data, "benchmarks"},
                                                          {"memory.noise", "0", "benchmarks"},
                                                          {"memory.linear-start", "0", "benchmarks"}});
}

experiments::Config copy_ntm(const std::vector<std::string>& assignments) {
  // Elements are clipped, as published; the whole gradient's norm is not, so that every contestant does the same.
  std::vector<experiments::Assignment> given = {{"train.clip-norm", "0", "benchmarks"},
                                                {"train.learning-rate", "1e-4", "benchmarks"}};
  for (const std::string& a : assignments)
    given.push_back({a.substr(0, a.find('=')), a.substr(a.find('=') + 1), "benchmarks"});
  return experiments::Config::load("copy_ntm", given);
}

template <class T>
ModelStep<T>::ModelStep(const experiments::Config& config) {
  ModelSetup setup;
  setup.batch = tasks().find(config.task).make(config.task_options)->spec();
  setup.memory = &memories().find(config.memory);
  setup.memory_options = config.memory_options;
  if (!config.controller.empty()) setup.controller = &controllers().find(config.controller);
  setup.controller_options = config.controller_options;
  model_ = models().find(config.model).template make<T>(Builder<T>(set_), config.model_options, setup);
  set_.initialize(config.seed);
  const OptimizerPlugin& plugin = optimizers().find(config.optimizer);
  if constexpr (std::is_same_v<T, float>)
    optimizer_ = plugin.make_float(config.optimizer_options, set_.flat_size());
  else
    optimizer_ = plugin.make_double(config.optimizer_options, set_.flat_size());
  clip_ = {.element = config.train.real("clip-element"), .global_norm = config.train.real("clip-norm")};
  rate_ = config.train.real("learning-rate");
}

template <class T>
double ModelStep<T>::gradient(const std::vector<Batch>& batches) {
  if (shards_.empty()) set_.keep_transposed(batches[0].size > 2);  // pays from three rows on
  while (shards_.size() < batches.size()) {
    Shard& s = shards_.emplace_back();
    s.gradients = std::make_unique<Gradients<T>>(set_, 2 + 5 * (shards_.size() - 1));
    s.tape.bind(s.gradients->leaves());
  }
  std::size_t rows = 0;
  for (const Batch& b : batches) rows += b.size;
  double loss = 0;
  T* g = flat_gradient();
  for (std::size_t i = 0; i < batches.size(); ++i) {
    Shard& s = shards_[i];
    s.tape.begin(true);
    Pass<T> pass{.tape = s.tape, .train = true, .loss_scale = 1 / static_cast<double>(rows)};
    const Forward<T> f = model_->forward(batches[i], pass);
    loss += static_cast<double>(f.loss.data[0]);
    s.tape.backward(f.loss);
    if (i > 0)
      for (std::size_t j = 0; j < set_.flat_size(); ++j) g[j] += s.gradients->flat()[j];
  }
  return loss;
}

template <class T>
double ModelStep<T>::update() {
  Limits limits;
  const double norm = clip_gradient(set_, flat_gradient(), clip_, nullptr, &limits);
  if (!std::isfinite(norm)) return norm;
  optimizer_->update(set_, flat_gradient(), rate_, ++updates_, limits);
  set_.project();
  set_.refresh();
  return norm;
}

template <class T>
std::size_t ModelStep<T>::arena_bytes() const {
  std::size_t bytes = 0;
  for (const Shard& s : shards_) bytes += s.tape.bytes();
  return bytes;
}

template class ModelStep<float>;
template class ModelStep<double>;

}  // namespace mneme::bench
