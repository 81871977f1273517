// Room: tests. An addressing scheme that replay has never heard of, made of parts that it knows, is verified part by
// part: by the names in the trace, not by the scheme's own.
#include "attention/addressing.hpp"
#include "attention/location.hpp"
#include "replay/verify.hpp"
#include "tests/replay/small_trace.hpp"
#include "trace/hdf5.hpp"

#include <gtest/gtest.h>

namespace mneme {
namespace {

using replay_test::Scratch;
using replay_test::small_trace;

/// Found by a plain product, few at a time, then moved.
template <class T>
class FoundAndMoved final : public Addressing<T> {
 public:
  static AddressingDeclaration declare(const AddressingSetup& s) {
    return made_of("scaled_dot", "sparsemax", {"shift", "interpolate"}, s);
  }
  FoundAndMoved(const Builder<T>& build, const AddressingSetup& s) : content_(build, declare(s).parts, s) {}
  Var<T> operator()(Pass<T>& pass, Values<T> p, Var<T> memory, Var<T> previous) const override {
    const Var<T> moved = shift(pass.tape, content_(pass, p[0], p[1], memory), p[2]);
    pass.seen("shifted", moved);
    return interpolate(pass.tape, moved, previous, p[3]);
  }

 private:
  ContentLookup<T> content_;
};
const bool registered = register_addressing<FoundAndMoved>("found_and_moved", "a scheme of this test", "");

const std::vector<std::pair<std::string, std::string>> keys{{"memory.read-addressing", "found_and_moved"},
                                                            {"trace.level", "full"}};

void set_part(const std::filesystem::path& trace, const std::string& site, const std::string& part,
              const std::string& name) {
  trace::File f = trace::File::open_for_writing(trace);
  f.set_attr("/sites/" + site, part, name);
  f.close();
}

std::string how(const replay::Report& report, const std::string& site) {
  for (const auto& c : report.coverage)
    if (c.what == site) return c.values ? c.how : "nothing compared";
  return "no such site";
}

TEST(Parts, ASchemeOfKnownPartsIsVerifiedByTheirNames) {
  const Scratch folder("parts");
  const auto path = small_trace(folder.path(), keys);
  {
    const trace::File f = trace::File::open(path);
    EXPECT_EQ(f.text_attr("/sites/read_0", "addressing"), "found_and_moved");
    EXPECT_EQ(f.text_attr("/sites/read_0", "similarity"), "scaled_dot");
    EXPECT_EQ(f.text_attr("/sites/read_0", "normalizer"), "sparsemax");
    EXPECT_EQ(f.text_attr("/sites/read_0", "moves"), "shift,interpolate");
    EXPECT_EQ(f.text_attr("/sites/write_0", "normalizer"), "softmax");
  }
  const auto report = replay::verify(path);
  EXPECT_TRUE(report.ok()) << (report.failures.empty() ? "" : report.failures[0].text());
  EXPECT_EQ(how(report, "read_0"), "reference loops");
  EXPECT_GT(report.max_abs_difference, 0);
}

TEST(Parts, AreJudgedAsWhatTheyAre) {
  for (const auto& [part, other] :
       {std::pair<const char*, const char*>{"similarity", "dot"}, {"normalizer", "softmax"}, {"moves", "shift"}}) {
    const Scratch folder("other");
    const auto path = small_trace(folder.path(), keys);
    set_part(path, "read_0", part, other);
    const auto report = replay::verify(path);
    ASSERT_FALSE(report.ok()) << part << " taken for " << other << " went unnoticed";
    EXPECT_TRUE(report.failures[0].dataset.starts_with("/sites/read_0/")) << report.failures[0].text();
  }
}

TEST(Parts, OneWithoutARuleGoesThroughTheMemorysOwnFunctions) {
  const Scratch folder("unknown");
  const auto path = small_trace(folder.path(), keys);
  set_part(path, "read_0", "similarity", "unheard-of");
  const auto report = replay::verify(path);
  EXPECT_TRUE(report.ok()) << (report.failures.empty() ? "" : report.failures[0].text());
  EXPECT_EQ(how(report, "read_0"), "the memory's own functions in float64");
}

// As traces were before they named the parts.
TEST(Parts, UnnamedTheyAreCosineAndSoftmax) {
  for (const bool sparse : {false, true}) {
    const Scratch folder("unnamed");
    const auto path = small_trace(folder.path(), {{"memory.normalize", sparse ? "sparsemax" : "softmax"}});
    EXPECT_TRUE(replay::verify(path).ok());
    for (const char* site : {"read_0", "write_0"})
      for (const char* part : {"similarity", "normalizer", "moves"}) set_part(path, site, part, "");
    const auto report = replay::verify(path);
    EXPECT_EQ(report.ok(), !sparse);
    EXPECT_EQ(how(report, "read_0"), "reference loops");
    EXPECT_EQ(how(report, "write_0"), "reference loops");
  }
}

}  // namespace
}  // namespace mneme
