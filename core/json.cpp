#include "core/json.hpp"

#include <fstream>

namespace mneme {

Json parse_json(std::string_view text) {
  return Json::parse(text, nullptr, false);
}

Json read_json(const std::filesystem::path& path) {
  std::ifstream in(path);
  return Json::parse(in, nullptr, false);
}

Json parse_json(std::string_view text, const Json::parser_callback_t& watch) {
  return Json::parse(text, watch);
}

std::string json_text(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace mneme
