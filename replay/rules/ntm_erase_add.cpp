// Room: replay. Rule ntm-erase-add.
#include "replay/rules.hpp"

namespace mneme::replay {

namespace {

void all_heads(std::span<const std::vector<Row>> heads, Row& contents) {
  std::vector<Write> writes;
  for (const std::vector<Row>& h : heads) writes.push_back({h[0], h[1], h[2]});
  erase_add(writes, contents);
}

const bool registered = update_rules().add("ntm-erase-add", {{"erase", "add"}, all_heads});

}  // namespace

}  // namespace mneme::replay
