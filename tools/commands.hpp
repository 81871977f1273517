// Room: tools. The rows of the command table, one function a command, each in the file of its name.
#pragma once

#include "tools/command.hpp"

namespace mneme::tools {

Command list_command();
Command list_runs_command();
Command show_command();
Command train_command();
Command eval_command();
Command replay_command();
Command trace_info_command();
Command trace_check_command();
Command trace_show_command();
Command trace_export_command();
Command trace_repair_command();
Command trace_render_command();
Command checkpoint_info_command();
Command checkpoint_export_command();
Command checkpoint_import_command();
Command gradcheck_command();
Command compare_command();
Command plot_command();
Command reproduce_command();
Command bench_command();
Command stories_command();
Command doctor_command();
Command completion_command();
Command man_command();

}  // namespace mneme::tools
