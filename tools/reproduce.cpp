// Room: tools. `mneme reproduce`: a published figure by one command, every seed a row, the paper's figures beside ours.
#include "core/error.hpp"
#include "experiments/study.hpp"
#include "tools/commands.hpp"
#include "tools/progress.hpp"
#include "tools/table.hpp"
#include "tools/terminal.hpp"
#include "trace/hdf5.hpp"

#include <algorithm>
#include <thread>

namespace mneme::tools {

namespace {

using experiments::Study;
using experiments::StudyRow;

std::string table_text(const Study& study, const std::vector<StudyRow>& rows, bool watched) {
  std::vector<std::string> header = {"preset", ">seed", ">0.1 wrong bits at", ">s", ">solved at", ">s"};
  for (std::int64_t n : study.lengths) header.push_back(fmt::format(">wrong at {}", n));
  if (watched) header.insert(header.end(), {">worst eval after", ">worst mean bits after", ">worst mean wrong after"});
  Table table(header);
  const auto count = [](const std::optional<std::uint64_t>& v) { return v ? std::to_string(*v) : "-"; };
  const auto number = [](const std::optional<double>& v) { return v ? fmt::format("{:.3g}", *v) : "-"; };
  for (const StudyRow& r : rows) {
    std::vector<std::string> row = {r.preset,           std::to_string(r.seed),
                                    count(r.tenth_at),  number(r.tenth_seconds),
                                    count(r.solved_at), number(r.solved_seconds)};
    for (double v : r.by_length) row.push_back(fmt::format("{:.3g}", v));
    if (watched) row.insert(row.end(), {number(r.worst_evaluation), number(r.worst_mean), number(r.worst_mean_solved)});
    table.add(std::move(row));
  }
  return table.text();
}

/// "copy_ntm: 5 of 5 solved, median 3000 sequences, worst 6000"
void print_summary(const std::vector<StudyRow>& rows) {
  for (std::size_t i = 0; i < rows.size();) {
    std::size_t end = i;
    std::vector<std::uint64_t> solved;
    for (; end < rows.size() && rows[end].preset == rows[i].preset; ++end)
      if (rows[end].solved_at) solved.push_back(*rows[end].solved_at);
    std::sort(solved.begin(), solved.end());
    const std::size_t n = end - i;
    // Runs that were not solved stand above every one that was: the median is censored, not taken over the lucky.
    const std::string median =
        solved.size() > n / 2 ? fmt::format("median {} sequences", solved[n / 2]) : "median not reached";
    print("{}: {} of {} seeds solved, {}{}\n", rows[i].preset, solved.size(), n, median,
          solved.size() == n ? fmt::format(", worst {}", solved.back()) : "");
    i = end;
  }
}

int run(const Arguments& a) {
  const Study& study = experiments::find_study(a.positional[0]);
  experiments::StudyOptions options;
  options.presets = a.has("--presets") ? a.options.choices("--presets") : std::vector<std::string>{};
  options.seeds = a.options.range("--seeds");
  options.given = a.assignments;
  options.after = static_cast<std::uint64_t>(a.options.integer("--after"));
  options.out = a.has("--out") ? a.options.text("--out") : "runs/reproduce-" + study.name;
  options.threads = static_cast<int>(a.options.integer("--threads"));
  options.signal = &caught_signal();
  options.notice = [](const std::string& text) { note(text); };
  std::vector<StudyRow> done;
  std::string csv = experiments::study_csv_header(study);
  int stopped = 0;
  {
    Progress bar;
    options.progress = [&](const std::string& row, const experiments::Progress& p) {
      bar.show(p.sequences, p.max_sequences, p.seconds, p.eta, fmt::format("{}, held out {:.3g}", row, p.evaluation));
    };
    options.done = [&](const StudyRow& row) {
      done.push_back(row);
      csv += experiments::study_csv(row);
      trace::write_text_atomically(options.out / (study.name + ".csv"), csv);
    };
    experiments::run_study(study, options, stopped);
  }
  if (a.json()) {
    print("{{\"study\": \"{}\", \"rows\": {}, \"csv\": \"{}\"}}\n", study.name, done.size(),
          (options.out / (study.name + ".csv")).string());
    return stopped;
  }
  print("{}\n\n", study.summary);
  put(table_text(study, done, options.after > 0));
  print("\n");
  print_summary(done);
  print("\npublished:\n");
  for (const auto& p : study.published) print("  {}\n    {}\n", p.source, p.figure);
  print("\nrows: {}\n", (options.out / (study.name + ".csv")).string());
  if (stopped) note("stopped; the same command goes on");
  return stopped;
}

}  // namespace

Command reproduce_command() {
  const auto cores = static_cast<std::int64_t>(std::max(1u, std::thread::hardware_concurrency()));
  Command c;
  c.name = "reproduce";
  c.summary = "a published figure: all its runs over several seeds, ours beside the paper's";
  c.parameters = "STUDY";
  c.examples = {{"reproduce copy --presets copy_ntm", "five seeds of one preset"},
                {"reproduce copy --seeds 1:10 --after 20000", "and watch each for 20,000 sequences once solved"}};
  c.flags
      .choices(
          "--presets", "copy_ntm",
          [] {
            std::vector<std::string> names;
            for (const auto& p : experiments::presets()) names.push_back(p.name);
            return names;
          },
          "comma list; not given: all of the study")
      .range("--seeds", {1, 5}, 0, 1'000'000'000, "low:high, each one a row")
      .integer("--after", 0, 0, 1'000'000'000, "sequences to go on for once solved")
      .text("--out", "", "where the runs go; not given: runs/reproduce-STUDY. Finished rows are kept")
      .integer("--threads", cores, 1, 1024, "threads; no bit of the result depends on it")
      .flag("--json", false, "one JSON object on stdout");
  c.values = {{"--presets", "P,P,..."}, {"--seeds", "A:B"}, {"--out", "DIR"}};
  c.config_keys = "all";
  std::string names;
  for (const Study& s : experiments::studies()) names += "  " + s.name + "  " + s.summary + "\n";
  c.notes = "Studies:\n" + names + "The command may be stopped at any time and goes on when typed again.";
  c.heeds_signals = true;
  c.run = run;
  return c;
}

}  // namespace mneme::tools
