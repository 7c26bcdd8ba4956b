package dev.vard.run;

import dev.vard.algorithm.Outcome;
import dev.vard.proto.v1.EvaluateResponse;
import dev.vard.proto.v1.FitValueResponse;
import dev.vard.proto.v1.ImprovePolicyResponse;
import dev.vard.proto.v1.PolicyStep;
import dev.vard.run.RunEvent.PolicyMetrics;
import dev.vard.run.RunEvent.TimestepQuality;
import dev.vard.run.RunEvent.ValueMetrics;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;

/** What is told of a worker's steps: of gradient steps, the mean of their second half. */
final class StepMetrics {
  private StepMetrics() {}

  /** By timestep, in the worker's order. */
  static List<TimestepQuality> of(EvaluateResponse response) {
    return response.getByStateList().stream()
        .map(
            state ->
                new TimestepQuality(
                    state.getTimestep(), state.getR2(), state.getMse(), state.getCorrelation()))
        .toList();
  }

  /**
   * @param quality of the value network, before this fit
   */
  static ValueMetrics of(FitValueResponse response, List<TimestepQuality> quality) {
    return new ValueMetrics(
        quality, mean(secondHalf(response.getLossesList()), Double::doubleValue));
  }

  /**
   * @param klWeight η of this phase
   */
  static PolicyMetrics of(ImprovePolicyResponse response, double klWeight) {
    List<PolicyStep> steps = secondHalf(response.getStepsList());
    return new PolicyMetrics(
        mean(steps, PolicyStep::getLoss),
        mean(steps, PolicyStep::getKlPerTrajectory),
        klWeight,
        mean(steps, PolicyStep::getGradientNorm),
        metrics(response));
  }

  /** The objective's own metrics, and how the policy was held to its budget. */
  private static Map<String, Double> metrics(ImprovePolicyResponse response) {
    Map<String, Double> metrics = named(secondHalf(response.getStepsList()));
    if (response.getProbedKlCount() > 0) {
      metrics.put("measured-kl", response.getProbedKlList().getFirst());
      metrics.put("scale", response.getScale());
    }
    return metrics;
  }

  /** What an action that improved the policy came to. */
  static Outcome.Improved outcome(ImprovePolicyResponse response) {
    return new Outcome.Improved(
        response.getStepsList().stream().map(PolicyStep::getKlPerTrajectory).toList(),
        response.getKlWeight(),
        response.getProbedKlList(),
        named(secondHalf(response.getStepsList())));
  }

  /** The objective's own metrics, each over the steps that have it. */
  private static Map<String, Double> named(List<PolicyStep> steps) {
    return steps.stream()
        .flatMap(step -> step.getMetricsMap().entrySet().stream())
        .collect(
            Collectors.groupingBy(
                Map.Entry::getKey, HashMap::new, Collectors.averagingDouble(Map.Entry::getValue)));
  }

  static <T> double mean(List<T> items, ToDoubleFunction<T> number) {
    return items.stream().mapToDouble(number).average().orElse(Double.NaN);
  }

  private static <T> List<T> secondHalf(List<T> steps) {
    return steps.subList(steps.size() / 2, steps.size());
  }
}
