// Room: experiments. Attention against supporting facts, and answers without the memory.
#include "experiments/judge/reliance.hpp"

#include "core/batch.hpp"
#include "core/error.hpp"
#include "experiments/judge/row_nats.hpp"

#include <algorithm>
#include <array>
#include <map>

namespace mneme::experiments {

namespace {

std::vector<std::size_t> item_sites(const MemoryLayout& layout) {
  std::vector<std::size_t> sites;
  for (std::size_t s = 0; s < layout.sites.size(); ++s)
    if (layout.sites[s].slot_axis == "item") sites.push_back(s);
  return sites;
}

/// `wanted` rows a batch or a few more, and no batch of one row alone: its neighbour would be itself.
std::size_t batch_rows(std::size_t count, std::size_t wanted) {
  std::size_t rows = std::clamp<std::size_t>(wanted, 2, count);
  while (rows < count && count % rows == 1) ++rows;
  return rows;
}

}  // namespace

template <class T>
Var<T> AlteredReads<T>::instead(const Pass<T>& pass, const Place& place, const Var<T>& value) {
  if (place.name != "value") return value;
  if (how_ == How::zeroed) return pass.tape.filled(value.shape, T(0));
  const Var<T> other = pass.tape.constant(value.shape);
  const std::size_t first = value.size() / value.shape[0];  // row b takes that of b + 1
  std::rotate_copy(value.data, value.data + first, value.data + value.size(), other.data);
  return other;
}

template class AlteredReads<float>;
template class AlteredReads<double>;

AttentionWatch::AttentionWatch(const MemoryLayout& layout, const Batch& batch, Row* rows) : batch_(batch), rows_(rows) {
  for (std::size_t s : item_sites(layout)) weights_.push_back(layout.sites[s].weights);
  for (std::size_t b = 0; b < batch.size; ++b) {
    Row& row = rows_[b];
    row = {0, 0, std::vector<double>(weights_.size()), std::vector<double>(weights_.size())};
    const std::size_t n = batch.items.count.empty() ? 0 : batch.items.count[b];
    for (std::size_t i = 0; i < n && batch.items.support.size(); ++i)
      row.chance += batch.items.support(b, i) ? 1 / static_cast<double>(n) : 0;
  }
}

void AttentionWatch::state(const Pass<float>& pass, std::string_view component, std::span<const Var<float>> now) {
  if (component != "memory") return;
  for (std::size_t b = 0; b < batch_.size; ++b) {
    if (!batch_.target.scored(pass.step, b)) continue;
    Row& row = rows_[b];
    ++row.scored;
    if (batch_.items.count.empty() || batch_.items.support.size() == 0) continue;
    for (std::size_t s = 0; s < weights_.size(); ++s) {
      const Var<float>& w = now[weights_[s]];  // [B N], N the longest set among the rows
      const float* own = w.data + b * w.shape.last();
      const std::size_t n = std::min<std::size_t>(batch_.items.count[b], w.shape.last());
      if (n == 0) continue;
      const auto top = static_cast<std::size_t>(std::max_element(own, own + n) - own);
      row.top[s] += batch_.items.support(b, top) ? 1 : 0;
      for (std::size_t i = 0; i < n; ++i)
        if (batch_.items.support(b, i)) row.mass[s] += static_cast<double>(own[i]);
    }
  }
}

void require_reliance(const Session& session, std::size_t count) {
  const Component* memory = find(session.model().components(), "memory");
  if (!memory || memory->memory->read_size() == 0)
    fail<ArgumentError>("--memory-use", "the model '{}' reads no memory here", session.config().model);
  if (session.task().spec().target_over != Along::steps)
    fail<ArgumentError>("--memory-use", "attention is judged where steps are scored; this task scores items");
  if (count < 2) fail<ArgumentError>("--memory-use", "{} episode; reads are shuffled among 2 or more", count);
}

Reliance reliance(Session& session, const Task& task, std::uint64_t seed, std::uint64_t first, std::size_t count,
                  const std::function<bool()>& stop) {
  require_reliance(session, count);
  const MemoryLayout* layout = find(session.model().components(), "memory")->memory;
  Reliance use;
  const std::size_t batch = session.config().train.size("eval-batch");
  use.rows = batch_rows(count, batch >= 2 ? batch : 32);
  const std::size_t solved = task.solved_metric(), metrics = task.metrics().size();
  use.metric = task.metrics()[solved].name;
  use.unit = task.metrics()[solved].unit;

  std::vector<int> number(count, 0);
  std::vector<AttentionWatch::Row> rows(count);
  Session::Episodes episodes{
      .task = &task, .seed = seed, .first = first, .count = count, .rows = use.rows, .stop = stop};
  std::array<std::vector<double>, 3> values;
  episodes.look = [&](std::size_t begin, const Batch& batch) {
    for (const auto& [name, of] : batch.parameters)
      for (std::size_t b = 0; name == "task" && b < batch.size; ++b) number[begin + b] = static_cast<int>(of[b]);
    return std::make_unique<AttentionWatch>(*layout, batch, &rows[begin]);
  };
  session.evaluate(episodes, values[0]);
  using How = AlteredReads<float>::How;
  for (const How how : {How::zeroed, How::shuffled}) {
    episodes.how = how == How::zeroed ? "reads zeroed" : "reads shuffled";
    episodes.look = [how](std::size_t, const Batch&) { return std::make_unique<AlteredReads<float>>(how); };
    session.evaluate(episodes, values[how == How::zeroed ? 1 : 2]);
  }

  const BatchSpec& spec = task.spec();
  const bool facts = spec.item_vocabulary || spec.item_width;
  std::map<int, TaskReliance> tasks;
  std::map<int, std::array<std::vector<double>, 3>> asked;  // rows of metrics: as read, zeroed, shuffled
  for (std::size_t i = 0; i < count; ++i) {
    TaskReliance& t = tasks[number[i]];
    t.number = number[i];
    ++t.questions;
    for (std::size_t k = 0; k < values.size(); ++k) {
      const auto row = values[k].begin() + static_cast<std::ptrdiff_t>(i * metrics);
      asked[number[i]][k].insert(asked[number[i]][k].end(), row, row + static_cast<std::ptrdiff_t>(metrics));
    }
    t.chance += rows[i].chance;
    if (t.hops.empty() && facts)
      for (std::size_t s : item_sites(*layout)) t.hops.push_back({layout->sites[s].name});
    for (std::size_t s = 0; s < t.hops.size() && rows[i].scored; ++s) {
      t.hops[s].top_percent += 100 * rows[i].top[s] / static_cast<double>(rows[i].scored);
      t.hops[s].mass += rows[i].mass[s] / static_cast<double>(rows[i].scored);
    }
  }
  for (auto& [n, t] : tasks) {
    const auto questions = static_cast<double>(t.questions);
    if (t.chance == 0) t.hops.clear();  // no supporting fact in any of them
    std::size_t k = 0;
    for (std::optional<double>* figure : {&t.as_read, &t.zeroed, &t.shuffled}) {
      *figure = task.summary(asked[n][k++]).at(solved).value;
      if (*figure) require_finite("mean " + use.metric, **figure);
    }
    t.chance /= questions;
    for (HopUse& h : t.hops) {
      h.top_percent /= questions;
      h.mass /= questions;
      require_finite("attention of " + h.site, h.mass);
    }
    use.tasks.push_back(std::move(t));
  }
  return use;
}

}  // namespace mneme::experiments
