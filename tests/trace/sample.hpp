// Room: tests. Layouts and episodes to write and read: every kind of site, value and table, made from a seed.
#pragma once

#include "trace/schema.hpp"

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <random>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

namespace mneme::trace::testing {

/// A folder of its own per test, gone afterwards.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "mneme-trace-XXXXXX").string();
    if (!::mkdtemp(name.data())) std::abort();
    path_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline Logged logged(std::string name, std::string site, std::vector<std::size_t> dims, Kind kind = Kind::plain,
                     Level level = Level::params) {
  Logged v;
  v.declared = {name, site, std::move(dims), kind, name + " of " + (site.empty() ? "the memory" : site)};
  v.level = level;
  return v;
}

/// The copy task's NTM: one read head, one write head.
inline Layout ntm_layout(Level level = Level::params, std::size_t n = 6, std::size_t m = 4) {
  Layout l;
  l.producer = "mneme 0.1.0";
  l.git_rev = "0123456789abcdef";
  l.created_utc = "2020-01-02T03:04:05Z";
  l.run_id = "00112233aabbccdd";
  l.task = "copy";
  l.model = "cell";
  l.addressing = "content_location";
  l.checkpoint_step = 1234;
  l.level = level;
  l.slots = n;
  l.cells = m;
  l.hidden = 5;
  l.channels_in = 3;
  l.channels_out = 2;
  l.shift_offsets = {-1, 0, 1};
  for (const char* name : {"read_0", "write_0"}) {
    SiteLayout s;
    s.site = {name, name[0] == 'r' ? "read" : "write", "content_location", "slot"};
    s.values = {logged("key", name, {m}),
                logged("beta", name, {}, Kind::positive),
                logged("gate", name, {}, Kind::gate),
                logged("shift", name, {3}, Kind::weights),
                logged("gamma", name, {}, Kind::positive),
                logged("similarity", name, {n}, Kind::plain, Level::full),
                logged("content", name, {n}, Kind::weights, Level::full)};
    if (name[0] == 'w') {
      s.values.push_back(logged("erase", name, {m}, Kind::gate));
      s.values.push_back(logged("add", name, {m}));
    }
    l.sites.push_back(s);
  }
  l.turns = two_halves(l.sites, false);
  l.update = "ntm-erase-add";
  l.constants = {{"cosine_epsilon", 1e-8}, {"sharpen_epsilon", 1e-16}};
  l.target_kind = "bits";
  l.error_name = "wrong_bits_per_sequence";
  l.keyframe_every = 4;
  l.memory = {logged("contents", "", {n, m})};
  l.controller = {logged("hidden", "", {5}, Kind::plain, Level::full),
                  logged("cell", "", {5}, Kind::plain, Level::full)};
  l.episode_params = {{"length", true, "length of the sequence"}, {"difficulty", false, "share of ones"}};
  l.config_ini = "[task]\nname = copy\n";
  l.config_json = "{\"task\": \"copy\"}";
  l.env_json = "{\"width\": 8}";
  return l;
}

/// Everything else: hops over a story, a pointer over points, words, a memory with links and usage, odd dims.
inline Layout rich_layout(Level level = Level::full) {
  Layout l = ntm_layout(level);
  l.task = "story";
  l.phase = "eval";
  l.items = 7;
  l.item_width = 2;
  l.item_tokens = l.item_support = l.item_truth = l.tokens = true;
  l.vocab = {"mary", "went", "h\xc3\xb4tel", ""};
  l.classes = {"caf\xc3\xa9", "hall,kitchen"};
  SiteLayout hop;
  hop.site = {"hop_0", "hop", "content", "item"};
  hop.values = {logged("key", "hop_0", {4}), logged("modes", "hop_0", {3}, Kind::weights)};
  l.sites.push_back(hop);
  SiteLayout pointer;
  pointer.site = {"pointer", "pointer", "content", "item"};
  pointer.weights_kind = Kind::sub_weights;
  pointer.values = {logged("modes", "pointer", {5}, Kind::weights), logged("links", "pointer", {6, 6}, Kind::plain)};
  l.sites.push_back(pointer);
  l.turns = two_halves(l.sites, false);
  l.memory.push_back(logged("usage", "", {6}, Kind::usage));
  l.memory.push_back(logged("links", "", {6, 6}, Kind::positive));
  l.memory.push_back(logged("fast", "", {3, 9}));
  l.memory.push_back(logged("count", "", {}));
  l.memory.push_back(logged("index", "", {6}));
  l.memory.back().declared.life = Life::rebuilt;
  return l;
}

/// With what schema 2 adds: state of a site with its start, values that no gradient trains or that change in place, a
/// kind of site and a slot axis of its own, a turn a hop and one without sites, a site in none.
inline Layout with_schema_2(Layout l) {
  l.sites[2].values[1].state = true;
  l.sites[2].values.push_back(logged("age", "hop_0", {}, Kind::positive));
  l.sites[2].values.back().state = true;
  SiteLayout glimpse;
  glimpse.site = {"glimpse_0", "glimpse", "content", "patch"};
  glimpse.size = 3;
  glimpse.values = {logged("zoom", "glimpse_0", {3})};
  glimpse.values[0].axes = {"patch"};
  l.sites.push_back(glimpse);
  l.turns = {{"write", {1}, true}, {"read", {0, 4}}, {"hop_0", {2}}, {"settle", {}, true}};
  l.memory[1].declared.trains = false;
  l.memory[2].declared.life = Life::in_place;
  return l;
}

/// Fills a value so that it keeps its kind's promise.
inline void fill(std::vector<float>& v, Kind kind, std::size_t last, std::mt19937_64& random) {
  std::uniform_real_distribution<float> unit(0.0f, 1.0f), any(-2.0f, 2.0f);
  const bool weights = kind == Kind::weights || kind == Kind::sub_weights;
  for (float& x : v) x = kind == Kind::plain ? any(random) : unit(random);
  for (std::size_t i = 0; weights && last > 0 && i + last <= v.size(); i += last) {
    float sum = 0;
    for (std::size_t k = 0; k < last; ++k) sum += v[i + k];
    for (std::size_t k = 0; k < last; ++k) v[i + k] /= kind == Kind::weights ? sum : 2 * sum;
  }
}

/// Episode number `n` of a layout: the same numbers every time.
inline void make_episode(const Layout& l, std::uint64_t n, std::size_t steps, Episode& e) {
  std::mt19937_64 random(n * 7919 + 17);
  const std::vector<std::int64_t> keys = keyframe_steps(l, steps);
  const std::size_t items = l.items ? 1 + n % l.items : 0;
  e.resize(l, steps, keys.size(), items);
  e.keyframes = keys;
  e.sequence = static_cast<std::int64_t>(100 * n);
  e.seed = random();
  e.checkpoint_hash = 0xfeedfacecafef00dull + n;
  e.loss = 1.0f / static_cast<float>(n + 1);
  e.error = static_cast<float>(n % 5);
  e.correct = n % 2 == 0;
  e.params = {static_cast<double>(steps), 0.25 * static_cast<double>(n % 4)};
  fill(e.input, Kind::plain, 1, random);
  for (auto* v : {&e.target, &e.output}) fill(*v, Kind::gate, 1, random);
  for (float& bit : e.target) bit = bit < 0.5f ? 0.0f : 1.0f;
  for (std::size_t t = 0; t < steps; ++t) {
    e.mask[t] = t % 3 == 0;
    e.phase[t] = static_cast<std::uint8_t>(t % 3);
    if (l.tokens) e.token[t] = static_cast<std::int32_t>((n + t) % l.vocab.size());
  }
  const auto last = [](const Logged& v) { return v.declared.dims.empty() ? 1 : v.declared.dims.back(); };
  for (std::size_t s = 0; s < l.sites.size(); ++s) {
    const bool over_items = l.sites[s].site.slot_axis == "item";
    const std::size_t width = l.width(l.sites[s]);
    fill(e.sites[s].weights, l.sites[s].weights_kind, width, random);
    fill(e.sites[s].initial_weights, l.sites[s].weights_kind, width, random);
    for (std::size_t t = 0; over_items && t < steps; ++t) {  // zero beyond the items, and sums to 1 again
      float* w = e.sites[s].weights.data() + t * width;
      for (std::size_t k = 0; k < width; ++k) w[k] = 0;
      w[(n + t) % items] = 0.5f;
      w[0] += 0.5f;
    }
    for (std::size_t i = 0; i < l.sites[s].values.size(); ++i) {
      const Logged& v = l.sites[s].values[i];
      fill(e.sites[s].values[i], v.declared.kind, last(v), random);
    }
  }
  for (std::size_t i = 0; i < l.memory.size(); ++i)
    fill(e.memory[i], l.memory[i].declared.kind, last(l.memory[i]), random);
  for (std::size_t i = 0; i < l.controller.size(); ++i) fill(e.controller[i], Kind::plain, 1, random);
  if (l.item_tokens) {
    e.items.token.clear();
    for (std::size_t k = 0; k < items; ++k) {
      e.items.token_count[k] = static_cast<std::int32_t>((n + 3 * k + 2) % 4);
      for (std::int32_t j = 0; j < e.items.token_count[k]; ++j)
        e.items.token.push_back(static_cast<std::int32_t>(j % 3));
    }
  }
  for (std::size_t s = 0; s < l.sites.size(); ++s)
    for (std::size_t i = 0; i < l.sites[s].values.size(); ++i)
      if (l.sites[s].values[i].state)
        fill(e.sites[s].initial[i], l.sites[s].values[i].declared.kind, last(l.sites[s].values[i]), random);
  fill(e.items.values, Kind::plain, 1, random);
  for (std::size_t k = 0; k < e.items.support.size(); ++k) e.items.support[k] = (n + k) % 2;
  for (std::size_t k = 0; k < e.items.truth.size(); ++k) e.items.truth[k] = static_cast<std::int32_t>(k) - 1;
}

/// Steps of episode n: odd lengths, now and then longer than a chunk.
inline std::size_t steps_of(std::uint64_t n) {
  return n % 11 == 10 ? 150 : 1 + (n * 13) % 37;
}

inline void expect_same(const Layout& l, const Episode& a, const Episode& b) {
  EXPECT_EQ(a.sequence, b.sequence);
  EXPECT_EQ(a.seed, b.seed);
  EXPECT_EQ(a.checkpoint_hash, b.checkpoint_hash);
  EXPECT_EQ(a.loss, b.loss);
  EXPECT_EQ(a.error, b.error);
  EXPECT_EQ(a.correct, b.correct);
  EXPECT_EQ(a.params, b.params);
  ASSERT_EQ(a.steps, b.steps);
  EXPECT_EQ(a.input, b.input);
  EXPECT_EQ(a.target, b.target);
  EXPECT_EQ(a.output, b.output);
  EXPECT_EQ(a.mask, b.mask);
  EXPECT_EQ(a.phase, b.phase);
  EXPECT_EQ(a.token, b.token);
  EXPECT_EQ(a.keyframes, b.keyframes);
  EXPECT_EQ(a.items.count, b.items.count);
  EXPECT_EQ(a.items.token_count, b.items.token_count);
  EXPECT_EQ(a.items.token, b.items.token);
  EXPECT_EQ(a.items.values, b.items.values);
  EXPECT_EQ(a.items.support, b.items.support);
  EXPECT_EQ(a.items.truth, b.items.truth);
  ASSERT_EQ(a.sites.size(), b.sites.size());
  for (std::size_t s = 0; s < a.sites.size(); ++s) {
    EXPECT_EQ(a.sites[s].weights, b.sites[s].weights) << l.sites[s].site.name;
    EXPECT_EQ(a.sites[s].initial_weights, b.sites[s].initial_weights) << l.sites[s].site.name;
    std::vector<float> of_a, of_b;  // the layout that was read has only what its level holds
    for (const auto& v : a.sites[s].initial) of_a.insert(of_a.end(), v.begin(), v.end());
    for (const auto& v : b.sites[s].initial) of_b.insert(of_b.end(), v.begin(), v.end());
    EXPECT_EQ(of_a, of_b) << l.sites[s].site.name;
  }
}

/// Declared values by name: the read layout has only what its level holds.
inline void expect_same_values(const std::vector<Logged>& written, const std::vector<std::vector<float>>& a,
                               const std::vector<Logged>& read, const std::vector<std::vector<float>>& b,
                               const Layout& l) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < written.size(); ++i) {
    if (!l.logs(written[i])) continue;
    ASSERT_LT(kept, read.size());
    EXPECT_EQ(written[i].declared.name, read[kept].declared.name);
    EXPECT_EQ(written[i].declared.dims, read[kept].declared.dims);
    EXPECT_EQ(written[i].declared.kind, read[kept].declared.kind);
    EXPECT_EQ(written[i].declared.trains, read[kept].declared.trains);
    EXPECT_EQ(written[i].declared.life, read[kept].declared.life);
    EXPECT_EQ(written[i].state, read[kept].state);
    EXPECT_EQ(written[i].declared.doc, read[kept].declared.doc);
    EXPECT_EQ(written[i].level, read[kept].level);
    EXPECT_EQ(a[i], b[kept]) << written[i].declared.full_name();
    ++kept;
  }
  EXPECT_EQ(kept, read.size());
}

inline void expect_same(const Layout& written, const Episode& a, const Layout& read, const Episode& b) {
  expect_same(written, a, b);
  expect_same_values(written.memory, a.memory, read.memory, b.memory, written);
  expect_same_values(written.controller, a.controller, read.controller, b.controller, written);
  ASSERT_EQ(written.sites.size(), read.sites.size());
  for (std::size_t s = 0; s < written.sites.size(); ++s) {
    expect_same_values(written.sites[s].values, a.sites[s].values, read.sites[s].values, b.sites[s].values, written);
  }
}

}  // namespace mneme::trace::testing
