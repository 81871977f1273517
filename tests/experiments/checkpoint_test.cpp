// Checkpoints: every bit comes back, and what is damaged, foreign, newer or does not fit is refused with a reason.
#include "experiments/run/checkpoint.hpp"

#include "core/build_info.hpp"
#include "experiments/run/session.hpp"
#include "tests/experiments/support.hpp"
#include "trace/hdf5.hpp"

#include <sys/resource.h>
#include <csignal>
#include <cstring>

namespace mneme::experiments {
namespace {

RunState some_state() {
  RunState s;
  s.sequences = 123;
  s.updates = 41;
  s.seconds = 1.25;
  s.solved = true;
  s.solved_at = 100;
  s.best = 0.5;
  s.window_metrics = {1.5, 2.5};
  s.metrics_bytes = 1ull << 40;
  return s;
}

std::vector<float> optimizer_bits(Session& s) {
  std::vector<float> all;
  for (auto& state : s.optimizer().state())
    all.insert(all.end(), state.values.data(), state.values.data() + state.values.size());
  return all;
}

void train_a_little(Session& s) {
  for (std::uint64_t i = 0; i < 5; ++i) s.step(i, i + 1);
}

TEST(Checkpoint, EveryBitComesBack) {
  for (const char* optimizer : {"sgd", "rmsprop_graves", "rmsprop", "adam"}) {
    Folder folder;
    const Config c = small({{"optimizer", optimizer, ""}, {"memory.initial-memory", "random", ""}});
    Session a(c, 1);
    train_a_little(a);
    save_checkpoint(folder / "a.ckpt.h5", c.text(), a.parameters(), a.optimizer(), some_state());
    EXPECT_FALSE(fs::exists(folder / "a.ckpt.h5.part"));

    Session b(small({{"optimizer", optimizer, ""}, {"memory.initial-memory", "random", ""}, {"seed", "9", ""}}), 1);
    EXPECT_NE(parameter_hash(a.parameters()), parameter_hash(b.parameters()));
    RunState state;
    const CheckpointInfo info = load_checkpoint(folder / "a.ckpt.h5", b.parameters(), &b.optimizer(), &state);
    EXPECT_EQ(parameter_hash(a.parameters()), parameter_hash(b.parameters()));
    EXPECT_EQ(info.parameter_hash, parameter_hash(b.parameters()));
    EXPECT_EQ(optimizer_bits(a), optimizer_bits(b));
    EXPECT_EQ(info.config_text, c.text());
    std::vector<std::string> fields;
    const RunState before = some_state();
    RunState::each(before, [&](const char* name, auto value) { fields.push_back(fmt::format("{} {}", name, value)); });
    std::size_t i = 0;
    RunState::each(state,
                   [&](const char* name, auto value) { EXPECT_EQ(fields[i++], fmt::format("{} {}", name, value)); });
    EXPECT_EQ(state.window_metrics, before.window_metrics);
    // One more step gives the same bits: the transposed copies that the backward pass reads are the file's, too.
    Session d(c, 1);
    load_checkpoint(folder / "a.ckpt.h5", d.parameters(), &d.optimizer());
    EXPECT_EQ(a.step(50, 6).gradient_norm, d.step(50, 6).gradient_norm);
    EXPECT_EQ(parameter_hash(a.parameters()), parameter_hash(d.parameters()));
  }
}

TEST(Checkpoint, InspectionNeedsNoModel) {
  Folder folder;
  const Config c = small();
  Session a(c, 1);
  save_checkpoint(folder / "a.ckpt.h5", c.text(), a.parameters(), a.optimizer(), some_state());
  const CheckpointInfo info = inspect_checkpoint(folder / "a.ckpt.h5");
  EXPECT_EQ(info.version, "1.1.0");
  EXPECT_EQ(info.state.sequences, 123u);
  const auto has = [&](const std::string& name) {
    return std::any_of(info.arrays.begin(), info.arrays.end(), [&](const auto& array) { return array.name == name; });
  };
  EXPECT_TRUE(has("parameters/memory.heads.weight"));
  EXPECT_TRUE(has("optimizer/square/readout.bias"));
}

TEST(Checkpoint, WhatDoesNotFitIsListedWithBothShapesAndChangesNothing) {
  Folder folder;
  const Config c = small();
  Session a(c, 1);
  save_checkpoint(folder / "a.ckpt.h5", c.text(), a.parameters(), a.optimizer(), some_state());
  Session b(small({{"controller.hidden", "10", ""}}), 1);
  const std::uint64_t before = parameter_hash(b.parameters());
  std::string m = message_of<ArgumentError>([&] { load_checkpoint(folder / "a.ckpt.h5", b.parameters()); });
  expect_has(m, (folder / "a.ckpt.h5").string() + "] does not fit the configuration:");
  expect_has(m, "parameters/readout.weight: the model has [14 3], the file [16 3]");
  EXPECT_EQ(m.find("was written by"), std::string::npos) << "this very program wrote it: " << m;
  EXPECT_EQ(parameter_hash(b.parameters()), before);

  fs::copy_file(folder / "a.ckpt.h5", folder / "older.ckpt.h5");
  {
    trace::File file = trace::File::open_for_writing(folder / "older.ckpt.h5");
    file.set_attr("/", "git_rev", "0123456789abcdef0123456789abcdef01234567");
    file.close();
  }
  seal_file(folder / "older.ckpt.h5");
  m = message_of<ArgumentError>([&] { load_checkpoint(folder / "older.ckpt.h5", b.parameters()); });
  expect_has(m, "parameters/readout.weight: the model has [14 3], the file [16 3]");
  expect_has(m, fmt::format("\nit was written by mneme {} (commit 0123456789ab), which may build this model otherwise "
                            "than this program, mneme {} (commit ",
                            build_info().version, build_info().version));
  expect_has(m, "see CHANGELOG.md; evaluate it with that one, or train anew");
  EXPECT_EQ(parameter_hash(b.parameters()), before);

  Session e(small({{"optimizer", "adam", ""}}), 1);
  m = message_of<ArgumentError>([&] { load_checkpoint(folder / "a.ckpt.h5", e.parameters(), &e.optimizer()); });
  expect_has(m, "optimizer/momentum/");
  expect_has(m, "the model has none, the file [");
  EXPECT_NO_THROW(load_checkpoint(folder / "a.ckpt.h5", e.parameters())) << "weights alone fit any optimizer";
}

TEST(Checkpoint, TruncatedAnywhereIsAFileError) {
  Folder folder;
  const Config c = small();
  Session a(c, 1);
  save_checkpoint(folder / "a.ckpt.h5", c.text(), a.parameters(), a.optimizer(), some_state());
  const std::string whole = read_file(folder / "a.ckpt.h5");
  const std::uint64_t before = parameter_hash(a.parameters());
  const fs::path cut = folder / "cut.ckpt.h5";
  for (std::size_t n = 0; n < whole.size(); n += std::max<std::size_t>(whole.size() / 97, 1)) {
    write_file(cut, whole.substr(0, n));
    RunState state;
    const std::string m = message_of<FileError>([&] { load_checkpoint(cut, a.parameters(), &a.optimizer(), &state); });
    expect_has(m, cut.string());
    EXPECT_EQ(state.sequences, 0u);
  }
  EXPECT_EQ(parameter_hash(a.parameters()), before);
}

TEST(Checkpoint, AFlippedBitIsFound) {
  Folder folder;
  const Config c = small();
  Session a(c, 1);
  save_checkpoint(folder / "a.ckpt.h5", c.text(), a.parameters(), a.optimizer(), some_state());
  const std::string whole = read_file(folder / "a.ckpt.h5");
  const fs::path bad = folder / "bad.ckpt.h5";
  for (std::size_t n = 0; n < whole.size(); n += std::max<std::size_t>(whole.size() / 211, 1)) {
    std::string text = whole;
    text[n] = static_cast<char>(text[n] ^ 0x10);
    write_file(bad, text);
    expect_has(message_of<FileError>([&] { load_checkpoint(bad, a.parameters(), &a.optimizer()); }), bad.string());
  }
}

TEST(Checkpoint, ForeignNewerAndMissingFiles) {
  Folder folder;
  const Config c = small();
  Session a(c, 1);
  const auto refusal = [&](const std::string& name) {
    return message_of<FileError>([&] { load_checkpoint(folder / name, a.parameters()); });
  };
  write_file(folder / "text.ckpt.h5", "this is no HDF5 file\n");
  expect_has(refusal("text.ckpt.h5"), (folder / "text.ckpt.h5").string());
  expect_has(refusal("none.ckpt.h5"), (folder / "none.ckpt.h5").string());
  {
    trace::File file = trace::File::create(folder / "foreign.h5");
    file.write("/x", 3.0);
    file.close();
  }
  expect_has(refusal("foreign.h5"), "is no checkpoint of mneme");
  save_checkpoint(folder / "new.h5", c.text(), a.parameters(), a.optimizer(), some_state());
  {
    trace::File file = trace::File::open_for_writing(folder / "new.h5");
    file.set_attr("/", "schema_version", "2.1.0");
    file.close();
  }
  expect_has(refusal("new.h5"), "is damaged: its bytes do not have the checksum at its end");
  seal_file(folder / "new.h5");
  expect_has(refusal("new.h5"), "is a checkpoint of format 2.1.0; this program reads up to 1.x");
}

TEST(Checkpoint, NamesOfARun) {
  Folder folder;
  expect_has(message_of<ArgumentError>([&] { find_checkpoint(folder.path(), "last"); }), "holds no checkpoint");
  fs::create_directories(folder / "checkpoints");
  for (std::uint64_t n : {900, 1000, 1100, 1000000000}) write_file(checkpoint_path(folder.path(), n), "x");
  write_file(best_checkpoint_path(folder.path()), "x");
  write_file(folder / "checkpoints/step-000000007.ckpt.h5.part", "x");
  write_file(folder / "checkpoints/step-seven.ckpt.h5", "x");
  EXPECT_EQ(checkpoint_path(folder.path(), 900).filename(), "step-000000900.ckpt.h5");
  EXPECT_EQ(list_checkpoints(folder.path()).size(), 4u);
  EXPECT_EQ(find_checkpoint(folder.path(), "last"), checkpoint_path(folder.path(), 1000000000));
  EXPECT_EQ(find_checkpoint(folder.path(), "1000"), checkpoint_path(folder.path(), 1000));
  EXPECT_EQ(find_checkpoint(folder.path(), "best"), best_checkpoint_path(folder.path()));
  EXPECT_EQ(find_checkpoint(folder.path(), best_checkpoint_path(folder.path()).string()),
            best_checkpoint_path(folder.path()));
  expect_has(message_of<ArgumentError>([&] { find_checkpoint(folder.path(), "950"); }),
             "has no checkpoint '950'. There are: 900, 1000, 1100, 1000000000, best, last");
  prune_checkpoints(folder.path(), 2);
  EXPECT_EQ(list_checkpoints(folder.path()).size(), 2u);
  EXPECT_FALSE(fs::exists(folder / "checkpoints/step-000000007.ckpt.h5.part"));
  EXPECT_TRUE(fs::exists(best_checkpoint_path(folder.path())));
}

// A file size limit is a disk that is full: every write past it fails.
TEST(Checkpoint, AFullDiskLeavesTheOldFileWhole) {
  Folder folder;
  const Config c = small();
  Session a(c, 1);
  const fs::path path = folder / "a.ckpt.h5";
  save_checkpoint(path, c.text(), a.parameters(), a.optimizer(), some_state());
  const std::string before = read_file(path);
  train_a_little(a);
  for (std::size_t limit : {std::size_t{0}, std::size_t{1000}, before.size() / 2, before.size() - 1000}) {
    const Child child = in_child([&] {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit size{limit, limit};
      ::setrlimit(RLIMIT_FSIZE, &size);
      return message_of<RuntimeFailure>(
          [&] { save_checkpoint(path, c.text(), a.parameters(), a.optimizer(), some_state()); });
    });
    EXPECT_EQ(child.code, 0);
    expect_has(child.text, "a.ckpt.h5");
    EXPECT_EQ(read_file(path), before);
    EXPECT_FALSE(fs::exists(path.string() + ".part")) << "limit " << limit;
  }
}

}  // namespace
}  // namespace mneme::experiments
