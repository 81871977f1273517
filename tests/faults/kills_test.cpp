// Room: tests. SIGKILL inside every kind of write: the run goes on, to the bits of the run never killed.
//
//   MNEME_KILLS=100 build/release/tests/test_faults      the long form, with tables
#include "tests/faults/straight.hpp"
#include "trace/sink.hpp"

#include <csignal>
#include <random>

namespace mneme::faults {
namespace {

struct Strike {
  const char* how;
  Kind kind;
  Call call;
  std::uint32_t most;  ///< at the first to the most-th such call of a start
};

/// Calls of a kind between two checkpoints of the straight run, so that a start comes about as far.
Strike somewhere(const char* how, Kind kind, Call call) {
  const Straight& s = straight();
  const auto per_save = static_cast<std::uint32_t>(s.count(kind, call) / s.checkpoints.size());
  return {how, kind, call, std::max(3 * per_save / 2, 1u)};
}

/// The n-th kill: eight of ten inside a write of a checkpoint or a trace, one in another file, one at any time.
Strike choose(int n, std::mt19937& random) {
  const std::vector<Strike> saves = {{"kill", checkpoint, rename, 3},
                                     {"kill", checkpoint, sync, 3},
                                     {"kill", checkpoint, create, 3},
                                     {"kill", checkpoint, remove, 2}};
  const std::vector<Strike> traces = {{"kill", trace, rename, 2}, {"kill", trace, sync, 3}, {"kill", trace, create, 1}};
  const std::vector<Strike> others = {{"kill", text, write, 2},  {"kill", metrics, write, 8},
                                      {"kill", text, rename, 2}, {"kill", metrics, truncate, 1},
                                      {"kill", text, create, 2}, {"kill", metrics, sync, 2}};
  switch (n % 10) {
    case 0: return somewhere("kill", checkpoint, write);
    case 1: return somewhere("kill", trace, write);
    case 2: return somewhere("tear", checkpoint, write);
    case 3: return somewhere("tear", trace, write);
    case 4: return others[random() % others.size()];
    case 5: return saves[random() % saves.size()];
    case 6: return {"", none, write, 0};  // at any time
    case 7: return traces[random() % traces.size()];
    case 8: return somewhere("kill", checkpoint, write);
    default: return somewhere("tear", trace, write);
  }
}

std::string phase_of(const Strike& strike, const Ledger& ledger) {
  if (strike.kind != none)
    return fmt::format("{} {}{}", kind_names[strike.kind], call_names[strike.call], *strike.how == 't' ? ", torn" : "");
  if (ledger.inside) return fmt::format("any time: in a call on a {} file", kind_names[ledger.inside - 1]);
  return ledger.saving ? "any time: between two calls of a save" : "any time: elsewhere";
}

TEST(Kills, EndWithTheBitsOfTheRunNeverKilled) {
  const tools_test::Scratch folder;
  std::mt19937 random(static_cast<unsigned>(kills()));  // another number, other kills
  std::map<std::string, int> phases;
  int killed = 0, inside = 0, resumed = 0, again = 0, chain = 0, mismatches = 0;
  std::size_t looked_at[3] = {};
  bool h5py = true;
  const auto judged = [&](auto look) {
    const int before = failures();
    look();
    mismatches += failures() > before;
  };
  // Chains of kills on one run: a run that comes to its end is compared, and the next one begins.
  for (bool more = true; more && mismatches == 0; ++chain) {
    const fs::path run = folder / fmt::format("run-{}", chain);
    Judge judge;
    for (bool first = true;; first = false) {
      more = killed < kills();
      const Words words = go_on_words(run);
      if (!first) ++(words[1] == "--resume" ? resumed : again);
      // Some chains begin with a death over config.ini: there is no run yet.
      constexpr Call calls_on_it[] = {rename, create, write};
      const bool unborn = first && chain < (thorough() ? 3 : 1);
      const Strike strike = unborn ? Strike{"kill", text, calls_on_it[chain], 1} : choose(killed, random);
      const std::uint32_t number = 1 + static_cast<std::uint32_t>(random()) % std::max(strike.most, 1u);
      Outcome o;
      if (!more)
        o = start(words);
      else if (strike.kind == none)
        o = start(words, "", static_cast<int>(20 + random() % 250));
      else
        o = start(words,
                  fmt::format("{} {} {} {}", strike.how, kind_names[strike.kind], call_names[strike.call], number));
      if (o.result.code == 0) break;
      ASSERT_EQ(o.result.code, 1000 + SIGKILL) << o.result.err;
      ASSERT_TRUE(o.ledger.struck || strike.kind == none) << "killed, but not where it was planned";
      EXPECT_EQ(o.result.err.find("going back to the checkpoint"), std::string::npos) << o.result.err;
      EXPECT_EQ(o.result.err.find("tracing stops"), std::string::npos) << o.result.err;
      ++killed;
      ++phases[phase_of(strike, o.ledger)];
      const int kind = strike.kind != none ? strike.kind : o.ledger.inside ? o.ledger.inside - 1 : none;
      inside += kind == checkpoint || kind == trace || o.ledger.saving;
      judged([&] { judge.look_at(run); });
      ASSERT_EQ(mismatches, 0) << "after kill " << killed << ", " << phase_of(strike, o.ledger) << " " << number;
    }
    judged([&] { judge.look_at_end(run); });
    const tools_test::Result verify = tools_test::mneme({"replay", run.string(), "--verify"});
    EXPECT_EQ(verify.code, 0) << verify.err;
    looked_at[0] += judge.checkpoints;
    looked_at[1] += judge.trace_files;
    looked_at[2] += judge.episodes;
    h5py = judge.h5py;
    fs::remove_all(run);
  }

  fmt::print("\n{:<44} kills\n", "killed in");
  for (const auto& [phase, n] : phases) fmt::print("{:<44} {:>5}\n", phase, n);
  fmt::print(
      "{:<44} {:>5}\n\n"
      "{} kills, {} inside a write of a checkpoint or a trace; {} resumes, {} starts from nothing, {} runs to the end\n"
      "looked at after the kills: {} checkpoints, {} trace files ({}), {} episodes\n"
      "mismatches: {}\n\n",
      "all", killed, killed, inside, resumed, again, chain, looked_at[0], looked_at[1],
      h5py ? "each opened by h5py" : "h5py is not installed: not opened by it", looked_at[2], mismatches);
  EXPECT_GE(killed, kills());
  EXPECT_GE(2 * inside, killed) << "the others prove less";
  EXPECT_GT(looked_at[2], 0u);
}

}  // namespace
}  // namespace mneme::faults
