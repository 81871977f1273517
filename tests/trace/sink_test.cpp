// Room: tests/trace. Writing and reading back: every level, every kind of column, files in a row, budgets.
#include "trace/sink.hpp"
#include "core/error.hpp"
#include "sample.hpp"
#include "trace/reader.hpp"
#include "trace/writer.hpp"

#include <fstream>

namespace mneme::trace::testing {
namespace {

namespace fs = std::filesystem;

std::vector<Episode> write_run(const fs::path& path, const Layout& layout, std::size_t count,
                               SinkOptions options = {}) {
  std::vector<Episode> episodes(count);
  Sink sink(path, layout, options);
  for (std::size_t i = 0; i < count; ++i) {
    make_episode(layout, i, steps_of(i), episodes[i]);
    EXPECT_TRUE(sink.append(episodes[i]));
  }
  sink.close();
  return episodes;
}

void expect_same_header(const Layout& a, const Layout& b) {
  EXPECT_EQ(a.producer, b.producer);
  EXPECT_EQ(a.git_rev, b.git_rev);
  EXPECT_EQ(a.git_dirty, b.git_dirty);
  EXPECT_EQ(a.created_utc, b.created_utc);
  EXPECT_EQ(a.run_id, b.run_id);
  EXPECT_EQ(a.task, b.task);
  EXPECT_EQ(a.model, b.model);
  EXPECT_EQ(a.addressing, b.addressing);
  EXPECT_EQ(a.phase, b.phase);
  EXPECT_EQ(a.checkpoint_step, b.checkpoint_step);
  EXPECT_EQ(a.level, b.level);
  EXPECT_EQ(a.slots, b.slots);
  EXPECT_EQ(a.cells, b.cells);
  EXPECT_EQ(a.hidden, b.hidden);
  EXPECT_EQ(a.channels_in, b.channels_in);
  EXPECT_EQ(a.channels_out, b.channels_out);
  EXPECT_EQ(a.items, b.items);
  EXPECT_EQ(a.item_width, b.item_width);
  EXPECT_EQ(a.shift_offsets, b.shift_offsets);
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(a.item_tokens, b.item_tokens);
  EXPECT_EQ(a.update, b.update);
  ASSERT_EQ(a.turns.size(), b.turns.size());
  for (std::size_t t = 0; t < a.turns.size(); ++t) {
    EXPECT_EQ(a.turns[t].name, b.turns[t].name);
    EXPECT_EQ(a.turns[t].sites, b.turns[t].sites);
    EXPECT_EQ(a.turns[t].writes, b.turns[t].writes);
  }
  EXPECT_EQ(a.keyframe_position, b.keyframe_position);
  EXPECT_EQ(a.keyframe_every, b.keyframe_every);
  EXPECT_EQ(a.constants, b.constants);
  EXPECT_EQ(a.target_kind, b.target_kind);
  EXPECT_EQ(a.error_name, b.error_name);
  EXPECT_EQ(a.config_ini, b.config_ini);
  EXPECT_EQ(a.config_json, b.config_json);
  EXPECT_EQ(a.env_json, b.env_json);
  EXPECT_EQ(a.vocab, b.vocab);
  EXPECT_EQ(a.classes, b.classes);
  ASSERT_EQ(a.sites.size(), b.sites.size());
  for (std::size_t s = 0; s < a.sites.size(); ++s) {
    EXPECT_EQ(a.sites[s].site.name, b.sites[s].site.name);
    EXPECT_EQ(a.sites[s].site.kind, b.sites[s].site.kind);
    EXPECT_EQ(a.sites[s].site.addressing, b.sites[s].site.addressing);
    EXPECT_EQ(a.sites[s].site.slot_axis, b.sites[s].site.slot_axis);
    EXPECT_EQ(a.sites[s].weights_kind, b.sites[s].weights_kind);
  }
  ASSERT_EQ(a.episode_params.size(), b.episode_params.size());
  for (std::size_t p = 0; p < a.episode_params.size(); ++p) {
    EXPECT_EQ(a.episode_params[p].name, b.episode_params[p].name);
    EXPECT_EQ(a.episode_params[p].integer, b.episode_params[p].integer);
    EXPECT_EQ(a.episode_params[p].doc, b.episode_params[p].doc);
  }
}

void expect_round_trip(const Layout& layout, SinkOptions options = {}) {
  Folder folder;
  const std::vector<Episode> written = write_run(folder / "run.trace.h5", layout, 25, options);
  const Reader reader(folder / "run.000.trace.h5");
  expect_same_header(layout, reader.layout());
  EXPECT_EQ(reader.version(), kSchemaVersion);
  EXPECT_TRUE(reader.complete());
  EXPECT_FALSE(reader.budget_exhausted());
  ASSERT_EQ(reader.episodes(), written.size());
  std::size_t steps = 0;
  Episode e;
  for (std::size_t i = 0; i < written.size(); ++i) {
    reader.episode(i, e);
    expect_same(layout, written[i], reader.layout(), e);
    EXPECT_EQ(e.id, static_cast<std::int64_t>(i));
    EXPECT_EQ(reader.step_count(i), written[i].steps);
    const Episode s = reader.summary(i);
    EXPECT_EQ(s.sequence, written[i].sequence);
    EXPECT_EQ(s.params, written[i].params);
    steps += written[i].steps;
  }
  EXPECT_EQ(reader.steps(), steps);
  for (const std::string& problem : check(folder / "run.000.trace.h5")) ADD_FAILURE() << problem;
}

TEST(Sink, EveryLevelComesBack) {
  for (const Level level : {Level::weights, Level::params, Level::full}) {
    SCOPED_TRACE(level_name(level));
    expect_round_trip(ntm_layout(level));
    expect_round_trip(rich_layout(level));
  }
}

TEST(Sink, ChunkLengthsDoNotShow) {
  for (const std::size_t chunk : {1, 7, 1000}) {
    SCOPED_TRACE(chunk);
    SinkOptions options;
    options.chunk_steps = chunk;
    expect_round_trip(rich_layout(), options);
  }
}

TEST(Sink, SmallestLayout) {
  Layout layout;
  layout.level = Level::weights;
  layout.slots = 1;
  SiteLayout site;
  site.site = {"s", "read", "content", "slot"};
  layout.sites = {site};
  layout.episode_params = {{"length", true, ""}, {"x", false, ""}};
  Folder folder;
  const auto written = write_run(folder / "run", layout, 3);
  const Reader reader(folder / "run.000.trace.h5");
  ASSERT_EQ(reader.episodes(), 3u);
  EXPECT_EQ(reader.episode(2).sites[0].weights, written[2].sites[0].weights);
  EXPECT_EQ(reader.layout().created_utc.size(), 20u);
  EXPECT_TRUE(check(folder / "run.000.trace.h5").empty());
}

TEST(Sink, EqualSizesGetTheRightAxes) {
  // N = M = 2k+1 = hidden: names and kinds decide, and no axis comes twice in one dataset.
  Layout layout = ntm_layout(Level::full, 3, 3);
  layout.hidden = 3;
  layout.controller = {logged("hidden", "", {3})};
  layout.memory.push_back(logged("links", "", {3, 3}));
  Folder folder;
  write_run(folder / "run", layout, 2);
  const Reader reader(folder / "run.000.trace.h5");
  const auto& values = reader.layout().sites[1].values;
  const auto axes = [&](const char* name) { return values[Layout::find(values, name)].axes; };
  using Names = std::vector<std::string>;
  EXPECT_EQ(axes("key"), Names{"cell"});
  EXPECT_EQ(axes("shift"), Names{"shift_offset"});
  EXPECT_EQ(axes("similarity"), Names{"slot"});
  EXPECT_EQ(axes("content"), Names{"slot"});
  EXPECT_EQ(axes("erase"), Names{"cell"});
  EXPECT_EQ(axes("beta"), Names{});
  EXPECT_EQ(reader.layout().memory[0].axes, (Names{"slot", "cell"}));
  EXPECT_EQ(reader.layout().memory[1].axes.size(), 2u);
  EXPECT_NE(reader.layout().memory[1].axes[0], reader.layout().memory[1].axes[1]);
  EXPECT_TRUE(check(folder / "run.000.trace.h5").empty());
}

TEST(Sink, AxesOfTheirOwn) {
  Layout layout = rich_layout();
  layout.sites[0].values.push_back(logged("odd", "read_0", {2, 2}));
  layout.sites[0].values.back().axes = {"row_of_odd", "cell_of_odd"};
  Folder folder;
  write_run(folder / "run", layout, 2);
  const Reader reader(folder / "run.000.trace.h5");
  using Names = std::vector<std::string>;
  EXPECT_EQ(reader.layout().sites[0].values.back().axes, (Names{"row_of_odd", "cell_of_odd"}));
  EXPECT_EQ(reader.layout().sites[2].values[1].axes, Names{"modes_axis"});
  EXPECT_EQ(reader.layout().sites[3].values[0].axes, Names{"pointer_modes_axis"});  // 5 long, the other has 3
}

TEST(Sink, CommittedEpisodesAreReadableWhileTheSinkGoesOn) {
  Folder folder;
  const Layout layout = ntm_layout();
  Sink sink(folder / "run", layout);
  Episode e;
  for (std::size_t i = 0; i < 30; ++i) {
    make_episode(layout, i, steps_of(i), e);
    sink.append(e);
    const Reader reader(sink.current());
    ASSERT_EQ(static_cast<std::int64_t>(reader.episodes()), sink.committed());
    EXPECT_FALSE(reader.complete());
    if (reader.episodes() > 0) {
      const std::size_t last = reader.episodes() - 1;
      Episode want;
      make_episode(layout, last, steps_of(last), want);
      expect_same(layout, want, reader.layout(), reader.episode(last));
    }
  }
  EXPECT_GE(sink.committed(), 20);
  EXPECT_LT(sink.committed(), sink.appended());  // the last ones wait for their chunk
}

TEST(Sink, FlushCommitsEverythingAndPadsInvisibly) {
  Folder folder;
  const Layout layout = rich_layout();
  std::vector<Episode> written(20);
  {
    Sink sink(folder / "run", layout);
    for (std::size_t i = 0; i < written.size(); ++i) {
      make_episode(layout, i, steps_of(i), written[i]);
      sink.append(written[i]);
      if (i % 3 == 0) {
        sink.flush(i % 2 == 0);
        EXPECT_EQ(sink.committed(), static_cast<std::int64_t>(i) + 1);
        EXPECT_EQ(Reader(sink.current()).episodes(), i + 1);
      }
    }
    sink.close();
  }
  const Reader reader(folder / "run.000.trace.h5");
  ASSERT_EQ(reader.episodes(), written.size());
  for (std::size_t i = 0; i < written.size(); ++i) {
    expect_same(layout, written[i], reader.layout(), reader.episode(i));
  }
  for (const std::string& problem : check(folder / "run.000.trace.h5")) ADD_FAILURE() << problem;
}

TEST(Sink, RotatesAndNumbersOn) {
  Folder folder;
  const Layout layout = ntm_layout();
  SinkOptions options;
  options.rotate_bytes = 200000;
  options.first_episode = 1000;
  const auto written = write_run(folder / "run.trace.h5", layout, 120, options);
  const auto files = trace_files(folder / "run.trace.h5");
  ASSERT_GE(files.size(), 3u);
  EXPECT_EQ(files[0].filename(), "run.000.trace.h5");
  EXPECT_EQ(files[1].filename(), "run.001.trace.h5");
  EXPECT_EQ(trace_files(folder.path()), files);
  EXPECT_EQ(trace_files(files[0]), std::vector<fs::path>{files[0]});
  std::size_t n = 0;
  for (const fs::path& file : files) {
    const Reader reader(file);
    EXPECT_TRUE(reader.complete());
    for (std::size_t i = 0; i < reader.episodes(); ++i, ++n) {
      const Episode e = reader.episode(i);
      EXPECT_EQ(e.id, static_cast<std::int64_t>(1000 + n));
      EXPECT_EQ(e.sequence, written[n].sequence);
    }
  }
  EXPECT_EQ(n, written.size());
}

TEST(Sink, ASecondSinkTakesTheNextNumberAndTouchesNothing) {
  Folder folder;
  const Layout layout = ntm_layout();
  write_run(folder / "run", layout, 3);
  std::ofstream(folder / "run.trace.h5") << "someone else's";
  std::ofstream(folder / "run.12.trace.h5") << "too few digits";
  std::ofstream(folder / "other.007.trace.h5") << "another run's";
  const auto size = fs::file_size(folder / "run.000.trace.h5");
  write_run(folder / "run", layout, 4);
  EXPECT_EQ(fs::file_size(folder / "run.000.trace.h5"), size);
  EXPECT_EQ(Reader(folder / "run.001.trace.h5").episodes(), 4u);
}

// Its owner may have met an error, or a signal: the episodes are whole, the log of them is not.
TEST(Sink, WhoeverDoesNotCloseItHasNoCompleteTrace) {
  Folder folder;
  const Layout layout = ntm_layout();
  {
    Sink sink(folder / "run", layout);
    Episode e;
    for (std::size_t i = 0; i < 3; ++i) {
      make_episode(layout, i, steps_of(i), e);
      sink.append(e);
    }
  }
  const Reader reader(folder / "run.000.trace.h5");
  EXPECT_EQ(reader.episodes(), 3u);
  EXPECT_FALSE(reader.complete());
}

TEST(Sink, NothingTracedLeavesNoFile) {
  Folder folder;
  { Sink sink(folder / "run", ntm_layout()); }
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(Sink, BudgetStopsAndSaysSoOnce) {
  Folder folder;
  const Layout layout = ntm_layout();
  SinkOptions options;
  options.budget_bytes = 250000;
  int notices = 0;
  std::string text;
  options.notice = [&](const std::string& t) {
    ++notices;
    text = t;
  };
  std::int64_t taken = 0;
  {
    Sink sink(folder / "run", layout, options);
    Episode e;
    for (std::size_t i = 0; i < 200; ++i) {
      make_episode(layout, i, 30, e);
      taken += sink.append(e);
    }
    EXPECT_TRUE(sink.exhausted());
    EXPECT_EQ(sink.appended(), taken);
    sink.close();
  }
  EXPECT_EQ(notices, 1);
  EXPECT_EQ(text, fmt::format("the trace budget of 0.2 MB is used up after {} episodes: no more are logged", taken));
  EXPECT_LT(taken, 200);
  EXPECT_LT(fs::file_size(folder / "run.000.trace.h5"), 300000u);
  const Reader reader(folder / "run.000.trace.h5");
  EXPECT_TRUE(reader.budget_exhausted());
  EXPECT_EQ(static_cast<std::int64_t>(reader.episodes()), taken);
  EXPECT_TRUE(check(folder / "run.000.trace.h5").empty());
  // A resumed run has the same budget, not a new one.
  Sink again(folder / "run", layout, options);
  Episode e;
  make_episode(layout, 1, 30, e);
  EXPECT_FALSE(again.append(e));
  EXPECT_EQ(notices, 2);
}

TEST(Sink, TwoSinksOfOnePathAreRefused) {
  Folder folder;
  Sink first(folder / "run", ntm_layout());
  try {
    Sink second(folder / "run", ntm_layout());
    FAIL();
  } catch (const RuntimeFailure& e) {
    EXPECT_EQ(std::string(e.what()),
              "[" + (folder / "run.000.trace.h5.part").string() + "] is being written by another process");
  }
}

TEST(Writer, LeavesAloneWhatItDidNotMake) {
  Folder folder;
  const fs::path path = folder / "x.part", fresh = folder / "x.part.new";
  const auto refusal = [&]() -> std::string {
    try {
      const Writer writer(path, ntm_layout(), 64, 0);
    } catch (const RuntimeFailure& e) {
      return e.what();
    }
    return "";
  };
  {
    const File other = File::create(fresh);
    EXPECT_EQ(refusal(), "[" + fresh.string() + "] is being written by another process");
    EXPECT_TRUE(fs::exists(fresh));
  }
  fs::remove(fresh);
  std::ofstream(path) << "mine";
  EXPECT_EQ(refusal(), "[" + path.string() + "] is there already, and is not overwritten");
  EXPECT_EQ(fs::file_size(path), 4u);
  EXPECT_FALSE(fs::exists(fresh));
}

TEST(Writer, SaysWhatTheTextsOfMetaAre) {
  Folder folder;
  write_run(folder / "run", ntm_layout(), 1);
  const File file = File::open(folder / "run.000.trace.h5");
  const std::string begin = std::string("mneme trace, schema ") + kSchemaVersion + ". ";
  EXPECT_EQ(file.read_text("/meta/schema_doc").substr(0, begin.size()), begin);
  EXPECT_EQ(file.text_attr("/meta/env_json", "long_name"), "environment of the run, as JSON: compiler, CPU, libraries");
}

TEST(Sink, ADamagedPartStaysAndIsSaid) {
  Folder folder;
  std::ofstream(folder / "run.004.trace.h5.part") << "half a file";
  std::vector<std::string> notices;
  SinkOptions options;
  options.notice = [&](const std::string& t) { notices.push_back(t); };
  write_run(folder / "run", ntm_layout(), 2, options);
  EXPECT_TRUE(fs::exists(folder / "run.004.trace.h5.part"));
  EXPECT_TRUE(fs::exists(folder / "run.005.trace.h5"));
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_NE(notices[0].find("run.004.trace.h5.part] is not an HDF5 file"), std::string::npos) << notices[0];
}

TEST(Sink, WrongEpisodesAreRefusedWhole) {
  Folder folder;
  const Layout layout = rich_layout();
  Sink sink(folder / "run", layout);
  const std::string part = "[" + sink.current().string() + "] ";
  const auto refused = [&](auto change) -> std::string {
    Episode e;
    make_episode(layout, 4, 9, e);
    change(e);
    try {
      sink.append(e);
    } catch (const ArgumentError& error) {
      return error.what();
    }
    return "taken";
  };
  EXPECT_EQ(refused([](Episode& e) { e.sites[1].weights.pop_back(); }),
            part + "/sites/write_0/weights has 53 numbers, expected 54");
  EXPECT_EQ(refused([](Episode& e) { e.memory[1].push_back(0); }), part + "/memory/usage has 19 numbers, expected 18");
  EXPECT_EQ(refused([](Episode& e) { e.sites[0].initial_weights.clear(); }),
            part + "/sites/read_0/initial_weights has 0 numbers, expected 6");
  EXPECT_EQ(refused([](Episode& e) { e.params.clear(); }), part + "episode parameters has 0 numbers, expected 2");
  EXPECT_EQ(refused([](Episode& e) { e.keyframes[0] = 1; }),
            part + "keyframes must rise from step 0 and end before step 9");
  EXPECT_EQ(refused([](Episode& e) { e.keyframes[1] = 0; }),
            part + "keyframes must rise from step 0 and end before step 9");
  EXPECT_EQ(refused([](Episode& e) { e.items.count = 8; }), part + "an episode of 8 items, at most 7");
  EXPECT_EQ(refused([](Episode& e) { e.steps = 0; }), part + "an episode of no steps");
  EXPECT_EQ(refused([](Episode& e) { e.sites.pop_back(); }), part + "sites has 3 numbers, expected 4");
  EXPECT_FALSE(sink.broken());
  EXPECT_EQ(sink.appended(), 0);
  EXPECT_EQ(refused([](Episode&) {}), "taken");
}

TEST(Sink, WrongLayoutsAreRefused) {
  Folder folder;
  const auto refused = [&](auto change) -> std::string {
    Layout layout = rich_layout();
    change(layout);
    try {
      Sink sink(folder / "run", layout);
    } catch (const ArgumentError& error) {
      return error.what();
    }
    return "taken";
  };
  EXPECT_EQ(refused([](Layout& l) { l.level = Level::off; }), "[trace] level off logs nothing: make no trace file");
  EXPECT_EQ(refused([](Layout& l) { l.phase = "test"; }), "[trace] phase \"test\" is none of eval, replay, train");
  EXPECT_EQ(refused([](Layout& l) { l.sites[1].site.name = "read_0"; }), "[trace] two sites are named read_0");
  EXPECT_EQ(refused([](Layout& l) { l.sites[1].site.name = "a/b"; }),
            "[trace] site \"a/b\" is not made of letters, digits and _");
  EXPECT_EQ(refused([](Layout& l) { l.sites[0].values.push_back(logged("weights", "read_0", {})); }),
            "[trace] two values share the name /sites/read_0/weights");
  EXPECT_EQ(refused([](Layout& l) { l.sites[0].values[0].axes = {"slot"}; }),
            "[trace] axis slot of read_0.key has size 4, but slot is of size 6");
  EXPECT_EQ(refused([](Layout& l) { l.sites[0].values[0].axes = {"io"}; }),
            "[trace] axis io of read_0.key: a group has that name");
  EXPECT_EQ(refused([](Layout& l) {
              l.sites[0].values[0].axes = {"a", "b"};
            }),
            "[trace] read_0.key has 1 dims, but 2 axis names");
  EXPECT_EQ(refused([](Layout& l) { l.slots = 0; }),
            "[trace] site read_0 pays attention to slots, of which there are none");
  EXPECT_EQ(refused([](Layout& l) { l.keyframe_every = -1; }), "[trace] keyframe_every is -1, expected 0 or more");
  EXPECT_EQ(refused([](Layout& l) { l.sites[0].values[0].declared.dims = {0}; }),
            "[trace] axis key_axis of read_0.key: its size is 0");
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(Sink, LevelsByName) {
  for (const Level level : {Level::off, Level::weights, Level::params, Level::full}) {
    EXPECT_EQ(parse_level(level_name(level)), level);
  }
  EXPECT_THROW(parse_level("all"), ArgumentError);
}

TEST(Sink, SameEpisodesSameBytes) {
  Folder folder;
  const Layout layout = rich_layout();
  write_run(folder / "a", layout, 12);
  write_run(folder / "b", layout, 12);
  const auto bytes = [&](const char* name) {
    std::ifstream in(folder / name, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  EXPECT_TRUE(bytes("a.000.trace.h5") == bytes("b.000.trace.h5"));
}

}  // namespace
}  // namespace mneme::trace::testing
