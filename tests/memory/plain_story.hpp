// Room: tests. Stories of drawn words, and Sukhbaatar et al. 2015 in plain loops over them: no tape, no bags.
#pragma once

#include "core/batch.hpp"
#include "memory/memory.hpp"
#include "tests/support/values.hpp"

#include <map>
#include <memory>

namespace mneme::test {

using Given = std::map<std::string, std::string>;
using Row = std::vector<double>;
using Words = std::vector<int>;
using Story = std::vector<Words>;

constexpr int kWords = 7;  // V of every drawn story

constexpr std::size_t kLine = 5;  // words of the longest line that training might have

/// One row a count, of statements of 0 to 4 words; questions of 1 to 3 words.
struct Stories {
  std::vector<Story> story;
  std::vector<Words> question;
  Batch batch;

  explicit Stories(const std::vector<std::size_t>& counts, std::vector<std::int32_t> output_tokens = {}) {
    spec = {.vocabulary = kWords, .item_vocabulary = kWords, .target = TargetKind::classes, .outputs = 3};
    spec.output_tokens = std::move(output_tokens);
    spec.longest_line = kLine;
    const std::size_t rows = counts.size(), most = *std::max_element(counts.begin(), counts.end());
    batch.reset(spec, rows, 3, most + 1, kLine + 2);  // room for more than there is
    for (std::size_t b = 0; b < rows; ++b) {
      Random random(1, "stories", b);
      const auto word = [&] { return static_cast<int>(random.integer(0, kWords - 1)); };
      batch.items.count[b] = static_cast<std::uint32_t>(counts[b]);
      story.emplace_back();
      for (std::size_t i = 0; i < counts[b]; ++i) {
        story[b].emplace_back();
        const auto length = static_cast<std::size_t>(random.integer(i == 1 ? 0 : 1, i == 1 ? 0 : 4));
        for (std::size_t w = 0; w < length; ++w) {
          story[b][i].push_back(word());
          batch.items.tokens(b, i, w) = story[b][i].back();
        }
      }
      question.emplace_back();
      const std::size_t length = b == 0 ? 3 : 1 + b % 3;
      for (std::size_t t = 0; t < length; ++t) {
        question[b].push_back(word());
        batch.tokens(t, b) = question[b].back();
      }
      batch.lengths[b] = static_cast<std::uint32_t>(length);
      batch.target.scored(length - 1, b) = 1;
      batch.target.indices(length - 1, b) = static_cast<std::int32_t>(b % 3);
    }
    batch.check(spec);
  }

  BatchSpec spec;
};

using Table = std::vector<Row>;

/// sum_j l_j . A x_j with l_kj = (1 - j/J) - (k/d)(1 - 2 j/J) (section 4.1), or the program's, or 1
inline Row plain_bag(const Words& words, const Table& a, const std::string& encoding = "position") {
  const auto d = static_cast<double>(a[0].size()), length = static_cast<double>(words.size());
  Row m(a[0].size());
  for (std::size_t w = 0; w < words.size(); ++w)
    for (std::size_t i = 0; i < m.size(); ++i) {
      const double j = static_cast<double>(w) + 1, k = static_cast<double>(i) + 1;
      double l = 1;
      if (encoding == "position") l = (1 - j / length) - (k / d) * (1 - 2 * j / length);
      const double all = encoding == "program" ? kLine + 1 : length;
      if (encoding == "centred" || encoding == "program")
        l = 1 + 4 * (j - (all + 1) / 2) * (k - (d + 1) / 2) / (all * d);
      m[i] += l * a[static_cast<std::size_t>(words[w])][i];
    }
  return m;
}

inline Row plus(Row a, const Row& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

inline double dot(const Row& a, const Row& b) {
  double y = 0;
  for (std::size_t i = 0; i < a.size(); ++i) y += a[i] * b[i];
  return y;
}

/// x W, W [in][out]
inline Row times(const Row& x, const Table& w) {
  Row y(w[0].size());
  for (std::size_t i = 0; i < x.size(); ++i)
    for (std::size_t j = 0; j < y.size(); ++j) y[j] += x[i] * w[i][j];
  return y;
}

/// With so many elements of score 0 beside these.
inline Row plain_softmax(const Row& e, std::size_t empty = 0) {
  auto total = static_cast<double>(empty);
  Row w;
  for (double x : e) w.push_back(std::exp(x));
  for (double x : w) total += x;
  for (double& x : w) x /= total;
  return w;
}

inline Row weighted(const Row& w, const std::vector<Row>& values, std::size_t width) {
  Row y(width);
  for (std::size_t i = 0; i < w.size(); ++i)
    for (std::size_t k = 0; k < width; ++k) y[k] += w[i] * values[i][k];
  return y;
}

/// A memory that is asked questions, its parameters readable.
template <class T>
struct Asked {
  Asked(const std::string& name, const Given& given, const BatchSpec& spec, bool question = true,
        std::uint64_t seed = 1) {
    const MemoryPlugin& plugin = memories().find(name);
    const Options o = plugin.options.parse("memory", given);
    memory = plugin.make<T>(Builder<T>(set), o, {o.size("width"), spec, question});
    set.initialize(seed);
    gradients = std::make_unique<Gradients<T>>(set, 2);
    tape.bind(gradients->leaves());
    tape.begin(true);
  }

  bool has(const std::string& name) const {
    return std::any_of(set.parameters().begin(), set.parameters().end(), [&](const auto& p) { return p.name == name; });
  }
  Table table(const std::string& name) {
    for (std::size_t i = 0; i < set.parameters().size(); ++i) {
      const Parameter& p = set.parameters()[i];
      if (p.name != name) continue;
      Table rows(p.shape.rows());
      for (std::size_t k = 0; k < p.shape.size(); ++k)
        rows[k / p.shape.last()].push_back(static_cast<double>(set.value(i)[k]));
      return rows;
    }
    ADD_FAILURE() << "no parameter " << name;
    return {};
  }
  /// All of it: question, hops, answer.
  Values<T> ask(const Batch& batch, bool train = false, std::uint64_t sequence = 0) {
    Pass<T> pass{.tape = tape, .train = train, .seed = 1, .sequence = sequence};
    const Var<T> u = memory->question(pass, batch);
    const Values<T> start = memory->begin(pass, {.rows = batch.size, .items = &batch.items});
    return memory->step(pass, memory->head_parameters(pass, u), start);
  }
  /// Row b of a state value: [rest], item axes cut to what there is.
  Row state(Values<T> values, const std::string& site, const std::string& name, std::size_t b) const {
    const Var<T>& v = values[memory->layout().state_index(site, name)];
    const std::size_t n = v.size() / v.shape[0];
    return Row(v.data + b * n, v.data + (b + 1) * n);
  }

  ParameterSet<T> set;
  std::unique_ptr<Memory<T>> memory;
  std::unique_ptr<Gradients<T>> gradients;
  Tape<T> tape;
  Pass<T> pass{tape};
};

}  // namespace mneme::test
