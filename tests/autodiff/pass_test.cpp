// A pass and who looks at it: what is shown, what is put in its place, and what is refused.
#include "autodiff/pass.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace mneme {
namespace {

/// Wants `name` at "read_0"; puts `other` in its place where it is set.
struct Eye final : Look<float> {
  explicit Eye(std::string wanted) : name(std::move(wanted)) {}
  bool wants(const Place& place) override { return place.site == "read_0" && place.name == name; }
  void seen(const Pass<float>& pass, const Place&, const Var<float>& value) override {
    EXPECT_FALSE(value.needs_gradient());
    steps.push_back(pass.step);
    values.push_back(value.data[0]);
  }
  Var<float> instead(const Pass<float>&, const Place& place, const Var<float>& value) override {
    return other && wants(place) ? other : value;
  }
  std::string name;
  Var<float> other;
  std::vector<std::size_t> steps;
  std::vector<float> values;
};

std::string complaint(const std::function<void()>& f) {
  try {
    f();
  } catch (const InvariantError& e) {
    return e.what();
  }
  return "none";
}

TEST(Pass, ShowsWhatIsWantedAtItsSiteAndStep) {
  Tape<float> tape;
  tape.begin(true);
  Eye eye("content");
  Pass<float> pass{.tape = tape, .look = &eye};
  const Var<float> v = tape.variable({1});
  for (pass.step = 0; pass.step < 2; ++pass.step) {
    pass.at("read_0");
    v.data[0] = static_cast<float>(pass.step) + 0.5f;
    pass.seen("content", v);
    pass.seen("gated", v);
    pass.at("read_1");
    pass.seen("content", v);
  }
  EXPECT_EQ(eye.steps, (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(eye.values, (std::vector<float>{0.5f, 1.5f}));
}

TEST(Pass, WhatIsPutInAPlaceIsTakenAndSeen) {
  Tape<float> tape;
  tape.begin(false);
  Eye eye("value");
  Pass<float> pass{.tape = tape, .look = &eye};
  pass.at("read_0");
  const Var<float> v = tape.filled({2}, 1);
  EXPECT_EQ(pass.taken("value", v).data, v.data);
  eye.other = tape.filled({2}, 7);
  EXPECT_EQ(pass.taken("value", v).data[0], 7);
  EXPECT_EQ(pass.taken("weights", v).data, v.data);
  EXPECT_EQ(eye.values, (std::vector<float>{1, 7}));
  eye.other = tape.filled({3}, 7);
  EXPECT_EQ(complaint([&] { pass.taken("value", v); }),
            "[look] read_0.value has shape [2], another of [3] was put in its place");
}

TEST(Pass, NothingIsPutIntoARecordedPass) {
  Tape<float> tape;
  tape.begin(true);
  Eye eye("value");
  Pass<float> pass{.tape = tape, .look = &eye};
  pass.at("read_0");
  const Var<float> v = tape.filled({2}, 1);
  EXPECT_EQ(complaint([&] { pass.taken("value", v); }), "none") << "looking is free";
  eye.other = tape.filled({2}, 0);
  EXPECT_EQ(complaint([&] { pass.taken("value", v); }),
            "[look] another read_0.value has no gradient, and this pass is recorded");
}

TEST(Pass, NobodyLookingNothingIsAsked) {
  Tape<float> tape;
  tape.begin(true);
  Pass<float> pass{tape};
  const Var<float> v = tape.variable({2});
  EXPECT_FALSE(pass.wants("content"));
  EXPECT_EQ(pass.taken("value", v).slot, v.slot);
}

TEST(Pass, ARowsStreamIsItsOwnInAnyBatch) {
  Tape<float> tape;
  Pass<float> all{.tape = tape, .seed = 3, .sequence = 10}, one{.tape = tape, .seed = 3, .sequence = 12};
  EXPECT_EQ(all.stream("noise", 2).bits(), one.stream("noise", 0).bits());
  EXPECT_NE(all.stream("noise", 1).bits(), one.stream("noise", 0).bits());
}

}  // namespace
}  // namespace mneme
