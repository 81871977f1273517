// Room: tools. `mneme trace info|check|show|export|repair`: traces for people and other programs.
#include "core/error.hpp"
#include "core/json.hpp"
#include "core/quote.hpp"
#include "replay/story.hpp"
#include "replay/view.hpp"
#include "tools/choices.hpp"
#include "tools/commands.hpp"
#include "tools/table.hpp"
#include "tools/terminal.hpp"
#include "tools/trace_file.hpp"
#include "trace/reader.hpp"

#include <cmath>
#include <sstream>

namespace mneme::tools {

namespace {

namespace fs = std::filesystem;

int run_info(const Arguments& a) {
  const trace::Info info = trace::info(find_trace(a.positional[0]));
  if (a.json()) {
    print("{}\n", trace::info_json(info));
    return kOk;
  }
  std::ostringstream text;
  trace::print_info(info, text);
  put(text.str());
  return kOk;
}

int run_check(const Arguments& a) {
  const fs::path path = find_trace(a.positional[0]);
  const auto [problems, remarks] = trace::examine(path);
  if (a.json()) {
    Json j = {{"path", path.string()}, {"sound", problems.empty()}, {"problems", problems}, {"remarks", remarks}};
    print("{}\n", json_text(j, 2));
  } else {
    for (const std::string& p : problems) print("{}\n", p);
    for (const std::string& r : remarks) print("{}\n", r);
    print("{}: {}\n", path.string(),
          problems.empty() ? "sound" : fmt::format("{} problem{}", problems.size(), problems.size() == 1 ? "" : "s"));
  }
  if (problems.empty()) note(fmt::format("next: mneme replay {} --verify", shell_path(path.string())));
  return problems.empty() ? kOk : kBadFile;
}

Json summary_json(const trace::Reader& reader, std::size_t i) {
  const trace::Episode e = reader.summary(i);
  Json j = {{"episode", i},           {"id", e.id},
            {"sequence", e.sequence}, {"sequence_name", trace::sequence_name(e.sequence)},
            {"seed", e.seed},         {"steps", e.steps},
            {"loss", e.loss},         {"error", e.error},
            {"correct", e.correct}};
  const auto& params = reader.layout().episode_params;
  for (std::size_t p = 0; p < params.size(); ++p)
    j[params[p].name] = params[p].integer && std::isfinite(e.params[p]) ? Json(static_cast<std::int64_t>(e.params[p]))
                                                                        : Json(e.params[p]);
  return j;
}

/// By name the rows of each: numbers, or lists of them where a row has several.
Json fields_json(const trace::Layout& layout, const trace::Episode& e) {
  Json all = Json::object();
  for (std::size_t i = 0; i < layout.fields.size(); ++i) {
    const std::size_t width = layout.fields[i].width;
    Json& rows = all[layout.fields[i].name] = Json::array();
    std::visit(
        [&](const auto& numbers) {
          for (auto at = numbers.begin(); at != numbers.end(); at += static_cast<std::ptrdiff_t>(width))
            rows.push_back(width == 1 ? Json(*at) : Json(std::vector(at, at + static_cast<std::ptrdiff_t>(width))));
        },
        e.fields[i]);
  }
  return all;
}

Json episode_json(const trace::Reader& reader, std::size_t index) {
  const trace::Layout& layout = reader.layout();
  const trace::Episode e = reader.episode(index);
  Json j = summary_json(reader, index);
  if (const std::string words = replay::words_of_steps(layout, e); !words.empty()) j["words"] = words;
  const auto answers = replay::answers_of(layout, e);
  if (!answers.empty()) j["answers"] = Json::array();
  for (const replay::Answer& a : answers)
    j["answers"].push_back({{"step", a.step},
                            {"predicted", a.predicted},
                            {"probability", a.probability},
                            {"true", a.truth},
                            {"right", a.right}});
  if (replay::tells_story(layout, e)) {
    const replay::Story story = replay::story_of(layout, e, replay::answering_step(e));
    j["story_cut"] = story.cut.empty() ? Json(nullptr) : Json(story.cut);
    j["story"] = Json::array();
    for (const replay::Sentence& s : story.sentences) {
      Json weights = Json::object();
      for (std::size_t h = 0; h < story.hops.size(); ++h) weights[story.hops[h]] = s.weights[h];
      j["story"].push_back({{"text", s.text}, {"support", s.support}, {"weights", std::move(weights)}});
    }
  }
  if (!layout.fields.empty()) j["fields"] = fields_json(layout, e);
  j["rows"] = Json::array();
  for (std::size_t t = 0; t < e.steps; ++t) {
    Json row = {{"step", t}, {"phase", e.phase[t]}, {"mask", e.mask[t]}, {"sites", Json::object()}};
    for (std::size_t s = 0; s < layout.sites.size(); ++s) {
      const replay::HeadView h = replay::head_view(layout, e, s, t);
      Json& site = row["sites"][layout.sites[s].site.name];
      site = {{"argmax", h.argmax}, {"largest", h.largest}, {"entropy", h.entropy}};
      for (const auto& [name, value] : h.numbers) site[name] = value;
    }
    j["rows"].push_back(std::move(row));
  }
  return j;
}

void run_list(const trace::Reader& reader, bool json) {
  if (json) {
    Json list = Json::array();
    for (std::size_t i = 0; i < reader.episodes(); ++i) list.push_back(summary_json(reader, i));
    print("{}\n", json_text(list, 2));
    return;
  }
  std::vector<std::string> header = {">episode", ">sequence", ">steps", ">loss", ">error", "answer"};
  for (const auto& p : reader.layout().episode_params) header.push_back(">" + p.name);
  Table table(header);
  for (std::size_t i = 0; i < reader.episodes(); ++i) {
    const trace::Episode e = reader.summary(i);
    std::vector<std::string> row = {std::to_string(i),       trace::sequence_name(e.sequence),
                                    std::to_string(e.steps), fmt::format("{:.4g}", e.loss),
                                    trace::error_text(e, 4), e.correct ? "correct" : "not correct"};
    for (double p : e.params) row.push_back(fmt::format("{}", p));
    table.add(std::move(row));
  }
  put(table.text(), true);
}

/// What the steps say, the items with their weights, the answers: all that has words; "" where nothing has.
std::string words_text(const trace::Layout& layout, const trace::Episode& e) {
  std::string text;
  if (replay::tells_story(layout, e)) {
    const replay::Story story = replay::story_of(layout, e, replay::answering_step(e));
    std::vector<std::string> header = {">item", "support", "text"};
    for (const std::string& hop : story.hops) header.push_back(">" + hop);
    Table table(header);
    for (std::size_t n = 0; n < story.sentences.size(); ++n) {
      const replay::Sentence& s = story.sentences[n];
      std::vector<std::string> row = {std::to_string(n), s.support ? "*" : "", s.text};
      for (double w : s.weights) row.push_back(fmt::format("{:.3f}", w));
      table.add(std::move(row));
    }
    text = "\n" + (story.cut.empty() ? "" : story.cut + ", item 0 the oldest of them\n") + table.text();
  }
  if (const std::string words = replay::words_of_steps(layout, e); !words.empty())
    text += "words: " + printable(words) + "\n";
  for (const replay::Answer& a : replay::answers_of(layout, e))
    text += fmt::format("step {}: answered {} ({:.3f}), true answer {}, {}\n", a.step, printable(a.predicted),
                        a.probability, printable(a.truth), a.right ? "right" : "wrong");
  return text;
}

int run_show(const Arguments& a) {
  const trace::Reader reader(find_trace(a.positional[0]));
  if (a.has("--list")) {
    run_list(reader, a.json());
    return say_faults(reader, {}) ? kBadFile : kOk;
  }
  const std::size_t index = find_episode(reader, a);
  if (a.json()) {
    print("{}\n", json_text(episode_json(reader, index), 2));
    return say_faults(reader, index) ? kBadFile : kOk;
  }
  std::ostringstream text;
  trace::show_episode(reader, index, text);
  put(text.str());
  put(words_text(reader.layout(), reader.episode(index)), true);
  return say_faults(reader, index) ? kBadFile : kOk;
}

int run_export(const Arguments& a) {
  const trace::Reader reader(find_trace(a.positional[0]));
  std::vector<std::size_t> episodes;
  if (a.has("--episode")) episodes.push_back(find_episode(reader, a));
  std::string folder = a.options.text("--out");
  if (folder.empty()) {
    folder = fs::path(reader.path()).filename().string();
    const std::size_t end = folder.find(".trace.h5");
    folder = folder.substr(0, end) + "_csv";
  }
  Json list = Json::array();
  for (const fs::path& p : trace::export_csv(reader, folder, episodes, a.has("--force"))) {
    list.push_back(p.string());
    if (!a.json()) print("{}\n", p.string());
  }
  if (a.json()) print("{}\n", json_text(Json{{"files", list}}, 2));
  return kOk;
}

int run_repair(const Arguments& a) {
  const fs::path source = find_trace(a.positional[0]);
  std::string target = a.options.text("--out");
  if (target.empty()) {
    target = source.string();
    for (const char* end : {".part", ".trace.h5"})
      if (target.ends_with(end)) target.resize(target.size() - std::string(end).size());
    target += ".repaired.trace.h5";
  }
  const trace::Reader reader(source);
  if (reader.complete() && trace::check(source).empty()) {
    if (a.json())
      print("{}\n", json_text(Json({{"path", source.string()}, {"episodes", reader.episodes()}, {"sound", true}}), 2));
    else
      print("{}: sound and complete, so nothing was made\n", source.string());
    return kOk;
  }
  const std::size_t n = trace::repair(source, target, a.has("--force"));
  const std::vector<std::string> left = trace::check(target);
  if (a.json())
    print("{}\n", json_text(Json({{"path", target}, {"episodes", n}, {"sound", left.empty()}}), 2));
  else
    print("{}: {} episodes{}\n", target, n, left.empty() ? "" : ", not sound: a copy cannot mend the numbers");
  for (const std::string& problem : left) say(fmt::format("mneme: {}", printable(problem)));
  return left.empty() ? kOk : kBadFile;
}

Command base(const char* name, const char* summary, int (*run)(const Arguments&)) {
  Command c;
  c.name = std::string("trace ") + name;
  c.summary = summary;
  c.parameters = "TRACE|DIR";
  c.choices = known_runs;
  c.reads = {""};
  c.flags.flag("--json", false, "JSON on stdout");
  c.notes =
      "TRACE is a *.trace.h5 file (or its .part); DIR is a run, whose newest trace is taken;\nof a folder of "
      "restarts, the chosen run's.";
  c.run = run;
  return c;
}

}  // namespace

Command trace_info_command() {
  Command c = base("info", "what a trace holds: run, sizes, sites, datasets", run_info);
  c.examples = {{"trace info runs/first", "the newest trace of a run"},
                {"trace info runs/first/traces/train.000.trace.h5 --json", "for programs"}};
  return c;
}

Command trace_check_command() {
  Command c = base("check", "whether a trace keeps every promise of the format; exit 3 where it does not", run_check);
  c.examples = {{"trace check runs/first", "reads every number once, checksums included"}};
  return c;
}

Command trace_show_command() {
  Command c = base("show", "an episode step by step as a table", run_show);
  c.examples = {{"trace show runs/first --list", "the episodes"},
                {"trace show runs/first --episode 3", "one of them"},
                {"trace show runs/first --episode -1 --json", "the last, for programs"}};
  add_episode_flag(c);
  c.flags.flag("--list", false, "the table of episodes instead");
  return c;
}

Command trace_export_command() {
  Command c = base("export", "tidy CSV files, one observation a line", run_export);
  c.examples = {{"trace export runs/first --out first_csv", "all episodes"},
                {"trace export runs/first --episode 3 --out one", "one of them"}};
  c.flags.choice("--format", "csv", {"csv"}, "of the files")
      .text("--out", "", "folder; NAME_csv where it is not given");
  c.flags.flag("--force", false, "replace files that are there");
  c.values = {{"--out", "DIR"}, {"--format", "F"}};
  add_episode_flag(c, "all of them");
  c.notes +=
      "\nFiles: episodes, steps, io, weights, values, memory, and where there are any, items, fields and names.\nStep "
      "-1 is what stood before the first step.";
  return c;
}

Command trace_repair_command() {
  Command c = base("repair", "copy the complete episodes of a trace that a kill cut short; a sound one is left alone",
                   run_repair);
  c.examples = {{"trace repair runs/first/traces/train.000.trace.h5.part --out saved.trace.h5", "the source stays"}};
  c.flags.text("--out", "", "the new file; beside the source where it is not given")
      .flag("--force", false, "replace a file that is there");
  c.values = {{"--out", "FILE"}};
  return c;
}

}  // namespace mneme::tools
