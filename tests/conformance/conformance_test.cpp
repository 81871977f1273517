// Every registered memory, controller and model, with every value of its options, held to the contract. A new plug-in
// is in here by being registered.
#include "core/batch.hpp"
#include "tasks/task.hpp"
#include "tests/conformance/checks.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

namespace mneme {
namespace {

/// A test's name: letters, digits and '_'.
std::string test_name(const std::string& label) {
  std::string name;
  for (char c : label)
    if (std::isalnum(static_cast<unsigned char>(c)))
      name += c;
    else if (!name.empty() && name.back() != '_')
      name += '_';
  while (!name.empty() && name.back() == '_') name.pop_back();
  return name;
}

template <class S>
std::vector<std::string> labels(const std::vector<S>& specimens) {
  std::vector<std::string> all;
  for (const S& s : specimens) all.push_back(s.label());
  return all;
}

template <class S>
void expect_conformance(const std::vector<S>& specimens, const std::string& label) {
  for (const S& s : specimens)
    if (s.label() == label)
      for (const std::string& complaint : test::check_all(s)) ADD_FAILURE() << label << ": " << complaint;
}

class Conformance : public testing::TestWithParam<std::string> {};

TEST_P(Conformance, Holds) {
  expect_conformance(experiments::specimens(), GetParam());
}

INSTANTIATE_TEST_SUITE_P(Plugin, Conformance, testing::ValuesIn(labels(experiments::specimens())),
                         [](const auto& info) { return test_name(info.param); });

class ModelConformance : public testing::TestWithParam<std::string> {};

TEST_P(ModelConformance, Holds) {
  expect_conformance(experiments::model_specimens(), GetParam());
}

INSTANTIATE_TEST_SUITE_P(Plugin, ModelConformance, testing::ValuesIn(labels(experiments::model_specimens())),
                         [](const auto& info) { return test_name(info.param); });

TEST(Specimens, EveryRegisteredNameHasOne) {
  const auto has = [](const std::string& family, const std::string& name) {
    for (const auto& s : experiments::specimens())
      if (s.family == family && s.name == name) return true;
    return false;
  };
  for (const std::string& name : memories().names()) EXPECT_TRUE(has("memory", name)) << name;
  for (const std::string& name : controllers().names()) EXPECT_TRUE(has("controller", name)) << name;
  for (const std::string& name : models().names()) {
    const auto all = experiments::model_specimens();
    EXPECT_TRUE(std::any_of(all.begin(), all.end(), [&](const auto& s) { return s.name == name; })) << name;
  }
}

// Before main there is nobody to catch what a registration throws: both files are named by the first look, in a
// process of its own, for the registries stay as they are.
TEST(Registries, TwoPlugInsOfOneNameAreBothNamedByTheFirstLook) {
  const auto look = [](auto clash) {
    clash();
    try {
      memories().names();
      controllers().entries();
      models().find("cell");
      tasks().find("copy");
    } catch (const InvariantError& e) {
      std::fputs(e.what(), stderr);
      std::exit(1);
    }
    std::exit(0);
  };
  const auto died = testing::ExitedWithCode(1);
  const std::string here = "[0-9]+ and .*tests/conformance/conformance_test.cpp:[0-9]+$";
  EXPECT_EXIT(look([] { memories().add("ntm", MemoryPlugin{}); }), died,
              "\\[memory\\] the name 'ntm' is registered twice: .*memory/ntm.cpp:" + here);
  EXPECT_EXIT(look([] { controllers().add("lstm", ControllerPlugin{}); }), died,
              "\\[controller\\] the name 'lstm' is registered twice: .*controllers/lstm.cpp:" + here);
  EXPECT_EXIT(look([] { models().add("cell", ModelPlugin{}); }), died,
              "\\[model\\] the name 'cell' is registered twice: .*models/cell.cpp:" + here);
  EXPECT_EXIT(look([] { tasks().add("copy", TaskPlugin{}); }), died,
              "\\[task\\] the name 'copy' is registered twice: .*tasks/copy.cpp:" + here);
}

// Every value of every choice is tried, alone or with a partner that makes it acceptable.
TEST(Specimens, EveryChoiceOfEveryOptionIsTried) {
  const auto tried = [](const std::string& family, const std::string& name, const std::string& option) {
    std::set<std::string> values;
    for (const auto& s : experiments::specimens())
      if (s.family == family && s.name == name)
        for (const auto& [key, value] : s.options.items())
          if (key == option) values.insert(value);
    return values;
  };
  const auto expect_all = [&](const std::string& family, const std::string& name, const OptionTable& table) {
    for (const Option& o : table.options()) {
      if (o.type != Option::Type::choice && o.type != Option::Type::choices) continue;
      const std::set<std::string> values = tried(family, name, o.name);
      for (const std::string& v : o.allowed())
        EXPECT_TRUE(values.count(v)) << family << " " << name << " " << o.name << "=" << v;
    }
  };
  for (const auto& [name, plugin] : memories().entries()) expect_all("memory", name, plugin.options);
  for (const auto& [name, plugin] : controllers().entries()) expect_all("controller", name, plugin.options);
}

TEST(Specimens, SmallSizesAndPartners) {
  OptionTable table;
  table.integer("slots", 128, 1, 1024, "N")
      .integer("width", 20, 1, 1024, "M")
      .integer("heads", 1, 1, 8, "odd")
      .choice("kind", "a", {"a", "b", "c"}, "")
      .flag("deep", false, "");
  const auto validate = [](const Options& o) {
    if (o.integer("heads") % 2 == 0) throw ArgumentError("even");
    if (o.text("kind") == "c" && !o.flag("deep")) throw ArgumentError("c must be deep");
  };
  std::vector<std::string> texts;
  for (const auto& v : experiments::small_variants("memory", table, validate)) texts.push_back(v.text);
  EXPECT_EQ(texts, (std::vector<std::string>{"", "heads=3", "kind=b", "kind=c deep=true", "deep=true"}));
  const auto variants = experiments::small_variants("memory", table, validate);
  EXPECT_EQ(variants[0].options.integer("slots"), 5);
  EXPECT_EQ(variants[0].options.integer("width"), 4);
}

// What the suite's batches must be like for its checks to mean anything.
TEST(Specimens, BatchesAreRaggedAndRowsComeApart) {
  const BatchSpec spec{.channels = 2, .item_width = 2, .target = TargetKind::pointer, .outputs = 4};
  const Batch batch = experiments::random_batch(spec, 4, 4);
  EXPECT_TRUE(batch.ragged());
  EXPECT_EQ(batch.lengths, (std::vector<std::uint32_t>{4, 4, 3, 2}));
  EXPECT_EQ(batch.items.count, (std::vector<std::uint32_t>{4, 2, 3, 4}));
  const Batch one = experiments::single_row(batch, spec, 2);
  EXPECT_EQ(one.steps, 3u);
  EXPECT_EQ(one.items.values.shape()[1], 3u);
  EXPECT_EQ(one.dense(1, 0, 1), batch.dense(1, 2, 1));
}

}  // namespace
}  // namespace mneme
