// The cell: one small test for each thing a batch may hold, each against plain loops.
#include "autodiff/ops.hpp"
#include "core/prediction.hpp"
#include "tests/memory/plain_ntm.hpp"
#include "tests/models/cell_rig.hpp"

namespace mneme {
namespace {

using test::CellRig;
using test::Numbers;
using test::plain_layer;
using test::plain_log_softmax;
using test::plain_tanh;
using test::Row;

constexpr std::size_t B = 2, T = 3;

/// A batch of this spec with drawn dense steps, everything scored; tokens, items and targets are the caller's.
Batch make_batch(const BatchSpec& spec, std::size_t items = 0, std::size_t words = 0) {
  Batch batch;
  batch.reset(spec, B, T, items, words);
  const Numbers x = test::draw(B * T * spec.channels, 1, -1, 1);
  std::copy(x.begin(), x.end(), batch.dense.data());
  std::fill(batch.target.scored.storage().begin(), batch.target.scored.storage().end(), std::uint8_t{1});
  return batch;
}

Row dense_row(const Batch& batch, std::size_t t, std::size_t b) {
  Row x;
  for (std::size_t c = 0; c < batch.dense.shape()[2]; ++c) x.push_back(batch.dense(t, b, c));
  return x;
}

/// The only layer of the feedforward controller.
Row plain_control(CellRig<double>& rig, const Row& x) {
  return plain_tanh(plain_layer(rig, "controller.layer_0", x));
}

template <class F>
void each_step(F f) {
  for (std::size_t t = 0; t < T; ++t)
    for (std::size_t b = 0; b < B; ++b) f(t, b);
}

TEST(Cell, DenseStepsAndBits) {
  const BatchSpec spec{.channels = 3, .target = TargetKind::bits, .outputs = 2};
  CellRig<double> rig(spec);
  Batch batch = make_batch(spec);
  each_step([&](std::size_t t, std::size_t b) {
    for (std::size_t k = 0; k < 2; ++k) batch.target.values(t, b, k) = static_cast<float>((t + b + k) % 2);
  });
  batch.target.scored(1, 0) = 0;
  batch.check(spec);
  Numbers logits;
  double loss = 0;
  each_step([&](std::size_t t, std::size_t b) {
    const Row y = plain_layer(rig, "readout", plain_control(rig, dense_row(batch, t, b)));
    for (std::size_t k = 0; k < 2; ++k) {
      const double p = 1 / (1 + std::exp(-y[k]));
      if (batch.target.scored(t, b)) loss -= std::log(batch.target.values(t, b, k) > 0 ? p : 1 - p);
      logits.push_back(y[k]);
    }
  });
  const Forward<double> f = rig.forward(batch, 0.25);
  test::expect_value(f.logits, {T * B, 2}, logits);
  EXPECT_NEAR(f.loss.data[0], 0.25 * loss, 1e-13);
}

TEST(Cell, TokensAndClasses) {
  const BatchSpec spec{.vocabulary = 5, .target = TargetKind::classes, .outputs = 4};
  CellRig<double> rig(spec);
  Batch batch = make_batch(spec);
  each_step([&](std::size_t t, std::size_t b) {
    batch.tokens(t, b) = static_cast<std::int32_t>((2 * t + b) % 5);
    batch.target.indices(t, b) = static_cast<std::int32_t>((t + 3 * b) % 4);
  });
  batch.tokens(1, 1) = -1;  // no token: a zero embedding
  batch.target.scored(2, 0) = 0;
  batch.check(spec);
  const std::vector<Row> table = rig.parameter("embedding.table");
  Numbers logits;
  double loss = 0;
  each_step([&](std::size_t t, std::size_t b) {
    const std::int32_t token = batch.tokens(t, b);
    const Row x = token < 0 ? Row(3) : table[static_cast<std::size_t>(token)];
    const Row y = plain_layer(rig, "readout", plain_control(rig, x));
    logits.insert(logits.end(), y.begin(), y.end());
    if (batch.target.scored(t, b))
      loss -= plain_log_softmax(y, 4)[static_cast<std::size_t>(batch.target.indices(t, b))];
  });
  const Forward<double> f = rig.forward(batch);
  test::expect_value(f.logits, {T * B, 4}, logits);
  EXPECT_NEAR(f.loss.data[0], loss, 1e-13);
}

TEST(Cell, TokensBesideDenseStepsAndRealTargets) {
  const BatchSpec spec{.channels = 2, .vocabulary = 4, .target = TargetKind::real, .outputs = 2};
  CellRig<double> rig(spec);
  Batch batch = make_batch(spec);
  each_step([&](std::size_t t, std::size_t b) {
    batch.tokens(t, b) = static_cast<std::int32_t>((t + b) % 4);
    for (std::size_t k = 0; k < 2; ++k)
      batch.target.values(t, b, k) = static_cast<float>(t) - 0.5f * static_cast<float>(b + k);
  });
  batch.target.scored(0, 1) = 0;
  batch.check(spec);
  const std::vector<Row> table = rig.parameter("embedding.table");
  Numbers values;
  double loss = 0;
  each_step([&](std::size_t t, std::size_t b) {
    Row x = dense_row(batch, t, b);
    const Row& word = table[static_cast<std::size_t>(batch.tokens(t, b))];
    x.insert(x.end(), word.begin(), word.end());
    const Row y = plain_layer(rig, "readout", plain_control(rig, x));
    for (std::size_t k = 0; k < 2; ++k) {
      values.push_back(y[k]);
      const double miss = y[k] - batch.target.values(t, b, k);
      if (batch.target.scored(t, b)) loss += miss * miss / 2;
    }
  });
  const Forward<double> f = rig.forward(batch);
  test::expect_value(f.logits, {T * B, 2}, values);
  EXPECT_NEAR(f.loss.data[0], loss, 1e-13);
}

/// Pointer logits and loss from each item's key; rows have 4 and 2 items.
void expect_pointer(CellRig<double>& rig, Batch& batch, const BatchSpec& spec,
                    const std::function<Row(std::size_t b, std::size_t i)>& key) {
  batch.items.count = {4, 2};
  each_step([&](std::size_t t, std::size_t b) {
    batch.target.indices(t, b) = static_cast<std::int32_t>((t + b) % batch.items.count[b]);
  });
  batch.target.scored(1, 1) = 0;
  batch.check(spec);
  Numbers logits;
  double loss = 0;
  each_step([&](std::size_t t, std::size_t b) {
    const Row query = plain_layer(rig, "readout", plain_control(rig, dense_row(batch, t, b)));
    EXPECT_EQ(query.size(), 2u) << "half of the features";
    Row y(4, masked_logit);
    for (std::size_t i = 0; i < batch.items.count[b]; ++i) {
      const Row k = key(b, i);
      y[i] = 0;
      for (std::size_t d = 0; d < query.size(); ++d) y[i] += query[d] * k[d];
    }
    logits.insert(logits.end(), y.begin(), y.end());
    if (batch.target.scored(t, b))
      loss -= plain_log_softmax(y, batch.items.count[b])[static_cast<std::size_t>(batch.target.indices(t, b))];
  });
  const Forward<double> f = rig.forward(batch);
  test::expect_value(f.logits, {T * B, 4}, logits);
  EXPECT_NEAR(f.loss.data[0], loss, 1e-13);
  rig.tape.backward(f.loss);
  test::expect_finite(Numbers(rig.gradients->flat(), rig.gradients->flat() + rig.set.flat_size()));

  Prediction prediction;
  rig.predict(batch, prediction);
  each_step([&](std::size_t t, std::size_t b) {
    double total = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      if (i >= batch.items.count[b]) {
        EXPECT_EQ(prediction.values(t, b, i), 0) << "an item that is not there";
      }
      total += prediction.values(t, b, i);
    }
    EXPECT_NEAR(total, 1, 1e-6);
    EXPECT_LT(prediction.indices(t, b), static_cast<std::int32_t>(batch.items.count[b]));
  });
}

TEST(Cell, PointersToPoints) {
  const BatchSpec spec{.channels = 2, .item_width = 3, .target = TargetKind::pointer, .outputs = 4};
  CellRig<double> rig(spec);
  Batch batch = make_batch(spec, 4);
  for (std::size_t b = 0; b < B; ++b)
    for (std::size_t i = 0; i < (b ? 2 : 4); ++i)
      for (std::size_t d = 0; d < 3; ++d)
        batch.items.values(b, i, d) = static_cast<float>((5 * b + 3 * i + 2 * d) % 7) / 7;
  expect_pointer(rig, batch, spec, [&](std::size_t b, std::size_t i) {
    Row x;
    for (std::size_t d = 0; d < 3; ++d) x.push_back(batch.items.values(b, i, d));
    return plain_layer(rig, "readout.items", x);
  });
}

TEST(Cell, PointersToSentencesAreSumsOfTheirWords) {
  const BatchSpec spec{.channels = 2, .item_vocabulary = 6, .target = TargetKind::pointer, .outputs = 4};
  CellRig<double> rig(spec);
  Batch batch = make_batch(spec, 4, 3);
  for (std::size_t b = 0; b < B; ++b)
    for (std::size_t i = 0; i < (b ? 2 : 4); ++i)
      for (std::size_t w = 0; w < 1 + i % 3; ++w)
        batch.items.tokens(b, i, w) = static_cast<std::int32_t>((b + 2 * i + 3 * w) % 6);
  const std::vector<Row> table = rig.parameter("readout.words.table");
  expect_pointer(rig, batch, spec, [&](std::size_t b, std::size_t i) {
    Row key(2);
    for (std::size_t w = 0; w < 3; ++w)
      for (std::size_t d = 0; d < 2 && batch.items.tokens(b, i, w) >= 0; ++d)
        key[d] += table[static_cast<std::size_t>(batch.items.tokens(b, i, w))][d];
    return key;
  });
}

TEST(Cell, PointersToItemsThatHaveBoth) {
  const BatchSpec spec{
      .channels = 2, .item_width = 1, .item_vocabulary = 3, .target = TargetKind::pointer, .outputs = 4};
  CellRig<double> rig(spec);
  Batch batch = make_batch(spec, 4, 1);
  for (std::size_t b = 0; b < B; ++b)
    for (std::size_t i = 0; i < (b ? 2 : 4); ++i) {
      batch.items.values(b, i, 0) = static_cast<float>(i + 1) / 4;
      batch.items.tokens(b, i, 0) = static_cast<std::int32_t>((b + i) % 3);
    }
  const std::vector<Row> table = rig.parameter("readout.words.table");
  expect_pointer(rig, batch, spec, [&](std::size_t b, std::size_t i) {
    Row key = plain_layer(rig, "readout.items", {batch.items.values(b, i, 0)});
    for (std::size_t d = 0; d < 2; ++d) key[d] += table[static_cast<std::size_t>(batch.items.tokens(b, i, 0))][d];
    return key;
  });
}

// The controller sees the step and the last reads, the readout sees the controller and the new reads (figure 1).
TEST(Cell, NtmInPlainLoops) {
  const BatchSpec spec{.channels = 3, .target = TargetKind::bits, .outputs = 2};
  for (const char* order : {"read-first", "write-first"}) {
    SCOPED_TRACE(order);
    const std::size_t n = 5, m = 3, readers = 2;
    CellRig<double> rig(
        spec, {.memory = "ntm",
               .memory_options = {
                   {"slots", "5"}, {"width", "3"}, {"read-heads", "2"}, {"order", order}, {"initial-value", "0.5"}}});
    Batch batch = make_batch(spec);
    test::Recording<double> seen;
    const Forward<double> f = rig.forward(batch, 1, &seen);
    ASSERT_EQ(seen.memory.size(), T + 1);
    Numbers logits(T * B * 2);
    for (std::size_t b = 0; b < B; ++b) {
      std::vector<test::PlainHead> heads(readers + 1);
      heads[readers].writes = true;
      for (test::PlainHead& h : heads) {
        h.scheme = "content_location";
        h.w.assign(n, 0);
        h.w[0] = 1;
      }
      for (std::size_t r = 0; r < readers; ++r)
        heads[r].read = rig.parameter(fmt::format("memory.read_{}.initial_value", r))[0];
      const auto with_reads = [&](Row x) {
        for (std::size_t r = 0; r < readers; ++r) x.insert(x.end(), heads[r].read.begin(), heads[r].read.end());
        return x;
      };
      test::Matrix memory(n, Row(m, 0.5));
      for (std::size_t t = 0; t < T; ++t) {
        const Row control = plain_control(rig, with_reads(dense_row(batch, t, b)));
        const Row raw = plain_layer(rig, "memory.heads", control);
        std::size_t at = 0;
        const auto take = [&](std::size_t count) {
          at += count;
          return Row(raw.begin() + static_cast<std::ptrdiff_t>(at - count),
                     raw.begin() + static_cast<std::ptrdiff_t>(at));
        };
        for (test::PlainHead& h : heads) {
          h.key = plain_tanh(take(m));
          h.beta = test::plain_softplus(take(1)[0]);
          h.gate = test::plain_sigmoid(take(1)[0]);
          h.shift = test::plain_softmax(take(3));
          h.gamma = 1 + test::plain_softplus(take(1)[0]);
          if (!h.writes) continue;
          h.erase = take(m);
          for (double& v : h.erase) v = test::plain_sigmoid(v);
          h.add = plain_tanh(take(m));
        }
        ASSERT_EQ(at, raw.size());
        test::plain_step(heads, memory, std::string(order) == "write-first");
        const Row y = plain_layer(rig, "readout", with_reads(control));
        std::copy(y.begin(), y.end(), logits.begin() + static_cast<std::ptrdiff_t>((t * B + b) * 2));
        const MemoryLayout& layout = *find(rig.model->components(), "memory")->memory;
        for (std::size_t h = 0; h < heads.size(); ++h)
          test::expect_near(test::row_of(seen.memory[t + 1][layout.state_index(layout.sites[h].name, "weights")], b, B),
                            heads[h].w, 1e-12);
      }
    }
    test::expect_value(f.logits, {T * B, 2}, logits, 1e-12);
  }
}

// --- mixed lengths --------------------------------------------------------------------------------------------------

TEST(Cell, RowsOfDifferentLengthAreTheSingleRuns) {
  const BatchSpec spec{.channels = 3, .target = TargetKind::bits, .outputs = 2};
  const std::vector<std::uint32_t> lengths{5, 2, 1, 4};
  const std::size_t rows = lengths.size(), steps = 5;
  for (const char* controller : {"lstm", "feedforward"})
    for (const char* memory : {"ntm", "none"}) {
      SCOPED_TRACE(std::string(controller) + " with " + memory);
      test::CellOptions options{.memory = memory, .controller = controller};
      if (options.memory == "ntm") options.memory_options = {{"slots", "5"}, {"width", "3"}, {"read-heads", "2"}};
      CellRig<double> rig(spec, options);
      Batch batch;
      batch.reset(spec, rows, steps);
      batch.lengths = lengths;
      for (std::size_t b = 0; b < rows; ++b)
        for (std::size_t t = 0; t < lengths[b]; ++t) {
          batch.target.scored(t, b) = (t + b) % 3 != 1;
          for (std::size_t c = 0; c < 3; ++c)
            batch.dense(t, b, c) = static_cast<float>((7 * b + 5 * t + 3 * c) % 11) / 11;
          for (std::size_t k = 0; k < 2; ++k) batch.target.values(t, b, k) = static_cast<float>((b + t + k) % 2);
        }
      batch.check(spec);
      ASSERT_TRUE(batch.ragged());
      test::Recording<double> seen;
      const Forward<double> all = rig.forward(batch, 1, &seen);
      const double loss = all.loss.data[0];
      const Numbers logits = test::numbers(all.logits);
      rig.tape.backward(all.loss);
      const Numbers gradient(rig.gradients->flat(), rig.gradients->flat() + rig.set.flat_size());

      double sum = 0;
      Numbers gradients(gradient.size());
      for (std::size_t b = 0; b < rows; ++b) {
        SCOPED_TRACE(fmt::format("row {}", b));
        Batch one;
        one.reset(spec, 1, lengths[b]);
        for (std::size_t t = 0; t < lengths[b]; ++t) {
          one.target.scored(t, 0) = batch.target.scored(t, b);
          for (std::size_t c = 0; c < 3; ++c) one.dense(t, 0, c) = batch.dense(t, b, c);
          for (std::size_t k = 0; k < 2; ++k) one.target.values(t, 0, k) = batch.target.values(t, b, k);
        }
        test::Recording<double> alone;
        const Forward<double> single = rig.forward(one, 1, &alone);
        sum += single.loss.data[0];
        const Numbers y = test::numbers(single.logits);
        for (std::size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], logits[(i / 2 * rows + b) * 2 + i % 2], 1e-12);
        rig.tape.backward(single.loss);
        for (std::size_t i = 0; i < gradients.size(); ++i) gradients[i] += rig.gradients->flat()[i];
        // Every state value, and frozen past the end.
        for (std::size_t t = 0; t <= steps; ++t) {
          const std::size_t mine = std::min<std::size_t>(t, lengths[b]);
          for (std::size_t i = 0; i < seen.memory[t].size(); ++i) {
            const Numbers state = test::row_of(seen.memory[t][i], b, rows);
            test::expect_near(state, alone.memory[mine][i], 1e-12);
            if (t > mine) {
              EXPECT_EQ(state, test::row_of(seen.memory[mine][i], b, rows)) << "step " << t << ", slot " << i;
            }
          }
          for (std::size_t i = 0; i < seen.controller[t].size(); ++i) {
            const Numbers state = test::row_of(seen.controller[t][i], b, rows);
            test::expect_near(state, alone.controller[mine][i], 1e-12);
            if (t > mine) {
              EXPECT_EQ(state, test::row_of(seen.controller[mine][i], b, rows)) << "step " << t << ", slot " << i;
            }
          }
        }
      }
      EXPECT_NEAR(sum, loss, 1e-12);
      test::expect_near(gradients, gradient, 1e-12);
    }
}

// --- predictions ----------------------------------------------------------------------------------------------------

TEST(Cell, PredictionsOfEveryKind) {
  const std::pair<BatchSpec, bool> specs[] = {
      {{.channels = 3, .target = TargetKind::bits, .outputs = 2}, false},
      {{.channels = 3, .target = TargetKind::classes, .outputs = 4}, true},
      {{.channels = 3, .target = TargetKind::real, .outputs = 2}, false},
  };
  Prediction prediction;  // one for all: kinds may follow each other
  for (const auto& [spec, chooses] : specs) {
    CellRig<float> rig(spec);
    Batch batch = make_batch(spec);
    std::fill(batch.target.indices.storage().begin(), batch.target.indices.storage().end(), 1);
    rig.predict(batch, prediction);
    const Var<float> logits = rig.forward(batch).logits;
    ASSERT_EQ(prediction.values.shape()[0], T);
    ASSERT_EQ(prediction.values.shape()[1], B);
    ASSERT_EQ(prediction.values.shape()[2], spec.outputs);
    EXPECT_EQ(prediction.indices.size(), chooses ? T * B : 0);
    each_step([&](std::size_t t, std::size_t b) {
      const float* x = logits.data + (t * B + b) * spec.outputs;
      const Row y = plain_log_softmax(Row(x, x + spec.outputs), spec.outputs);
      for (std::size_t k = 0; k < spec.outputs; ++k) {
        const double want = spec.target == TargetKind::bits   ? 1 / (1 + std::exp(-x[k]))
                            : spec.target == TargetKind::real ? x[k]
                                                              : std::exp(y[k]);
        EXPECT_NEAR(prediction.values(t, b, k), want, 1e-6);
      }
      if (chooses) {
        EXPECT_EQ(prediction.indices(t, b), std::max_element(y.begin(), y.end()) - y.begin());
      }
    });
  }
}

TEST(Cell, SaysWhatItIsMadeOf) {
  const BatchSpec spec{.channels = 3, .target = TargetKind::bits, .outputs = 2};
  const CellRig<float> rig(spec,
                           {.memory = "ntm", .memory_options = {{"slots", "5"}, {"width", "3"}}, .controller = "lstm"});
  const Component* memory = find(rig.model->components(), "memory");
  const Component* controller = find(rig.model->components(), "controller");
  ASSERT_NE(memory, nullptr);
  ASSERT_NE(controller, nullptr);
  EXPECT_EQ(memory->plugin, "memory ntm");
  EXPECT_EQ(memory->memory->slots, 5u);
  EXPECT_EQ(controller->plugin, "controller lstm");
  EXPECT_EQ(controller->memory, nullptr);
  EXPECT_EQ(controller->declared->state.size(), 2u);
  EXPECT_EQ(find(rig.model->components(), "pointer"), nullptr);
}

TEST(Components, OfOneNameOrWithASiteOfOneNameAreRefused) {
  Declaration one, two;
  one.sites = {{.name = "read_0", .kind = "read"}};
  two.sites = {{.name = "read_0", .kind = "read"}};
  const Components same = {{"memory", "memory ntm", &one}, {"memory", "memory ring", &two}};
  EXPECT_EQ(test::complaint<InvariantError>([&] { check(same); }), "[memory ring] is a second part of the name memory");
  const Components sites = {{"memory", "memory ntm", &one}, {"decoder", "decoder x", &two}};
  EXPECT_EQ(test::complaint<InvariantError>([&] { check(sites); }),
            "[decoder x] declares the site read_0, and so does memory ntm");
}

TEST(Cell, ATaskWithoutStepsIsRefused) {
  EXPECT_EQ(test::complaint(
                [] { models().find("cell").validate({.item_width = 2, .target = TargetKind::pointer, .outputs = 3}); }),
            "[model cell] reads steps, and the task gives none");
  // Items that the memory ignores would be seen by nobody; a memory that reads them, or a pointer to them, is fine.
  const BatchSpec story{
      .vocabulary = 6, .item_vocabulary = 6, .target = TargetKind::classes, .outputs = 6, .max_items = 4};
  const auto build = [&](const char* memory, const BatchSpec& spec) {
    return test::complaint([&] {
      CellRig<float>(spec,
                     {.memory = memory, .memory_options = {{"slots", "5"}, {"width", "3"}}, .controller = "lstm"});
    });
  };
  EXPECT_EQ(build("ntm", story),
            "[model cell] the task gives items and this memory does not read them, so the model would see the question "
            "alone; take them as steps (babi: task.form words) or another memory");
  EXPECT_EQ(build("end_to_end", story), "no complaint");
  BatchSpec pointer = story;
  pointer.target = TargetKind::pointer;
  EXPECT_EQ(build("ntm", pointer), "no complaint");
  const std::string text = test::complaint([] { models().find("cel"); });
  EXPECT_EQ(text.substr(0, text.find(" There")), "[model] unknown model 'cel', did you mean 'cell'?");
}

}  // namespace
}  // namespace mneme
