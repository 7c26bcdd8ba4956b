package dev.vard.cli;

import dev.vard.run.RunPlan;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/** What a run would load, train, ask for and need, for a terminal. */
record PlanTable(RunPlan plan) {
  private static final List<String> PHASES =
      List.of("encode", "sample", "decode", "value", "policy");

  /** Lines that each end in a line feed. */
  String text() {
    StringBuilder table = new StringBuilder();
    RunPlan.Model model = plan.model();
    row(table, "model", "%s, %s".formatted(model.checkpoint(), model.pipeline()));
    row(
        table,
        "draws",
        format(
            "%d × %d pixels in %d steps of %s, η %s",
            model.imageWidth(),
            model.imageHeight(),
            plan.denoisingSteps(),
            model.chain(),
            Readable.given(model.eta())));
    for (RunPlan.Part part : plan.parts()) {
      row(
          table,
          part.name(),
          "%s, %s parameters, %s%s"
              .formatted(
                  part.kind(),
                  count(part.parameters()),
                  Readable.bytes(part.bytes()),
                  part.offloaded() ? ", on the CPU while unused" : ""));
    }
    RunPlan.Trained trained = plan.trained();
    row(
        table,
        "adapter",
        "%s parameters on %d modules: %s"
            .formatted(
                count(trained.adapterParameters()),
                trained.adapterModules(),
                String.join(", ", trained.targets())));
    if (trained.valueParameters() > 0) {
      row(table, "value network", count(trained.valueParameters()) + " parameters");
    }
    row(table, "iterations", "%d".formatted(plan.iterations()));
    row(
        table,
        "reward queries",
        "%d for training, %d for evaluation"
            .formatted(plan.trainingQueries(), plan.evaluationQueries()));
    row(
        table,
        "gradient steps",
        "%d on the value network, %d on the adapter"
            .formatted(plan.valueSteps(), plan.policySteps()));
    memory(table, plan.memory());
    return table.toString();
  }

  private void memory(StringBuilder table, RunPlan.Memory memory) {
    row(
        table,
        "memory that stays",
        "weights %s, optimisers %s, trajectories %s, encoded prompts %s"
            .formatted(
                Readable.bytes(memory.weights()),
                Readable.bytes(memory.optimizers()),
                Readable.bytes(memory.trajectories()),
                Readable.bytes(memory.encodings())));
    List<String> phases =
        PHASES.stream()
            .flatMap(
                phase ->
                    Stream.ofNullable(memory.phases().get(phase))
                        .map(bytes -> phase + " " + Readable.bytes(bytes)))
            .toList();
    row(table, "on top of it", String.join(", ", phases));
    if (memory.policyCheckpointed() > 0) {
      row(
          table,
          "a policy step",
          "%s, with model.gradient-checkpointing %s"
              .formatted(
                  Readable.bytes(memory.policy()), Readable.bytes(memory.policyCheckpointed())));
    }
    row(
        table,
        "peak",
        "about %s on %s, as computed"
            .formatted(Readable.bytes(memory.peak()), plan.model().device()));
  }

  private static void row(StringBuilder table, String name, String value) {
    table.append("  %-18s %s%n".formatted(name, value));
  }

  /** As {@code 859.5 million}. */
  private static String count(long number) {
    if (number < 1_000_000) {
      return format("%,d", number);
    }
    return number < 1_000_000_000
        ? format("%.1f million", number / 1e6)
        : format("%.2f billion", number / 1e9);
  }

  private static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
