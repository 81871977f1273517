// Room: tools. Drawings by gnuplot.
#include "tools/drawing.hpp"

#include "core/error.hpp"
#include "core/quote.hpp"
#include "tools/subprocess.hpp"
#include "tools/terminal.hpp"
#include "trace/atomic_file.hpp"

#include <unistd.h>

#include <fstream>
#include <iterator>

namespace mneme::tools {

namespace fs = std::filesystem;

namespace {

/// A folder of our own inside `parent`, removed at the end: what is drawn half stays in it.
class Workshop {
 public:
  explicit Workshop(const fs::path& parent) : path_(parent / fmt::format(".render-{}", ::getpid())) {
    std::error_code error;
    fs::create_directories(path_, error);
    if (error) fail<RuntimeFailure>(parent.string(), "cannot be written to: {}", error.message());
  }
  ~Workshop() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// The first line of what gnuplot said that is no echo of the script.
std::string complaint(const std::string& output) {
  const std::size_t last = output.find_last_not_of(" \n\t");
  if (last == std::string::npos) return "it said nothing";
  const std::size_t begin = output.rfind('\n', last);
  return output.substr(begin == std::string::npos ? 0 : begin + 1, last - (begin == std::string::npos ? 0 : begin));
}

/// Viewers smooth small pictures in SVG files unless they are told not to.
void keep_cells_sharp(const fs::path& svg) {
  std::ifstream in(svg, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in) fail<RuntimeFailure>(svg.string(), "cannot be read: gnuplot drew none");
  const std::string image = "<image ", how = "image-rendering=\"optimizeSpeed\" style=\"image-rendering:pixelated\" ";
  for (std::size_t at = 0; (at = text.find(image, at)) != std::string::npos; at += image.size() + how.size())
    text.insert(at + image.size(), how);
  trace::write_text_atomically(svg, text);
}

}  // namespace

Drawn draw(const fs::path& folder, const std::string& name,
           const std::vector<std::pair<std::string, std::string>>& texts) {
  const Workshop workshop(folder);
  Drawn result;
  for (const auto& [ending, text] : texts) {
    result.files.push_back(name + ending);
    trace::write_text_atomically(workshop.path() / result.files.back(), text);
  }
  const auto drawn = run_program({"gnuplot", "./" + name + ".gp"}, workshop.path());
  stop_if_signalled();  // it may have ended of the same signal
  if (drawn && drawn->status != 0)
    fail<RuntimeFailure>("gnuplot", "ended with {}: {}", drawn->status, complaint(drawn->output));
  result.pictures = drawn.has_value();
  if (drawn) {
    keep_cells_sharp(workshop.path() / (name + ".svg"));
    for (const char* kind : {".svg", ".pdf", ".png"}) result.files.push_back(name + kind);
  }
  for (const std::string& file : result.files) {
    std::error_code error;
    fs::rename(workshop.path() / file, folder / file, error);
    if (error) fail<RuntimeFailure>((folder / file).string(), "cannot be written: {}", error.message());
  }
  return result;
}

std::string how_to_draw(const fs::path& folder, const std::string& name) {
  return fmt::format(
      "gnuplot is not installed, so nothing was drawn: apt-get install gnuplot-nox, then: cd {} && gnuplot {}",
      shell_path(folder.string()), shell_path(name + ".gp"));
}

}  // namespace mneme::tools
