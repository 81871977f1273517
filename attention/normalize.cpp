// Room: attention. The registry of normalizers, and their options among those of others.
#include "attention/normalize.hpp"

#include <algorithm>

namespace mneme {

Registry<NormalizerPlugin>& normalizers() {
  static Registry<NormalizerPlugin> registry("normalizer");
  return registry;
}

Options NormalizerPlugin::own_options(const Options& given) const {
  std::map<std::string, std::string> own;
  for (const auto& [name, value] : given.items())
    if (options.find(name)) own.emplace(name, value);
  return options.parse("normalizer", own);
}

std::vector<std::pair<std::string, double>> NormalizerPlugin::constants(const Options& given) const {
  std::vector<std::pair<std::string, double>> all;
  const Options own = own_options(given);
  for (const Option& o : options.options()) {
    std::string name = o.name;
    std::replace(name.begin(), name.end(), '-', '_');
    if (o.type == Option::Type::integer) all.emplace_back(name, static_cast<double>(own.integer(o.name)));
    if (o.type == Option::Type::real) all.emplace_back(name, own.real(o.name));
    if (o.type == Option::Type::flag) all.emplace_back(name, own.flag(o.name));
  }
  return all;
}

void add_normalizer_options(OptionTable& table, bool (*takes)(const NormalizerPlugin&)) {
  for (const auto& [name, plugin] : normalizers().entries())
    if (takes(plugin))
      for (const Option& o : plugin.options.options()) table.add(o);
}

}  // namespace mneme
