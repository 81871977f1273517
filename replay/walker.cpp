// Room: replay. The order of a step is the trace's: read and write phases, each head from the logged previous weights.
#include "replay/walker.hpp"

#include "core/error.hpp"
#include "trace/specs.hpp"

#include <algorithm>

namespace mneme::replay {

namespace {

const char* const by_loops = "reference loops";
const char* const by_own = "the memory's own functions in float64";
const char* const of_value =
    "from the weights and the memory (its last keyframe, then each step's weights, erase and add)";
const char* const of_memory = "from the keyframe before it and each step's weights, erase and add";

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

}  // namespace

Walker::Walker(const trace::Layout& layout) : layout_(layout) {
  write_first_ = layout.step_order == "write-before-read";
  for (const auto& [name, value] : layout.constants) {
    if (name == "cosine_epsilon") constants_.cosine_epsilon = value;
    if (name == "sharpen_epsilon") constants_.sharpen_epsilon = value;
  }
  contents_ = trace::Layout::find(layout.memory, "contents");
  if (contents_ >= 0 && !layout.logs(layout.memory[static_cast<std::size_t>(contents_)])) contents_ = -1;
  plan_sites();
  plan_own();
}

Walker::Plan Walker::make_plan(const trace::SiteLayout& site) const {
  Plan p;
  const auto find = [&](const char* name) { return logged_value(site, name); };
  p.writes = site.site.kind == "write";
  p.path = "/sites/" + site.site.name + "/";
  p.key = find("key"), p.beta = find("beta"), p.erase = find("erase"), p.add = find("add"), p.value = find("value");
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
    if (!score || !normalize || contents_ < 0 || site.site.slot_axis != "slot" || p.key < 0 || p.beta < 0) return false;
    p.score = *score, p.normalize = *normalize;
    from = {"key", "beta"};
  }
  for (const std::string& name : parts.moves) {
    const MoveRule* rule = rule_of(move_rules(), name);
    if (!rule || logged_value(site, rule->parameter) < 0) return false;
    const bool last = p.moves.size() + 1 == parts.moves.size();
    p.moves.push_back({rule, logged_value(site, rule->parameter), last ? -1 : logged_value(site, rule->stage)});
    from.emplace_back(rule->parameter);
    uses_previous = uses_previous || rule->uses_previous;
  }
  if (p.score) from.emplace_back("the memory");
  if (uses_previous) from.emplace_back("the weights of the step before (initial_weights at step 0)");
  p.rule = "from " + from[0];
  for (std::size_t i = 1; i < from.size(); ++i) p.rule += (i + 1 < from.size() ? ", " : " and ") + from[i];
  return true;
}

int Walker::logged_value(const trace::SiteLayout& site, const char* name) const {
  const int i = trace::Layout::find(site.values, name);
  return i >= 0 && layout_.logs(site.values[static_cast<std::size_t>(i)]) ? i : -1;
}

void Walker::plan_sites() {
  bool all_orders = true;
  for (const trace::SiteLayout& site : layout_.sites) {
    plans_.push_back(make_plan(site));
    const Plan& p = plans_.back();
    if (p.writes && (p.erase < 0 || p.add < 0)) all_orders = false;
    coverage_.push_back({site.site.name, site.site.addressing, p.reference ? by_loops : by_own, 0});
  }
  known_update_ = contents_ >= 0 && layout_.update == "ntm-erase-add" && all_orders;
  coverage_.push_back({"memory", layout_.update, known_update_ ? by_loops : by_own, 0});
}

/// The memory itself is made where some rule needs it; what it cannot do is said in the coverage.
void Walker::plan_own() {
  if (std::all_of(coverage_.begin(), coverage_.end(), [](const Coverage& c) { return is_reference(c.how); })) return;
  std::string reason;
  try {
    own_ = std::make_unique<OwnMemory>(layout_);
    for (const Declared& d : own_->layout().state) {
      if (d.kind == Kind::opaque || d.name == "weights" || d.name == "value") continue;
      const int kept = trace::Layout::find(layout_.memory, d.full_name());
      if (kept >= 0 && layout_.logs(layout_.memory[static_cast<std::size_t>(kept)])) continue;
      const int site = layout_.find_site(d.site);
      const int value =
          site < 0 ? -1 : trace::Layout::find(layout_.sites[static_cast<std::size_t>(site)].values, d.name);
      if (value < 0) fail<FileError>("verify", "the trace does not hold the memory's {}", d.full_name());
      site_states_.push_back({static_cast<std::size_t>(site), static_cast<std::size_t>(value), d.full_name()});
    }
  } catch (const Error& e) {
    own_.reset();
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
    std::string from;
    for (const trace::SiteLayout& site : layout_.sites)
      for (const trace::Logged& v : site.values)
        if (layout_.logs(v)) from += (from.empty() ? "" : ", ") + v.declared.full_name();
    plans_[s].rule = fmt::format("by the memory's own functions from {} and the state ({})", from, state);
    if (!own_->needs_trained_weights(name)) continue;
    plans_[s].trained = true;
    trained_.push_back(plans_[s].path + "weights");
  }
  if (known_update_) return;
  for (const trace::Logged& m : layout_.memory)
    if (own_->needs_trained_state(m.declared.full_name()))
      trained_.push_back("/memory/" + trace::dataset_name(m, false));
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

void Walker::start() {
  known_ = !layout_.logs_memory();
  next_keyframe_ = 0;
  memory_.clear();
  if (!own_) return;
  own_->start();
  for (std::size_t s = 0; s < plans_.size(); ++s) own_->set(layout_.sites[s].site.name + ".weights", previous(s, 0));
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
    const Row rebuilt = contents ? memory_ : own ? own_->get(name) : Row();
    if (known_ && !rebuilt.empty())
      witness_->compare("/memory/" + trace::dataset_name(logged, false), step, values, rebuilt, of_memory,
                        coverage_.back());
    const Row now(values, values + size);
    if (contents) memory_ = now;
    if (own_) own_->set(name, now);
  }
  known_ = true;
}

void Walker::stage(std::size_t site, int value, std::size_t step, const Row& recomputed, const std::string& rule) {
  if (value < 0) return;
  const auto v = static_cast<std::size_t>(value);
  witness_->compare(plans_[site].path + trace::dataset_name(layout_.sites[site].values[v], true), step,
                    episode_->sites[site].values[v].data() + step * recomputed.size(), recomputed, rule,
                    coverage_[site]);
}

Row Walker::by_reference(std::size_t site, std::size_t step) {
  const Plan& p = plans_[site];
  const Row before = previous(site, step);
  Row w = before;
  if (p.score) {
    if (!known_) return {};
    Row scores = p.score(site_value(site, p.key, step), memory_, constants_);
    stage(site, p.similarity, step, scores, p.rule);
    const double beta = number(site, p.beta, step);
    for (double& s : scores) s *= beta;
    w = p.normalize(scores);
    stage(site, p.content, step, w, p.rule);
  }
  for (const Move& move : p.moves) {
    w = move.rule->apply(w, before, site_value(site, move.parameter, step), constants_);
    stage(site, move.stage, step, w, p.rule);
  }
  return w;
}

Row Walker::own_weights(std::size_t site, std::size_t step) {
  Row w = own_->address(layout_.sites[site].site.name);
  const auto& values = layout_.sites[site].values;
  for (std::size_t v = 0; v < values.size(); ++v)
    if (const Row inner = own_->stage(values[v].declared.full_name()); !inner.empty() && layout_.logs(values[v]))
      stage(site, static_cast<int>(v), step, inner, plans_[site].rule);
  return w;
}

void Walker::visit(std::size_t site, std::size_t step) {
  const Plan& p = plans_[site];
  const std::string& name = layout_.sites[site].site.name;
  const Row logged = logged_weights(site, step);
  Row w;
  if (p.reference)
    w = by_reference(site, step);
  else if (own_ && known_ && !p.trained)
    w = own_weights(site, step);
  if (!w.empty())
    witness_->compare(p.path + "weights", step, episode_->sites[site].weights.data() + step * w.size(), w, p.rule,
                      coverage_[site]);
  if (own_) own_->set(name + ".weights", logged);
  if (p.writes || !known_) return;
  Row value;
  if (known_update_)
    value = read_value(logged, memory_);
  else if (own_)
    value = own_->read(name);
  if (value.empty()) return;
  stage(site, p.value, step, value, of_value);
  witness_->value(site, step, value);
  if (own_) own_->set(name + ".value", value);
}

void Walker::write(std::size_t step) {
  if (!known_) return;
  if (own_) {
    own_->update();
    for (const SiteState& s : site_states_) {
      if (step > 0) stage(s.site, static_cast<int>(s.value), step, own_->get(s.full_name), plans_[s.site].rule);
    }
    if (!known_update_ && contents_ >= 0) memory_ = own_->get("contents");
  }
  if (known_update_) {
    std::vector<Row> rows;
    for (std::size_t s = 0; s < plans_.size(); ++s) {
      if (!plans_[s].writes) continue;
      rows.push_back(logged_weights(s, step));
      rows.push_back(site_value(s, plans_[s].erase, step));
      rows.push_back(site_value(s, plans_[s].add, step));
    }
    std::vector<Write> writes;
    for (std::size_t i = 0; i < rows.size(); i += 3) writes.push_back({rows[i], rows[i + 1], rows[i + 2]});
    erase_add(writes, memory_);
    if (own_) own_->set("contents", memory_);
  } else if (!own_) {
    known_ = false;
  }
}

void Walker::run(const trace::Episode& episode, Witness& witness) {
  episode_ = &episode;
  witness_ = &witness;
  start();
  for (std::size_t t = 0; t < episode.steps; ++t) {
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
    for (const bool writing : {write_first_, !write_first_}) {
      for (std::size_t s = 0; s < plans_.size(); ++s)
        if (plans_[s].writes == writing) visit(s, t);
      if (writing) {
        write(t);
        keyframe(t, true);
      }
    }
    if (known_ && !memory_.empty()) witness.memory(t, memory_);
  }
}

}  // namespace mneme::replay
