// Room: tools. The command table.
#include "tools/commands.hpp"

namespace mneme::tools {

const std::vector<Command>& commands() {
  static const std::vector<Command> table = {
      list_command(),
      list_runs_command(),
      show_command(),
      train_command(),
      eval_command(),
      replay_command(),
      trace_info_command(),
      trace_check_command(),
      trace_show_command(),
      trace_export_command(),
      trace_render_command(),
      trace_repair_command(),
      checkpoint_info_command(),
      checkpoint_export_command(),
      checkpoint_import_command(),
      gradcheck_command(),
      stories_command(),
      compare_command(),
      plot_command(),
      reproduce_command(),
      bench_command(),
      doctor_command(),
      completion_command(),
      man_command(),
  };
  return table;
}

}  // namespace mneme::tools
