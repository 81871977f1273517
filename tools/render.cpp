// Room: tools. `mneme trace render`: the figure, its data and its script, all or none of them.
#include "core/error.hpp"
#include "core/json.hpp"
#include "tools/choices.hpp"
#include "tools/commands.hpp"
#include "tools/drawing.hpp"
#include "tools/figure.hpp"
#include "tools/story_figure.hpp"
#include "tools/terminal.hpp"
#include "tools/trace_file.hpp"
#include "trace/hdf5.hpp"
#include "trace/reader.hpp"

#include <charconv>

namespace mneme::tools {

namespace {

namespace fs = std::filesystem;

/// "a:b", both included.
std::pair<std::size_t, std::size_t> parse_slots(const std::string& text) {
  std::pair<std::size_t, std::size_t> r;
  const std::size_t colon = text.find(':');
  const auto number = [&](const std::string& word, std::size_t& value) {
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    return error == std::errc{} && end == word.data() + word.size();
  };
  if (colon == std::string::npos || !number(text.substr(0, colon), r.first) ||
      !number(text.substr(colon + 1), r.second))
    fail<ArgumentError>("--slots", "'{}' is no range; it takes first:last, both included: 0:40", text);
  return r;
}

/// "7in", "7", "18cm" -> inches
double parse_width(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string unit(end, text.data() + text.size());
  if (unit == "cm") value /= 2.54;
  if (error != std::errc{} || !(unit.empty() || unit == "in" || unit == "cm") || !(value >= 2 && value <= 40))
    fail<ArgumentError>("--width", "'{}' is no width; it takes 2in..40in: 3.3in for a column, 7in for a page", text);
  return value;
}

/// figures/ of the run that the trace belongs to, or the trace's own folder.
fs::path default_folder(const fs::path& trace) {
  const fs::path folder = fs::absolute(trace).parent_path();
  return folder.filename() == "traces" ? (folder.parent_path() / "figures").lexically_proximate(fs::current_path())
                                       : trace.parent_path();
}

int run(const Arguments& a) {
  FigureOptions options;
  if (a.has("--slots")) options.slots = parse_slots(a.options.text("--slots"));
  options.width = parse_width(a.options.text("--width"));
  options.palette = a.options.text("--palette");
  const fs::path path = find_trace(a.positional[0]);
  const trace::Reader reader(path);
  const std::size_t index = find_episode(reader, a);
  const trace::Episode episode = reader.episode(index);
  say_faults(reader, index);
  options.title = picture_title(reader, index);
  std::string stem = path.filename().string();
  stem = stem.substr(0, stem.find(".trace.h5"));
  const std::string name = fmt::format("{}-episode-{}", stem, index);
  // Before anything is written: what is asked for may not be there.
  std::vector<std::string> contents;
  const auto lay_out = [&](const auto& figure) { contents = {figure.csv(), figure.dat(), figure.script(name)}; };
  if (replay::tells_story(reader.layout(), episode))
    lay_out(make_story_figure(reader.layout(), episode, options));
  else
    lay_out(make_figure(reader.layout(), episode, options));
  fs::path folder = a.has("--out") ? fs::path(a.options.text("--out")) : default_folder(path);
  if (folder.empty()) folder = ".";
  for (const char* kind : {".csv", ".dat", ".gp", ".svg", ".pdf", ".png"})
    trace::expect_free(folder / (name + kind), a.has("--force"));
  stop_if_signalled();
  const Drawn drawn = draw(folder, name, {{".csv", contents[0]}, {".dat", contents[1]}, {".gp", contents[2]}});
  Json list = Json::array();
  for (const std::string& file : drawn.files) {
    list.push_back((folder / file).lexically_normal().string());
    if (!a.json()) print("{}\n", list.back().get<std::string>());
  }
  if (a.json()) print("{}\n", json_text(Json{{"episode", index}, {"files", list}}, 2));
  note(episode_title(reader, index));
  if (!drawn.pictures) note(how_to_draw(folder, name));
  return kOk;
}

}  // namespace

Command trace_render_command() {
  Command c;
  c.name = "trace render";
  c.summary =
      "the figure of an episode as SVG, PDF and PNG (the NTM paper's; or a story), with data and gnuplot script";
  c.parameters = "TRACE|DIR";
  c.examples = {
      {"trace render runs/first", "into runs/first/figures"},
      {"trace render runs/first --episode -1 --out figures", "the last episode"},
      {"trace render runs/first --slots 0:40 --width 3.3in --force", "some slots, as wide as a column, in its place"}};
  c.choices = known_runs;
  c.reads = {""};
  add_episode_flag(c);
  c.flags.text("--out", "", "folder; the run's figures/ where it is not given")
      .text("--slots", "", "first:last slot to show, around the end where first > last; not given: those that are used")
      .text("--width", "7in", "of the figure: 3.3in for a column, 7in for a page")
      .choice("--palette", "grey", {"grey", "viridis"}, "of what has no signs: weightings, bits")
      .flag("--force", false, "replace the figure that is there")
      .flag("--json", false, "JSON on stdout");
  c.values.insert({{"--out", "DIR"}, {"--slots", "A:B"}, {"--width", "W"}, {"--palette", "NAME"}});
  c.notes =
      "An episode with items in words is drawn as a story: sentences, hops, question and answer.\n"
      "Outputs are shown where they are scored, wrong bits with a red cross; lines mark where the phase changes.\n"
      "Without gnuplot the data (.csv, .dat) and the script (.gp) are still written.";
  c.heeds_signals = true;
  c.run = run;
  return c;
}

}  // namespace mneme::tools
