// Room: tools. `mneme checkpoint info|export|import`: what a checkpoint holds, and weights from and to other programs.
#include "core/error.hpp"
#include "core/ini.hpp"
#include "core/json.hpp"
#include "core/quote.hpp"
#include "experiments/exchange/exchange.hpp"
#include "tools/choices.hpp"
#include "tools/commands.hpp"
#include "tools/terminal.hpp"
#include "tools/trace_file.hpp"

namespace mneme::tools {

namespace {

namespace fs = std::filesystem;

experiments::CheckpointInfo find_and_read(const Arguments& a) {
  const std::string& name = a.positional[0];
  std::error_code error;
  if (fs::is_directory(name, error))
    return experiments::inspect_checkpoint(
        experiments::find_checkpoint(find_run(name), a.options.text("--checkpoint")));
  if (a.has("--checkpoint"))
    fail<ArgumentError>("--checkpoint", "chooses among those of a run's folder, and {} is none", name);
  return experiments::inspect_checkpoint(name);
}

std::size_t numbers_of(const experiments::NamedArray& a) {
  return a.values.size();
}

/// A checkpoint's arrays by kind: "parameters", "buffers", "optimizer".
Json arrays_json(const experiments::CheckpointInfo& c, const std::string& kind) {
  Json list = Json::array();
  for (const experiments::NamedArray& a : c.arrays)
    if (a.name.starts_with(kind + "/"))
      list.push_back({{"name", a.name.substr(kind.size() + 1)}, {"shape", a.dims}, {"count", numbers_of(a)}});
  return list;
}

/// Of the optimizer, a slot is one array for each parameter.
Json slots_json(const experiments::CheckpointInfo& c) {
  Json slots = Json::array();
  for (const Json& array : arrays_json(c, "optimizer")) {
    const std::string name = array["name"].get<std::string>(), slot = name.substr(0, name.find('/'));
    if (slots.empty() || slots.back()["name"] != slot) slots.push_back({{"name", slot}, {"count", 0}});
    slots.back()["count"] = slots.back()["count"].get<std::size_t>() + array["count"].get<std::size_t>();
  }
  return slots;
}

Json info_json(const experiments::CheckpointInfo& c) {
  Json j;
  j["path"] = c.path.string();
  j["schema_version"] = c.version;
  j["producer"] = c.producer;
  j["git_rev"] = c.git_rev;
  j["config_hash"] = c.provenance.run_id.empty() ? Json(nullptr) : Json(c.provenance.run_id);
  for (const auto& entry : read_ini(c.config_text, c.path.string() + ": config"))
    if (entry.key == "seed")
      j["seed"] = std::stoull(entry.value);
    else if (entry.key.find('.') == std::string::npos)
      j[entry.key] = entry.value;
  j["sequences"] = c.state.sequences;
  j["updates"] = c.state.updates;
  j["solved"] = c.state.solved;
  const auto evaluation = c.state.evaluation();
  j["last_evaluation"] = evaluation ? Json(*evaluation) : Json(nullptr);
  j["parameter_hash"] = experiments::hex(c.parameter_hash);
  j["content_hash"] = experiments::hex(c.content_hash);
  j["data_digest"] = c.provenance.data_digest.empty() ? Json(nullptr) : Json(c.provenance.data_digest);
  j["origin"] = c.provenance.origin.empty() ? Json(nullptr) : Json(c.provenance.origin);
  std::size_t count = 0;
  j["parameters"] = arrays_json(c, "parameters");
  for (const Json& p : j["parameters"]) count += p["count"].get<std::size_t>();
  j["count"] = count;
  j["buffers"] = arrays_json(c, "buffers");
  j["optimizer_state"] = slots_json(c);
  return j;
}

std::string dump(const Json& j) {
  return json_text(j, 2);
}

std::string info_text(const experiments::CheckpointInfo& c) {
  const Json j = info_json(c);
  const auto word = [&](const char* key) {
    return j.contains(key) && j[key].is_string() ? j[key].get<std::string>() : "-";
  };
  std::string text =
      fmt::format("{}\n  format {}, {}, run {}\n", c.path.string(), c.version, c.producer, word("config_hash"));
  text +=
      fmt::format("  task {}, model {}, memory {}, controller {}, optimizer {}, seed {}\n", word("task"), word("model"),
                  word("memory"), word("controller"), word("optimizer"), j.value("seed", std::uint64_t{0}));
  text += fmt::format("  {} sequences, {} updates{}; {} parameters, hash {}\n", c.state.sequences, c.state.updates,
                      c.state.solved ? ", solved" : "", j["count"].get<std::size_t>(), word("parameter_hash"));
  if (!c.provenance.origin.empty()) text += fmt::format("  {}\n", c.provenance.origin);
  for (const char* kind : {"parameters", "buffers"})
    for (const experiments::NamedArray& a : c.arrays)
      if (a.name.starts_with(std::string(kind) + "/"))
        text +=
            fmt::format("  {:<36} {:<16} {:>9}{}\n", a.name.substr(a.name.find('/') + 1), experiments::text_of(a.dims),
                        numbers_of(a), kind == std::string("buffers") ? "  (buffer)" : "");
  for (const Json& slot : j["optimizer_state"])
    text += fmt::format("  optimizer: {:<25} {:<16} {:>9}\n", slot["name"].get<std::string>(), "as parameters",
                        slot["count"].get<std::size_t>());
  return text;
}

int run_info(const Arguments& a) {
  const experiments::CheckpointInfo c = find_and_read(a);
  if (a.json())
    print("{}\n", dump(info_json(c)));
  else
    put(info_text(c));
  return kOk;
}

int run_export(const Arguments& a) {
  const std::string& out = a.options.text("--out");
  if (out.empty()) fail<ArgumentError>("--out", "is missing: where shall the weights go?");
  const experiments::CheckpointInfo c = find_and_read(a);
  const experiments::Weights w = experiments::weights_of(c);
  const std::string& format = a.options.text("--format");
  experiments::write_weights(out, format, w, a.has("--force"));
  std::size_t numbers = 0;
  for (const experiments::NamedArray& array : w.arrays) numbers += numbers_of(array);
  if (a.json())
    print("{}\n", dump({{"path", out},
                        {"format", format},
                        {"checkpoint", c.path.string()},
                        {"arrays", w.arrays.size()},
                        {"numbers", numbers}}));
  else
    print("{}: {} arrays, {} numbers, from {} after {} sequences\n", out, w.arrays.size(), numbers, c.path.string(),
          c.state.sequences);
  return kOk;
}

int run_import(const Arguments& a) {
  experiments::ImportOptions options;
  options.source = a.positional[0];
  for (const char* flag : {"--map", "--into", "--out"})
    if (a.has(flag) && a.options.text(flag).empty()) fail<ArgumentError>(flag, "names nothing");
  options.map = a.options.text("--map");
  options.into = a.options.text("--into");
  options.out = a.options.text("--out");
  options.given = a.assignments;
  options.argv = {"mneme"};
  options.argv.insert(options.argv.end(), a.argv.begin(), a.argv.end());
  const experiments::ImportResult r = experiments::import_weights(options);
  for (const std::string& text : r.notices) note(text);
  const std::string directory = r.directory.string();
  if (a.json()) {
    print("{}\n", dump({{"directory", directory},
                        {"checkpoint", r.checkpoint.string()},
                        {"config_hash", r.config_hash},
                        {"arrays", r.arrays},
                        {"numbers", r.numbers},
                        {"origin", r.origin}}));
    return kOk;
  }
  print("{}: {} arrays, {} numbers; {}\n", directory, r.arrays, r.numbers, r.origin);
  note(fmt::format("next: mneme eval {}", shell_path(directory)));
  note(fmt::format("      mneme train --resume {}", shell_path(directory)));
  return kOk;
}

Command base(const char* name, const char* summary, int (*run)(const Arguments&)) {
  Command c;
  c.name = std::string("checkpoint ") + name;
  c.summary = summary;
  c.run = run;
  return c;
}

void add_source(Command& c) {
  c.parameters = "FILE|DIR";
  c.choices = known_runs;
  c.reads = {""};
  c.flags.text("--checkpoint", "last", "of DIR: last, best, or a number of sequences");
  c.values["--checkpoint"] = "WHICH";
  c.notes = "FILE is a *.ckpt.h5 file; DIR is a run, or a folder of restarts, whose chosen run is taken.";
}

}  // namespace

Command checkpoint_info_command() {
  Command c = base("info", "what a checkpoint holds: run, parameters, buffers, optimizer state", run_info);
  c.examples = {{"checkpoint info runs/first", "the newest of a run"},
                {"checkpoint info runs/first --checkpoint best --json", "the best, for programs"}};
  add_source(c);
  c.flags.flag("--json", false, "one JSON object on stdout");
  return c;
}

Command checkpoint_export_command() {
  Command c = base("export", "a checkpoint's weights as safetensors or npy, for other programs", run_export);
  c.examples = {{"checkpoint export runs/first --out first.safetensors", "one file"},
                {"checkpoint export runs/first --format npy --out first_npy", "a folder, one .npy an array"}};
  add_source(c);
  c.flags.choice("--format", "safetensors", experiments::weight_formats(), "of the output")
      .text("--out", "", "the file or folder (always given)")
      .flag("--force", false, "replace what such an export wrote there")
      .flag("--json", false, "one JSON object on stdout");
  c.values["--format"] = "F";
  c.values["--out"] = "PATH";
  c.notes +=
      "\nParameters and buffers in float32, to the bit; no optimizer state. Names, layouts, gate order and how they\n"
      "map to PyTorch's: docs/checkpoint_format.md.";
  return c;
}

Command checkpoint_import_command() {
  Command c = base("import", "weights from safetensors or npy as a new run, to be judged or trained on", run_import);
  c.parameters = "PATH";
  c.reads = {"", "--map"};
  c.examples = {
      {"checkpoint import first.safetensors --out runs/again", "an export: it names its configuration"},
      {"checkpoint import torch.safetensors --into copy_lstm_1x100 --map names.txt --out runs/torch",
       "another program's names"},
      {"checkpoint import first_npy --into runs/first --seed 2 --out runs/third", "the model of a run, changed"}};
  c.flags.text("--into", "", "preset, INI file or run whose configuration is taken; not given: the one in PATH")
      .text("--map", "", "file of lines THEIRS OURS [transpose] [reshape] [add]")
      .text("--out", "", "the new run; not given: under runs/")
      .flag("--json", false, "one JSON object on stdout");
  c.values = {{"--into", "PRESET|FILE|DIR"}, {"--map", "FILE"}, {"--out", "DIR"}};
  c.config_keys = "all";
  c.notes =
      "PATH is a safetensors file or a folder of .npy files, float32 or float64. Every parameter and buffer of the "
      "model\n"
      "must be there, and nothing else; what is missing, left over or of another shape is listed.\n"
      "The result is a new run that stands before its first sequence: weights as given, optimizer state fresh, which "
      "its\n"
      "checkpoints, log.txt and run.json record. Nothing is written into what --into names.\n"
      "Lines of a map with the same OURS are stacked along its first axis; 'add' adds to the line before instead;\n"
      "names that no line mentions stand for themselves; # begins a comment. docs/checkpoint_format.md has maps for\n"
      "PyTorch's LSTM, GRU and RNN.";
  c.run = run_import;
  return c;
}

}  // namespace mneme::tools
