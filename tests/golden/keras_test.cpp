// lstm, gru, rnn and two attention pipelines against the values in Keras's own layer tests.
//
// Inputs count up from 0; every kernel entry is 0.01, recurrent 0.02, bias 0.03, but for the LSTM's forget bias of 1.
#include "attention/attend.hpp"
#include "tests/golden/recurrent.hpp"

#include <fstream>
#include <sstream>

namespace mneme {
namespace {

using golden::Numbers;

struct KerasCase {
  std::string name, text;  ///< text: the line that describes the layer
  std::vector<std::size_t> dims;
  Numbers expect, exact;

  bool says(const std::string& words) const { return (" " + text).find(" " + words) != std::string::npos; }
  std::size_t number(const std::string& key, std::size_t standard) const {
    std::istringstream words(text);
    std::string word;
    std::size_t value = standard;
    while (words >> word)
      if (word == key) words >> value;
    return value;
  }
};

std::vector<KerasCase> parse(std::istream& file) {
  std::vector<KerasCase> cases;
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string word;
    if (!(words >> word) || word[0] == '#') continue;
    if (word == "case") {
      cases.emplace_back();
      words >> cases.back().name;
      continue;
    }
    if (cases.empty()) throw FileError("[keras.txt] '" + word + "' outside of a case");
    KerasCase& c = cases.back();
    if (word == "layer" || word == "score" || word == "softmax") {
      c.text = line;
      continue;
    }
    const bool exact = word.rfind("exact", 0) == 0;
    while (words >> word && word != ":") c.dims.push_back(std::stoul(word));
    while (words >> word && word != "tol") (exact ? c.exact : c.expect).push_back(std::stod(word));
  }
  return cases;
}

/// A row per "[...]" of the list after `key`: mask=[[1,1,1,0],[1,1,0,0]].
std::vector<Numbers> list_after(const std::string& text, const std::string& key) {
  std::vector<Numbers> rows;
  const std::size_t begin = text.find(key);
  if (begin == std::string::npos) return rows;
  std::size_t at = text.find("[[", begin) + 1;
  for (const std::size_t end = text.find("]]", begin); at < end; ++at) {
    if (text[at] == '[') rows.emplace_back();
    if (std::isdigit(static_cast<unsigned char>(text[at]))) rows.back().push_back(std::stod(text.substr(at)));
    while (std::isdigit(static_cast<unsigned char>(text[at])) || text[at] == '.') ++at;
  }
  return rows;
}

template <class T>
Numbers evaluate(const KerasCase& c) {
  const std::size_t units = c.number("units", 0), rows = c.number("N", 0), steps = c.number("T", 0),
                    input = c.number("I", 0);
  const bool lstm = c.says("LSTM"), gru = c.says("GRU");
  const double bias = c.number("use_bias", 1) ? 0.03 : 0;
  std::map<std::string, std::string> options;
  if (gru) options["reset"] = c.number("reset_after", 1) ? "after" : "before";
  golden::Recurrent<T> cell(lstm ? "lstm" : gru ? "gru" : "rnn", options, input, units);
  const auto all = [](double v) { return [v](std::size_t) { return v; }; };
  if (gru) {
    cell.set("input.weight", all(0.01));
    cell.set("hidden.weight", all(0.02));
    cell.set("input.bias", all(bias));
    cell.set("hidden.bias", all(c.number("reset_after", 1) ? bias : 0));  // one bias where the reset comes before
  } else {
    const std::size_t columns = (lstm ? 4 : 1) * units;
    cell.set("weight", [&](std::size_t k) { return k / columns < input ? 0.01 : 0.02; });
    const bool open = lstm && bias > 0 && c.number("unit_forget_bias", 1);
    cell.set("bias", [&](std::size_t k) { return open && k / units == 1 ? 1.0 : bias; });
  }
  std::vector<std::size_t> lengths(rows, steps);
  const std::vector<Numbers> mask = list_after(c.text, "mask="), start = list_after(c.text, "initial_h=");
  for (std::size_t b = 0; b < mask.size(); ++b) {
    lengths[b] = 0;
    for (double m : mask[b]) lengths[b] += m > 0;
  }
  std::vector<Numbers> initial;
  if (!start.empty()) {
    initial.resize(2);
    for (Numbers& s : initial)
      for (const Numbers& row : start) s.insert(s.end(), row.begin(), row.end());
  }
  const auto x = [&](std::size_t t, std::size_t b, std::size_t i) {
    return static_cast<double>((b * steps + t) * input + i);
  };
  const bool backwards = c.number("go_backwards", 0) > 0;
  auto y = cell.run(steps, rows, input, lengths, backwards, initial, x);
  if (c.says("stateful")) y = cell.run(steps, rows, input, lengths, backwards, y.last, x);
  if (!c.number("return_sequences", 0)) return y.last[0];
  Numbers sequences;
  for (std::size_t b = 0; b < rows; ++b)
    for (std::size_t t = 0; t < steps; ++t)  // masked steps repeat the last output
      for (std::size_t j = 0; j < units; ++j) sequences.push_back(y.h[std::min(t, lengths[b] - 1)][b * units + j]);
  return sequences;
}

/// q = [[1,0],[0,1]], k = [[0,1],[1,0]], v = [[1,2],[3,4]]: two queries over two elements.
template <class T>
Numbers attention(const KerasCase& c) {
  Tape<T> tape;
  tape.begin(false);
  const auto given = [&](Shape shape, std::initializer_list<T> values) {
    Var<T> x = tape.constant(shape);
    std::copy(values.begin(), values.end(), x.data);
    return x;
  };
  const Var<T> query = given({1, 2, 2}, {1, 0, 0, 1}), keys = given({1, 2, 2}, {0, 1, 1, 0}),
               values = given({1, 2, 2}, {1, 3, 2, 4}), ones = given({2}, {1, 1});
  const bool additive = c.name.find("additive") != std::string::npos;
  const Var<T> weights =
      softmax(tape, additive ? additive_score(tape, query, keys, ones) : dot_score(tape, query, keys));
  const Var<T> y = c.name.find("scores") != std::string::npos ? weights : weighted_sum(tape, weights, values);
  return Numbers(y.data, y.data + y.size());
}

TEST(Golden, Keras) {
  MNEME_GOLDEN_FILE(file, "keras.txt");
  std::map<std::string, std::unique_ptr<golden::Report>> reports;
  for (const char* family : {"lstm", "gru", "rnn", "attention"})
    reports[family] = std::make_unique<golden::Report>(std::string("keras ") + family);
  std::size_t count = 0;
  for (const KerasCase& c : parse(file)) {
    const std::string family = c.name.substr(0, c.name.find('_'));
    ASSERT_TRUE(reports.count(family)) << c.name;
    golden::Report& report = *reports[family];
    const bool pipeline = family == "attention";
    const Numbers& want = c.exact.empty() ? c.expect : c.exact;
    report.compare(c.name, "output", pipeline ? attention<double>(c) : evaluate<double>(c), want, 1e-6, false);
    report.compare(c.name, "output", pipeline ? attention<float>(c) : evaluate<float>(c), want, 2e-6, true);
    report.ran();
    ++count;
  }
  EXPECT_EQ(count, 19u);
}

}  // namespace
}  // namespace mneme
