// Room: experiments. The studies, and the loop over their rows.
#include "experiments/study.hpp"

#include "core/error.hpp"
#include "core/names.hpp"
#include "experiments/evaluate.hpp"

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>

namespace mneme::experiments {

namespace fs = std::filesystem;
using nlohmann::json;

const std::vector<Study>& studies() {
  static const std::vector<Study> all = {
      {"copy",
       "copy of 1 to 20 vectors of 8 bits: sequences until solved, then longer ones (Graves et al. 2014, section 4.1)",
       {"copy_ntm", "copy_ntm_ff", "copy_lstm_1x100", "copy_lstm_3x256"},
       {20, 40, 80, 120},
       200,
       {{"Graves et al. 2014, figure 3, one run, read off the curve",
         "near 0 bits at about 200,000 sequences (LSTM controller) and 100,000 (feedforward); LSTM 3 x 256 about 2 "
         "bits "
         "at 1,000,000"},
        {"Graves et al. 2014, figure 4", "copies length 120 with small errors"},
        {"pytorch-ntm, mean of seeds 1, 10, 100, 1000, read off its plots",
         "0.1 wrong bits at about 14,000 sequences, back to 11 at 15,000, about 0 from 17,000"},
        {"mgupta8143's rebuild, 2026",
         "first below 0.05 bits: feedforward 5,000, LSTM controller 10,000, LSTM never (1.03 bits at 500,000); no "
         "error "
         "at length 120, LSTM 48 % of bits wrong"}}},
      {"copy-batches",
       "copy with batches of 1, 4 and 16 sequences, both controllers: whether the settings hold over seeds",
       {"copy_ntm", "copy_ntm_b4", "copy_ntm_b16", "copy_ntm_ff", "copy_ntm_ff_b4", "copy_ntm_ff_b16"},
       {20, 40, 80, 120},
       200,
       {{"pytorch-ntm, issues 2 and 15", "its settings for batch 1 do not solve copy with batch 15"}}}};
  return all;
}

const Study& find_study(const std::string& name) {
  std::vector<std::string> names;
  for (const Study& s : studies()) {
    if (s.name == name) return s;
    names.push_back(s.name);
  }
  throw ArgumentError("[study] " + unknown_name("study", name, names));
}

namespace {

json read_json(const fs::path& path) {
  std::ifstream in(path);
  json j = json::parse(in, nullptr, false);
  if (!in || j.is_discarded()) throw FileError(fmt::format("[{}] is missing or no JSON", path.string()));
  return j;
}

template <class T>
std::optional<T> known(const json& j, const char* key) {
  const auto it = j.find(key);
  return it == j.end() || it->is_null() ? std::nullopt : std::optional<T>(it->get<T>());
}

/// Equal but for what may change when a run is resumed.
bool same_experiment(const Config& old, const Config& now) {
  std::vector<Assignment> given;
  for (const auto& [key, value] : now.items())
    if (std::count(resumable_keys().begin(), resumable_keys().end(), key)) given.push_back({key, value, ""});
  return old.with(given).run_id() == now.run_id();
}

/// What metrics.jsonl says of the time after `solved_at`.
void watch_after(const fs::path& directory, std::uint64_t solved_at, const Task& task, StudyRow& row) {
  const std::string& judged = task.metrics()[task.solved_metric()].name;
  const std::string& cost = task.metrics()[0].name;
  std::ifstream in(directory / "metrics.jsonl");
  for (std::string line; std::getline(in, line);) {
    const json j = json::parse(line, nullptr, false);
    if (j.is_discarded() || j.value("sequences", std::uint64_t{0}) <= solved_at) continue;
    const bool evaluation = j.value("kind", "") == "eval";
    const auto note = [&](std::optional<double>& worst, const std::string& figure) {
      worst = std::max(worst.value_or(0), j.at(figure).get<double>());
    };
    note(evaluation ? row.worst_evaluation : row.worst_mean_solved, judged);
    if (!evaluation) note(row.worst_mean, cost);
  }
}

std::string cell(const std::optional<double>& v) {
  return v ? fmt::format("{:.6g}", *v) : "";
}
std::string cell(const std::optional<std::uint64_t>& v) {
  return v ? std::to_string(*v) : "";
}

}  // namespace

std::string study_csv_header(const Study& study) {
  std::string text =
      "preset,seed,config_hash,commit,cpu,parameters,sequences,seconds,exit_reason,sequences_to_0.1,seconds_to_0.1,"
      "solved_at_sequences,solved_at_seconds,worst_evaluation_after,worst_mean_bits_after,worst_mean_wrong_after";
  for (std::int64_t n : study.lengths) text += fmt::format(",wrong_{}", n);
  return text + "\n";
}

std::string study_csv(const StudyRow& r) {
  std::string text = fmt::format("{},{},{},{},\"{}\",{},{},{:.3f},{},{},{},{},{},{},{},{}", r.preset, r.seed,
                                 r.config_hash, r.commit, r.cpu, r.parameters, r.sequences, r.seconds, r.exit_reason,
                                 cell(r.tenth_at), cell(r.tenth_seconds), cell(r.solved_at), cell(r.solved_seconds),
                                 cell(r.worst_evaluation), cell(r.worst_mean), cell(r.worst_mean_solved));
  for (double v : r.by_length) text += fmt::format(",{:.6g}", v);
  return text + "\n";
}

std::vector<StudyRow> run_study(const Study& study, const StudyOptions& options, int& stopped) {
  stopped = 0;
  std::vector<StudyRow> rows;
  for (const std::string& preset : options.presets.empty() ? study.presets : options.presets)
    for (std::int64_t seed = options.seeds.low; seed <= options.seeds.high; ++seed) {
      const std::string name = fmt::format("{}-seed{}", preset, seed);
      const fs::path directory = options.out / name;
      RunOptions run;
      run.out = directory;
      run.threads = options.threads;
      run.argv = {"mneme", "train", preset, "--seed", std::to_string(seed)};
      run.signal = options.signal;
      run.notice = [&](const std::string& text) { options.notice(name + ": " + text); };
      run.progress_seconds = 0.5;
      run.progress = [&](const Progress& p) { options.progress(name, p); };

      std::vector<Assignment> given = options.given;
      given.push_back({"seed", std::to_string(seed), "--seeds"});
      const Config config = Config::load(preset, given);
      RunResult result;
      if (fs::exists(directory / "config.ini")) {
        if (!same_experiment(Config::load(directory.string()), config))
          fail<ArgumentError>(directory.string(), "holds a run of another configuration; choose another --out");
        result = resume(directory, {}, run);
      } else {
        result = train(config, run);
      }
      if (result.solved_at_sequences && options.after) {
        const auto end = std::to_string(*result.solved_at_sequences + options.after);
        result = resume(directory,
                        {{"train.max-sequences", end, "--after"}, {"train.stop-when-solved", "false", "--after"}}, run);
      }
      if (const int code = exit_code(result.reason); code != 0) {
        stopped = code;
        return rows;
      }

      const json j = read_json(directory / "run.json");
      StudyRow row;
      row.preset = preset;
      row.seed = static_cast<std::uint64_t>(seed);
      row.config_hash = config.run_id();
      const json& environment = j.at("environment");
      row.commit = environment.at("git_rev").get<std::string>() + (environment.value("git_dirty", false) ? "+" : "");
      // The BLAS picks its kernels by CPU, and bits depend on them.
      const auto blas = environment.at("blas").get<std::string>();
      row.cpu = fmt::format("{}, BLAS kernels {}", environment.at("cpu").get<std::string>(),
                            blas.substr(blas.rfind(' ') + 1));
      row.parameters = j.at("parameters").get<std::size_t>();
      row.sequences = result.sequences;
      row.seconds = result.seconds;
      row.exit_reason = exit_reason_name(result.reason);
      row.tenth_at = known<std::uint64_t>(j, "sequences_to_0.1");
      row.tenth_seconds = known<double>(j, "seconds_to_0.1");
      row.solved_at = known<std::uint64_t>(j, "solved_at_sequences");
      row.solved_seconds = known<double>(j, "solved_at_seconds");
      const auto task = tasks().find(config.task).make(config.task_options);
      if (row.solved_at && options.after) watch_after(directory, *row.solved_at, *task, row);
      EvaluationOptions evaluation;
      evaluation.lengths = study.lengths;
      evaluation.episodes = study.episodes;
      evaluation.threads = options.threads;
      evaluation.signal = options.signal;
      for (const LengthResult& r : evaluate(directory, evaluation).results)
        row.by_length.push_back(r.mean[task->solved_metric()]);
      rows.push_back(row);
      options.done(row);
    }
  return rows;
}

}  // namespace mneme::experiments
