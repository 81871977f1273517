// Room: replay. A step goes by the memory's turns, each head from the logged previous weights.
#include "replay/walker.hpp"

#include "core/error.hpp"
#include "trace/specs.hpp"

#include <algorithm>
#include <cmath>

namespace mneme::replay {

namespace {

const char* const by_loops = "reference loops";
const char* const by_own = "the memory's own functions in float64";
const char* const of_own_state = "by the memory's own functions from the logged parameters and the state before it";

bool is_reference(const std::string& how) {
  return how == by_loops;
}
bool is_recomputed(const std::string& how) {
  return how == by_loops || how == by_own;
}

/// What a site's scheme is made of. A trace that says its name alone means these three.
AddressingParts parts_of(const Site& site) {
  const AddressingParts& said = site.parts;
  if (!said.similarity.empty() || !said.normalizer.empty() || !said.moves.empty()) return said;
  if (site.addressing == "content") return {"cosine", "softmax", {}};
  if (site.addressing == "location") return {"", "", {"shift", "sharpen"}};
  if (site.addressing == "content_location") return {"cosine", "softmax", {"interpolate", "shift", "sharpen"}};
  return {};
}

template <class Rule>
const Rule* rule_of(const Registry<Rule>& rules, const std::string& name) {
  const auto at = rules.entries().find(name);
  return at == rules.entries().end() ? nullptr : &at->second;
}

bool has_constant(const AddressingParts& parts, const char* name) {
  return !name || std::any_of(parts.constants.begin(), parts.constants.end(),
                              [&](const auto& constant) { return constant.first == name; });
}

}  // namespace

Walker::Walker(const trace::Layout& layout, double tolerance) : layout_(layout), tolerance_(tolerance) {
  for (const auto& [name, value] : layout.constants) {
    if (name == "cosine_epsilon") constants_.cosine_epsilon = value;
    if (name == "sharpen_epsilon") constants_.sharpen_epsilon = value;
  }
  contents_ = trace::Layout::find(layout.memory, "contents");
  if (contents_ >= 0 && !layout.logs(layout.memory[static_cast<std::size_t>(contents_)])) contents_ = -1;
  plan_sites();
  plan_own();
  plan_turns();
}

Walker::Plan Walker::make_plan(const trace::SiteLayout& site) const {
  Plan p;
  const auto find = [&](const char* name) { return logged_value(site, name); };
  p.writes = site.site.kind == "write";
  p.path = "/sites/" + site.site.name + "/";
  p.key = find("key"), p.beta = find("beta"), p.value = find("value");
  p.similarity = find("similarity"), p.content = find("content");
  p.reference = plan_reference(site, p);
  if (!p.reference) p.rule = "by the memory's own functions from the logged parameters and state";
  return p;
}

/// Each part of the site's scheme by the rule of its name; false where one has none, or what it needs is not logged.
bool Walker::plan_reference(const trace::SiteLayout& site, Plan& p) const {
  const AddressingParts parts = parts_of(site.site);
  std::vector<std::string> from;
  bool uses_previous = parts.similarity.empty();
  if (parts.similarity.empty() && parts.moves.empty()) return false;
  if (!parts.similarity.empty()) {
    const auto* score = rule_of(similarity_rules(), parts.similarity);
    const auto* normalize = rule_of(normalizer_rules(), parts.normalizer);
    p.looks_at = trace::Layout::find(layout_.memory, site.site.looks_at);
    const bool there = p.looks_at >= 0 && layout_.logs(layout_.memory[static_cast<std::size_t>(p.looks_at)]);
    if (!score || !normalize || !there || p.key < 0 || !has_constant(parts, normalize->constant)) return false;
    if (p.looks_at != contents_ && !visited_after(site)) return false;
    if (!rows_of(layout_.memory[static_cast<std::size_t>(p.looks_at)], site, p.key)) return false;
    p.score = *score, p.normalize = normalize;
    from = {"key"};
    if (p.beta >= 0) from.emplace_back("beta");
  }
  for (const std::string& name : parts.moves) {
    const MoveRule* rule = rule_of(move_rules(), name);
    if (!rule || logged_value(site, rule->parameter) < 0) return false;
    const bool last = p.moves.size() + 1 == parts.moves.size();
    p.moves.push_back({rule, logged_value(site, rule->parameter), last ? -1 : logged_value(site, rule->stage)});
    from.emplace_back(rule->parameter);
    uses_previous = uses_previous || rule->uses_previous;
  }
  if (p.score) from.emplace_back(p.looks_at == contents_ ? "the memory" : site.site.looks_at.c_str());
  if (uses_previous) from.emplace_back("the weights of the step before (initial_weights at step 0)");
  p.rule = "from " + from[0];
  for (std::size_t i = 1; i < from.size(); ++i) p.rule += (i + 1 < from.size() ? ", " : " and ") + from[i];
  return true;
}

/// Whether `looked_at` has a row for each of the site's weights, as wide as its value number `value` is long: loops
/// index by it.
bool Walker::rows_of(const trace::Logged& looked_at, const trace::SiteLayout& site, int value) const {
  const std::size_t width = site.values[static_cast<std::size_t>(value)].declared.count();
  return width > 0 && looked_at.declared.count() == layout_.width(site) * width;
}

/// Of no turn: a pointer, which looks when the steps are done.
bool Walker::visited_after(const trace::SiteLayout& site) const {
  const auto s = static_cast<std::size_t>(&site - layout_.sites.data());
  return std::none_of(layout_.turns.begin(), layout_.turns.end(), [&](const trace::TurnLayout& t) {
    return std::find(t.sites.begin(), t.sites.end(), s) != t.sites.end();
  });
}

int Walker::logged_value(const trace::SiteLayout& site, const char* name) const {
  const int i = trace::Layout::find(site.values, name);
  return i >= 0 && layout_.logs(site.values[static_cast<std::size_t>(i)]) ? i : -1;
}

void Walker::plan_sites() {
  if (contents_ >= 0) update_ = rule_of(update_rules(), layout_.update);
  for (const trace::SiteLayout& site : layout_.sites) {
    plans_.push_back(make_plan(site));
    Plan& p = plans_.back();
    for (std::size_t i = 0; update_ && p.writes && i < update_->parameters.size(); ++i) {
      const int order = logged_value(site, update_->parameters[i]);
      p.orders.push_back(order);
      if (order < 0 || !rows_of(layout_.memory[static_cast<std::size_t>(contents_)], site, order)) update_ = nullptr;
    }
    coverage_.push_back({site.site.name, site.site.addressing, p.reference ? by_loops : by_own, 0});
  }
  coverage_.push_back({"memory", layout_.update, update_ ? by_loops : by_own, 0});
}

/// As the memory itself takes them; where it is not here, as the trace names them.
void Walker::plan_turns() {
  if (own_) {
    for (const Turn& turn : own_->layout().turns) {
      turns_.push_back({&turn, {}, turn.writes});
      for (const std::size_t s : turn.sites)
        turns_.back().sites.push_back(static_cast<std::size_t>(layout_.find_site(own_->layout().sites[s].name)));
    }
  } else {
    for (const trace::TurnLayout& turn : layout_.turns) turns_.push_back({nullptr, turn.sites, turn.writes});
  }
  for (std::size_t s = 0; s < plans_.size(); ++s)
    if (visited_after(layout_.sites[s])) after_.sites.push_back(s);
  for (std::size_t i = turns_.size(); i-- > 0;)
    if (turns_[i].writes) {
      turns_[i].last_write = true;
      break;
    }
}

/// The memory itself is made where some rule needs it; what it cannot do is said in the coverage.
void Walker::plan_own() {
  if (std::all_of(coverage_.begin(), coverage_.end(), [](const Coverage& c) { return is_reference(c.how); })) return;
  std::string reason;
  try {
    own_ = std::make_unique<OwnMemory>(layout_);
    for (const Site& site : own_->layout().sites)
      if (layout_.find_site(site.name) < 0)
        fail<FileError>("verify", "the trace does not hold the memory's site {}", site.name);
    for (const Declared& d : own_->layout().state) {
      if (d.life == Life::rebuilt || d.name == "weights" || d.name == "value") continue;
      const int kept = trace::Layout::find(layout_.memory, d.full_name());
      if (kept >= 0 && layout_.logs(layout_.memory[static_cast<std::size_t>(kept)])) continue;
      const int site = layout_.find_site(d.site);
      const int value =
          site < 0 ? -1 : trace::Layout::find(layout_.sites[static_cast<std::size_t>(site)].values, d.name);
      if (value < 0) fail<FileError>("verify", "the trace does not hold the memory's {}", d.full_name());
      const trace::Logged& logged =
          layout_.sites[static_cast<std::size_t>(site)].values[static_cast<std::size_t>(value)];
      if (!layout_.logs(logged)) fail<FileError>("verify", "the trace's level leaves out {}", d.full_name());
      if (!logged.state) fail<FileError>("verify", "the trace does not hold {} before the first step", d.full_name());
      site_states_.push_back({static_cast<std::size_t>(site), static_cast<std::size_t>(value), d.full_name()});
    }
  } catch (const Error& e) {
    own_.reset();
    site_states_.clear();
    reason = e.what();
  }
  if (own_) return plan_trained();
  for (Coverage& c : coverage_)
    if (c.how == by_own) c.how = "not recomputed: " + reason;
}

void Walker::plan_trained() {
  std::string state;
  for (const trace::Logged& m : layout_.memory)
    if (layout_.logs(m)) state += (state.empty() ? "" : ", ") + m.declared.full_name();
  for (std::size_t s = 0; s < plans_.size(); ++s) {
    const std::string& name = layout_.sites[s].site.name;
    if (plans_[s].reference) continue;
    if (!own_->has_site(name)) {
      plans_[s].trained = true;
      coverage_[s].how = "not recomputed: what it looks at or is told is not logged, and it is not the memory's";
      continue;
    }
    std::string from;
    for (const trace::SiteLayout& site : layout_.sites)
      for (const trace::Logged& v : site.values)
        if (layout_.logs(v)) from += (from.empty() ? "" : ", ") + v.declared.full_name();
    plans_[s].rule = fmt::format("by the memory's own functions from {} and the state ({})", from, state);
    if (!own_->needs_trained_weights(name)) continue;
    plans_[s].trained = true;
    trained_.push_back(plans_[s].path + "weights");
  }
  if (update_) return;
  for (const trace::Logged& m : layout_.memory)
    if (own_->needs_trained_state(m.declared.full_name()))
      trained_.push_back("/memory/" + trace::dataset_name(m, false));
  contents_trained_ = contents_ >= 0 && own_->needs_trained_state("contents");
}

bool Walker::useful() const {
  return !layout_.sites.empty() &&
         std::any_of(coverage_.begin(), coverage_.end(), [](const Coverage& c) { return is_recomputed(c.how); });
}

Row Walker::row(const std::vector<float>& values, std::size_t step, std::size_t size) const {
  const auto begin = values.begin() + static_cast<std::ptrdiff_t>(step * size);
  return Row(begin, begin + static_cast<std::ptrdiff_t>(size));
}

Row Walker::site_value(std::size_t site, int value, std::size_t step) const {
  const auto v = static_cast<std::size_t>(value);
  return row(episode_->sites[site].values[v], step, layout_.sites[site].values[v].declared.count());
}

Row Walker::logged_weights(std::size_t site, std::size_t step) const {
  return row(episode_->sites[site].weights, step, layout_.width(layout_.sites[site]));
}

Row Walker::previous(std::size_t site, std::size_t step) const {
  if (step > 0) return logged_weights(site, step - 1);
  return row(episode_->sites[site].initial_weights, 0, layout_.width(layout_.sites[site]));
}

std::string Walker::of_memory() const {
  std::string orders;
  for (const char* p : update_->parameters) orders += fmt::format(", {}", p);
  return "from the keyframe before it and, of each step, the weights" + orders;
}

std::string Walker::of_value() const {
  return "from the weights and the memory: " + of_memory();
}

void Walker::start() {
  known_ = !layout_.logs_memory();
  kept_.assign(layout_.memory.size(), {});
  next_keyframe_ = 0;
  memory_.clear();
  if (!own_) return;
  own_->start();
  for (std::size_t s = 0; s < plans_.size(); ++s) {
    own_->set(layout_.sites[s].site.name + ".weights", previous(s, 0));
    for (std::size_t v = 0; v < layout_.sites[s].values.size(); ++v)
      if (const std::vector<float>& initial = episode_->sites[s].initial[v]; !initial.empty())
        own_->set(layout_.sites[s].values[v].declared.full_name(), row(initial, 0, initial.size()));
  }
}

/// Where a keyframe of this step stands here: compares what was rebuilt, then goes on from what was logged.
void Walker::keyframe(std::size_t step, bool after_write) {
  if ((layout_.keyframe_position == "after_write") != after_write) return;
  const auto& steps = episode_->keyframes;
  while (next_keyframe_ < steps.size() && steps[next_keyframe_] < static_cast<std::int64_t>(step)) ++next_keyframe_;
  if (next_keyframe_ >= steps.size() || steps[next_keyframe_] != static_cast<std::int64_t>(step)) return;
  for (std::size_t m = 0; m < layout_.memory.size(); ++m) {
    const trace::Logged& logged = layout_.memory[m];
    if (!layout_.logs(logged)) continue;
    const std::string name = logged.declared.full_name();
    const std::size_t size = logged.declared.count();
    const float* values = episode_->memory[m].data() + next_keyframe_ * size;
    const bool contents = static_cast<int>(m) == contents_;
    const bool own = own_ && !own_->needs_trained_state(name);
    const bool by_loops = contents && update_;
    const Row rebuilt = contents ? memory_ : own ? own_->get(name) : Row();
    if (known_ && !rebuilt.empty())
      witness_->compare("/memory/" + trace::dataset_name(logged, false), step, values, rebuilt,
                        by_loops ? of_memory() : of_own_state, coverage_.back());
    const Row now(values, values + size);
    if (contents) memory_ = now;
    kept_[m] = now;
    if (own_) own_->set(name, now);
  }
  known_ = true;
}

void Walker::stage(std::size_t site, int value, std::size_t step, const Row& recomputed, const std::string& rule) {
  if (value < 0) return;
  const auto v = static_cast<std::size_t>(value);
  witness_->compare(plans_[site].path + trace::dataset_name(layout_.sites[site].values[v], true), step,
                    episode_->sites[site].values[v].data() + step * layout_.sites[site].values[v].declared.count(),
                    recomputed, rule, coverage_[site]);
}

/// Rows of slots, or of the items that the episode has.
View Walker::looked_at(std::size_t site) const {
  const trace::SiteLayout& s = layout_.sites[site];
  const View all =
      plans_[site].looks_at == contents_ ? memory_ : kept_[static_cast<std::size_t>(plans_[site].looks_at)];
  return s.site.slot_axis == "item" ? all.first(all.size() / layout_.width(s) * episode_->items.count) : all;
}

Row Walker::by_reference(std::size_t site, std::size_t step) {
  const Plan& p = plans_[site];
  const Row before = previous(site, step);
  Row w = before;
  if (p.score) {
    if (!known_) return {};
    Row scores = p.score(site_value(site, p.key, step), looked_at(site), constants_);
    stage(site, p.similarity, step, scores, p.rule);
    w = weights_of(site, step, std::move(scores));
    stage(site, p.content, step, w, p.rule);
  }
  for (const Move& move : p.moves) {
    w = move.rule->apply(w, before, site_value(site, move.parameter, step), constants_);
    stage(site, move.stage, step, w, p.rule);
  }
  w.resize(before.size());  // beyond its items
  return w;
}

/// The normalizer's weights of these similarities.
Row Walker::weights_of(std::size_t site, std::size_t step, Row scores) {
  if (scores.empty()) return scores;
  const Plan& p = plans_[site];
  const double beta = p.beta < 0 ? 1 : number(site, p.beta, step);
  double size = 1;
  for (double& s : scores) {
    size = std::max(size, std::abs(s));
    s *= beta;
  }
  Row logged;
  if (p.content >= 0)
    logged = site_value(site, p.content, step);
  else if (p.moves.empty())
    logged = logged_weights(site, step);
  if (logged.size() > scores.size()) logged.resize(scores.size());  // beyond its items
  return p.normalize->apply(scores, {layout_.sites[site].site.parts.constants, logged, tolerance_ * size * beta});
}

Row Walker::own_weights(std::size_t site, std::size_t step) {
  Row w = own_->get(layout_.sites[site].site.name + ".weights");
  const auto& values = layout_.sites[site].values;
  for (std::size_t v = 0; v < values.size(); ++v)
    if (const Row inner = own_->stage(values[v].declared.full_name()); !inner.empty() && layout_.logs(values[v]))
      stage(site, static_cast<int>(v), step, inner, plans_[site].rule);
  return w;
}

void Walker::address(const Part& turn, std::size_t step) {
  const auto by_own = [&](std::size_t s) { return own_ && known_ && !plans_[s].reference && !plans_[s].trained; };
  if (std::any_of(turn.sites.begin(), turn.sites.end(), by_own)) own_->address(*turn.own);
  for (const std::size_t s : turn.sites) {
    const Row w = plans_[s].reference ? by_reference(s, step) : by_own(s) ? own_weights(s, step) : Row();
    if (!w.empty())
      witness_->compare(plans_[s].path + "weights", step,
                        episode_->sites[s].weights.data() + step * layout_.width(layout_.sites[s]), w, plans_[s].rule,
                        coverage_[s]);
    if (own_) own_->set(layout_.sites[s].site.name + ".weights", logged_weights(s, step));
  }
}

void Walker::write(const Part& turn, std::size_t step) {
  if (!known_) return;
  if (contents_trained_) {  // until the next keyframe
    known_ = false;
    return;
  }
  if (own_) own_->update(*turn.own);
  if (update_ && !turn.sites.empty()) {
    std::vector<std::vector<Row>> heads;
    for (const std::size_t s : turn.sites) {
      if (!plans_[s].writes) continue;
      heads.push_back({logged_weights(s, step)});
      for (const int order : plans_[s].orders) heads.back().push_back(site_value(s, order, step));
    }
    update_->apply(heads, memory_);
    if (own_) own_->set("contents", memory_);
  } else if (own_ && contents_ >= 0) {
    memory_ = own_->get("contents");
  } else if (!own_) {
    known_ = update_ != nullptr;
  }
}

void Walker::read(const Part& turn, std::size_t step) {
  if (!known_) return;
  if (own_) own_->read(*turn.own);
  for (const std::size_t s : turn.sites) {
    const std::string& name = layout_.sites[s].site.name;
    if (plans_[s].writes) continue;
    const Row value = update_ ? read_value(logged_weights(s, step), memory_)
                      : own_  ? own_->get(name + ".value")
                              : Row();
    if (value.empty()) continue;
    stage(s, plans_[s].value, step, value, update_ ? of_value() : of_own_state);
    witness_->value(s, step, value);
    if (own_) own_->set(name + ".value", value);
  }
}

void Walker::begin_step(std::size_t t) {
  if (own_) {
    for (std::size_t s = 0; s < plans_.size(); ++s)
      for (std::size_t v = 0; v < layout_.sites[s].values.size(); ++v)
        if (layout_.logs(layout_.sites[s].values[v]))
          own_->set_parameter(layout_.sites[s].site.name + "." + layout_.sites[s].values[v].declared.name,
                              site_value(s, static_cast<int>(v), t));
    for (const SiteState& s : site_states_)
      if (t > 0) own_->set(s.full_name, site_value(s.site, static_cast<int>(s.value), t - 1));
  }
  keyframe(t, false);
  if (own_) own_->begin_step();
}

void Walker::end_step(std::size_t t) {
  if (!known_) return;
  for (const SiteState& s : site_states_)
    stage(s.site, static_cast<int>(s.value), t, own_->get(s.full_name), plans_[s.site].rule);
  if (!memory_.empty()) witness_->memory(t, memory_);
}

void Walker::run(const trace::Episode& episode, Witness& witness) {
  episode_ = &episode;
  witness_ = &witness;
  start();
  for (std::size_t t = 0; t < episode.steps; ++t) {
    begin_step(t);
    for (const Part& turn : turns_) {
      address(turn, t);
      if (turn.writes) write(turn, t);
      if (turn.last_write) keyframe(t, true);
      read(turn, t);
    }
    if (std::none_of(turns_.begin(), turns_.end(), [](const Part& turn) { return turn.writes; })) keyframe(t, true);
    address(after_, t);
    end_step(t);
  }
}

}  // namespace mneme::replay
